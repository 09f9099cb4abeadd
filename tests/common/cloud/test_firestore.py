"""Any name is a legal document id, no two collide, and any JSON can be stored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.cloud.firestore import (
    MAX_ID_BYTES,
    document_id,
    original_name,
    storable,
    storable_fields,
)

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=2000)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(names)
def test_an_id_is_legal(name: str) -> None:
    made = document_id(name)
    assert 0 < len(made.encode()) <= MAX_ID_BYTES
    assert "/" not in made
    assert made not in (".", "..")
    assert not (made.startswith("__") and made.endswith("__"))


@given(names)
def test_the_name_can_be_had_back_unless_it_was_too_long(name: str) -> None:
    assert original_name(document_id(name)) in (name, None)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("cart-1", "cart-1"),
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        (".", "%2E"),
        ("..", "%2E."),
        ("__x__", "%5F_x__"),
        ("ü", "ü"),
    ],
)
def test_an_ordinary_name_stays_and_a_hostile_one_is_escaped(name: str, made: str) -> None:
    assert document_id(name) == made


def test_two_names_too_long_to_keep_stay_apart() -> None:
    one, other = document_id("x" * 3000), document_id("x" * 3001)
    assert one != other
    assert original_name(one) is None


@given(json_values)
def test_what_is_stored_is_what_firestore_can_hold(value: object) -> None:
    assert _can_be_held(storable(value))


def test_what_firestore_cannot_hold_becomes_its_json_text() -> None:
    value = {"ok": [1, {"a": 2}], "nested": [[1]], "large": 2**70, "odd": {"__x__": 1, "": 2}}
    stored = storable(value)
    assert stored["ok"] == [1, {"a": 2}]
    assert {name: json.loads(stored[name]) for name in ("nested", "large", "odd")} == {
        name: value[name] for name in ("nested", "large", "odd")
    }


def test_fields_without_a_legal_name_are_kept_together() -> None:
    made = storable_fields({"a": 1, "": 2, "__x__": [3]})
    assert made == {"a": 1, "more": json.dumps({"": 2, "__x__": [3]})}


def _can_be_held(value: object, in_list: bool = False) -> bool:
    if isinstance(value, dict):
        reserved = [name for name in value if name.startswith("__") and name.endswith("__")]
        return "" not in value and not reserved and all(map(_can_be_held, value.values()))
    if isinstance(value, list):
        return not in_list and all(_can_be_held(item, in_list=True) for item in value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63
