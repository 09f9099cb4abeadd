"""What every backend has in common: the time, preconditions, names as ids, JSON as fields."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.cloud import firestore
from common.cloud.firestore import (
    MAX_ID_BYTES,
    Create,
    Snapshot,
    Update,
    document_id,
    original_name,
    storable,
    storable_fields,
)
from common.cloud.memory import MemoryFirestore

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = datetime(2030, 1, 2, tzinfo=UTC)


def test_the_latest_time_is_that_of_the_last_answer_of_the_server() -> None:
    with firestore.using(MemoryFirestore()) as memory:
        assert firestore.latest_time() is None
        committed = firestore.commit([Create(path="a/1", fields={"n": 1})])
        assert firestore.latest_time() == committed
        memory.advance(60)
        assert firestore.read("a/1").read_time == firestore.latest_time() != committed


def test_what_was_read_is_written_provided_it_is_still_so() -> None:
    found = Snapshot(path="a/1", data={"n": 1}, update_time=NOW, read_time=LATER)
    assert found.write({"n": 2}) == Update(path="a/1", fields={"n": 2}, update_time=NOW)


def test_what_was_not_there_is_written_provided_it_is_still_not_there() -> None:
    found = Snapshot(path="a/1", data={}, update_time=None, read_time=LATER)
    assert found.write({"n": 2}) == Create(path="a/1", fields={"n": 2})
    assert not found.exists


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=2000)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
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
    """So no two names have one id."""
    made = document_id(name)
    assert original_name(made) == (None if made.startswith("%sha256-") else name)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_ID_BYTES // 12))
def test_no_name_of_ordinary_length_is_too_long(name: str) -> None:
    assert original_name(document_id(name)) == name


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


@given(json_values.filter(lambda value: _can_be_held(value)))
def test_what_firestore_can_hold_is_stored_as_it_is(value: object) -> None:
    assert storable(value) == value


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def test_what_is_nested_too_deep_becomes_its_json_text() -> None:
    stored = storable(nested(25))
    for _ in range(10):
        stored = stored["a"]
    assert stored == json.dumps(nested(15))


@given(st.dictionaries(st.text(max_size=5).filter(lambda it: it != "more"), json_values))
def test_no_field_is_lost(payload: dict[str, object]) -> None:
    made = storable_fields(payload)
    odd = {name: value for name, value in payload.items() if name not in made}
    assert made.keys() - payload.keys() == ({"more"} if odd else set())
    assert not odd or json.loads(made["more"]) == odd


def test_a_field_that_has_the_name_of_the_rest_is_not_lost_either() -> None:
    assert storable_fields({"more": 1}) == {"more": 1}
    made = storable_fields({"more": 1, "a": 2, "": 3})
    assert made.keys() == {"a", "more"}
    assert json.loads(made["more"]) == {"": 3, "more": 1}


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
