"""The fields of a JSON object: read, or refused in a sentence that names them."""

from typing import Any

import pytest

from common.errors import MalformedError
from common.idempotency.fields import LARGEST, MAX_TEXT, parse_object, text, whole


@pytest.mark.parametrize("value", [0, 7, LARGEST])
def test_a_whole_number_is_read(value: int) -> None:
    assert whole({"n": value}, "n") == value


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (True, "a boolean"),
        (False, "a boolean"),
        (-1, "a number"),
        (1.0, "a number"),
        (LARGEST + 1, "a number"),
        ("1", "a string"),
        (None, "missing or null"),
        ([1], "a list"),
    ],
)
def test_what_is_no_whole_number_is_said(value: object, what: str) -> None:
    with pytest.raises(MalformedError, match=rf"^n is {what}, not a whole number$"):
        whole({"n": value}, "n")


@pytest.mark.parametrize("value", ["a", " a ", "ü" * (MAX_TEXT // 2)])
def test_a_text_is_read_as_it_is(value: str) -> None:
    assert text({"name": value}, "name") == value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "is missing or null, not a non-empty string"),
        ("", "is empty, not a non-empty string"),
        (" \n", "is empty, not a non-empty string"),
        (7, "is a number, not a non-empty string"),
        ({}, "is an object, not a non-empty string"),
        ("ü" * (MAX_TEXT // 2) + "x", "has 2049 bytes, more than 2048"),
    ],
)
def test_what_is_no_text_is_said_with_where_it_is(value: Any, says: str) -> None:
    with pytest.raises(MalformedError) as refused:
        text({"name": value}, "name", "payload.")
    assert str(refused.value) == f"payload.name {says}"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the body is not JSON: "),
        (b"\xff", "the body is not UTF-8: "),
        (b'{"a": NaN}', "the body is not JSON: NaN is no number of JSON"),
        (b'{"a": -Infinity}', "the body is not JSON: -Infinity is no number of JSON"),
        (b'{"a": 1e400}', "the body is not JSON: "),
        (b'{"a": "\\ud800"}', "the body has half a character in it: "),
        (b"[" * 100_000, "the body is not JSON: "),
        (b"null", "the body is missing or null, not an object"),
        (b'"text"', "the body is a string, not an object"),
        (b"{}" + b" " * 99, "the body has 101 bytes, more than 100"),
    ],
)
def test_what_is_no_object_is_said(data: bytes, says: str) -> None:
    limit = 100 if data.startswith(b"{}") else 1_000_000
    with pytest.raises(MalformedError) as refused:
        parse_object(data, "the body", limit)
    assert str(refused.value).startswith(says)


def test_an_object_is_read() -> None:
    assert parse_object(b'{"a": [1, null]}', "the body", 100) == {"a": [1, None]}
