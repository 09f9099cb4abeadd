"""Dead letters are found by what is known of them, and closed by one operator at a time."""

from datetime import timedelta
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore
from operations.errors import NotFoundError, OperationsError
from operations.letters import dead_letters
from operations.letters.dead_letters import Filter


def letter(letter_id: str, **fields: Any) -> None:
    kept = {"state": "open", "source": "consumer", "reason": "permanent"}
    written = {**kept, "last_seen": firestore.SERVER_TIMESTAMP, **fields}
    firestore.commit([Merge(path=f"dead_letters/{letter_id}", fields=written)])


def ids(wanted: Filter) -> list[str]:
    return [row["id"] for row in dead_letters.listed(wanted, None)]


def test_the_list_has_the_open_ones_those_seen_last_first(memory: MemoryFirestore) -> None:
    letter("old")
    memory.advance(60)
    letter("new")
    letter("closed", state="replayed")
    assert ids(Filter()) == ["new", "old"]
    assert set(ids(Filter(state=None))) == {"new", "old", "closed"}


@pytest.mark.parametrize("field", ["reason", "source", "event_type", "user_id"])
def test_a_filter_lets_by_what_has_just_that_value(memory: MemoryFirestore, field: str) -> None:
    letter("wanted", **{field: "this"})
    letter("other", **{field: "that"})
    letter("without")
    wanted: dict[str, Any] = {field: "this"}
    assert ids(Filter(**wanted)) == ["wanted"]


def test_since_is_a_time_or_how_long_ago(memory: MemoryFirestore) -> None:
    letter("early")
    memory.advance(3600)
    letter("late")
    now = memory.now
    assert ids(Filter(since=timedelta(minutes=30))) == ["late"]
    assert ids(Filter(since=now - timedelta(minutes=30))) == ["late"]
    assert set(ids(Filter(since=timedelta(hours=2)))) == {"early", "late"}


def test_more_than_a_page_is_found_whole(
    memory: MemoryFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "PAGE", 3)
    for number in range(7):
        letter(f"l{number}")
    assert len(ids(Filter())) == 7


def test_the_list_has_no_payload_and_one_letter_has(memory: MemoryFirestore) -> None:
    letter("one", payload="{}")
    (row,) = dead_letters.listed(Filter(), None)
    assert "payload" not in row
    assert dead_letters.get("one").data["payload"] == "{}"


def test_discarding_says_who_and_why(memory: MemoryFirestore) -> None:
    letter("one")
    assert dead_letters.discard("one", reason="a test order", by="ada") == "discarded"
    kept = memory.documents("dead_letters")["dead_letters/one"]
    assert (kept["state"], kept["discarded_because"], kept["discarded_by"]) == (
        "discarded",
        "a test order",
        "ada",
    )


def test_what_is_closed_stays_as_it_was_closed(memory: MemoryFirestore) -> None:
    letter("one", state="replayed")
    assert dead_letters.discard("one", reason="no", by="ada") == "replayed"
    assert "discarded_by" not in memory.documents("dead_letters")["dead_letters/one"]


@pytest.mark.parametrize("letter_id", ["none", "a/b", "x/y/z"])
def test_a_letter_that_is_not_there_is_said_so(memory: MemoryFirestore, letter_id: str) -> None:
    with pytest.raises(NotFoundError, match=letter_id):
        dead_letters.get(letter_id)


def test_no_more_are_listed_than_asked_for(memory: MemoryFirestore) -> None:
    for number in range(3):
        letter(f"l{number}")
    assert len(dead_letters.listed(Filter(), 2)) == 2


def test_a_letter_that_has_just_changed_is_looked_at_again(memory: MemoryFirestore) -> None:
    letter("one")
    memory.mishaps = ["conflict", "conflict"]
    assert dead_letters.discard("one", reason="no", by="ada") == "discarded"


def test_one_that_keeps_changing_is_said_so(memory: MemoryFirestore) -> None:
    letter("one")
    memory.mishaps = ["conflict"] * 10
    with pytest.raises(OperationsError, match="keeps changing"):
        dead_letters.discard("one", reason="no", by="ada")
