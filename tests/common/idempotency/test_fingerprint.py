"""JSON values: what is the same, and what comes back as it was."""

import enum
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ResultNotStorableError
from common.idempotency.fingerprint import fingerprint, to_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (1, 1.0),
        ({"total": 100}, {"total": 1e2}),
        ([0, {"x": 10**20}], [-0.0, {"x": 1e20}]),
    ],
)
def test_spelling_does_not_matter(one: Any, other: Any) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"),
        (1, True),
        (0, False),
        (0, None),
        ([], {}),
        ("", None),
        ([1, 2], [2, 1]),
        ({"a": None}, {}),
        (2**53 + 1, float(2**53)),
        ({"a": {"b": [1]}}, {"a": {"b": [2]}}),
        ("\u00e9", "e\u0301"),
    ],
)
def test_values_matter(one: Any, other: Any) -> None:
    assert fingerprint(one) != fingerprint(other)


@given(JSON)
def test_a_value_sent_through_json_is_the_same(value: Any) -> None:
    assert fingerprint(json.loads(json.dumps(value))) == fingerprint(value)


@given(JSON)
def test_what_is_exact_comes_back_with_its_types(value: Any) -> None:
    assert json.dumps(json.loads(to_json(value))) == json.dumps(value)


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1: "a"},
        {None: 1},
        {"a": {1, 2}},
        float("nan"),
        float("-inf"),
        b"bytes",
        datetime(2030, 1, 1, tzinfo=UTC),
        Colour.RED,
        [[(1,)]],
        object(),
    ],
)
def test_what_would_come_back_as_something_else_is_refused(value: Any) -> None:
    with pytest.raises(ResultNotStorableError):
        to_json(value)


def test_a_circle_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ResultNotStorableError):
        to_json(circle)


def test_half_a_character_comes_back() -> None:
    assert json.loads(to_json("\ud800")) == "\ud800"
