"""What a write says of the fields of its document; paths as Google's client reads them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.firestore_v1.field_path import FieldPath
from hypothesis import example, given
from hypothesis import strategies as st

from common.cloud.writes import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    Change,
    Create,
    Increment,
    Merge,
    Update,
    change,
    parse_path,
    render_path,
)

ONE = Increment(1)


def create(**fields: Any) -> Change:
    return change(Create(path="a/1", fields=fields))


def update(fields: dict[str, Any]) -> Change:
    return change(Update(path="a/1", fields=fields, update_time=datetime(2030, 1, 1, tzinfo=UTC)))


def merge(**fields: Any) -> Change:
    return change(Merge(path="a/1", fields=fields))


def test_a_new_document_has_all_its_values_and_no_mask() -> None:
    made = create(a=1, b={"c": {}, "d": [1]})
    assert made == Change(values={"a": 1, "b": {"c": {}, "d": [1]}}, mask=None, transforms={})


def test_a_transform_is_no_value() -> None:
    made = create(a={"b": SERVER_TIMESTAMP}, c={"d": ONE, "e": 1})
    assert made.values == {"c": {"e": 1}}
    assert made.transforms == {("a", "b"): SERVER_TIMESTAMP, ("c", "d"): ONE}


def test_an_update_replaces_the_fields_it_names() -> None:
    made = update({"a": {"b": 1}, "c.d": 2, "c.e": 3, "f": ONE, "g.h": DELETE_FIELD})
    assert made.values == {"a": {"b": 1}, "c": {"d": 2, "e": 3}}
    assert made.mask == (("a",), ("c", "d"), ("c", "e"), ("g", "h"))
    assert made.transforms == {("f",): ONE}


def test_a_merge_replaces_the_leaves_it_names() -> None:
    made = merge(a={"b": 1, "c": {}, "d": ONE}, **{"e.f": DELETE_FIELD})
    assert made.values == {"a": {"b": 1, "c": {}}}
    assert made.mask == (("a", "b"), ("a", "c"), ("e.f",))


def test_what_is_taken_apart_is_not_changed() -> None:
    given = {"a": {"b": [1]}}
    update(given)
    assert given == {"a": {"b": [1]}}


@pytest.mark.parametrize(
    "contradiction",
    [
        lambda: create(a=DELETE_FIELD),
        lambda: update({}),
        lambda: update({"a": 1, "a.b": 2}),
        lambda: update({"a.b": 1, "a": ONE}),
        lambda: update({"a": {"b": DELETE_FIELD}}),
        lambda: create(**{"": 1}),
        lambda: create(a={1: 1}),
        lambda: update({"a..b": 1}),
    ],
)
def test_what_contradicts_itself_is_refused(contradiction: Any) -> None:
    with pytest.raises(ValueError, match=r"field|inside|path"):
        contradiction()


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
written = st.text("ab_1.`\\*/[ ü", max_size=8)


@given(st.lists(names, min_size=1, max_size=3).map(tuple))
def test_a_path_is_written_as_googles_client_writes_it(path: tuple[str, ...]) -> None:
    assert render_path(path) == FieldPath(*path).to_api_repr()


@given(
    written | st.lists(names, min_size=1, max_size=3).map(lambda it: FieldPath(*it).to_api_repr())
)
@example("``")
@example("a.``")
def test_a_path_is_read_as_googles_client_reads_it(text: str) -> None:
    try:
        expected = FieldPath.from_string(text).parts
    except ValueError:
        with pytest.raises(ValueError, match=r"path|name"):
            parse_path(text)
    else:
        assert parse_path(text) == expected
