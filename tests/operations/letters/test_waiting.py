"""What is handed over is listed with why, since when and until when, beside the letters."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore
from common.idempotency.record import record_id
from operations.letters import waiting
from operations.letters.dead_letters import Filter


def work(key: str, *owed: dict[str, Any], **fields: Any) -> None:
    """A piece of work that is handed over, with the input that goes on."""
    name = record_id("consumer", key)
    record = {"scope": "consumer", "key": key, "state": "waiting", **fields}
    effects = {str(number): it for number, it in enumerate(owed)}
    origin = json.dumps({"event_type": "order.placed"})
    resumption = {"payload": {"origin": origin, "data": "{}"}, "state": "pending"}
    firestore.commit(
        [
            Merge(path=f"idempotency/{name}", fields={**record, "owed": effects}),
            Merge(path=f"reminders/resume:{name}", fields=resumption),
        ]
    )


def owed(since: datetime, name: str = "mail", reason: str = "unavailable") -> dict[str, Any]:
    until = since + timedelta(minutes=30)
    return {
        "name": name, "reason": reason, "since": since, "until": until, "tries": 3, "error": "503",
    }  # fmt: skip


def keys(wanted: Filter) -> list[Any]:
    return [row["id"] for row in waiting.listed(wanted, None)]


def test_a_row_says_why_since_when_and_until_when(memory: MemoryFirestore) -> None:
    start = memory.now
    work("e-1", owed(start), user_id="ada")
    assert waiting.listed(Filter(), None) == [
        {
            "id": "e-1",
            "state": "waiting",
            "source": "consumer",
            "reason": "unavailable",
            "event_type": "order.placed",
            "user_id": "ada",
            "attempts": 3,
            "since": start,
            "next": start + timedelta(minutes=30),
            "effect": "mail",
            "error": "503",
        }
    ]


def test_each_effect_that_is_owed_has_a_row(memory: MemoryFirestore) -> None:
    work("e-1", owed(memory.now), owed(memory.now, "stock", "not_yet"))
    assert {row["effect"] for row in waiting.listed(Filter(), None)} == {"mail", "stock"}


def test_what_waits_longest_comes_last_and_what_does_not_wait_is_left_out(
    memory: MemoryFirestore,
) -> None:
    work("old", owed(memory.now - timedelta(hours=1)))
    work("new", owed(memory.now))
    work("done", owed(memory.now), state="done")
    assert keys(Filter()) == ["new", "old"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(reason="unavailable"), ["e-1"]),
        (Filter(reason="outage"), []),
        (Filter(source="consumer"), ["e-1"]),
        (Filter(source="reminder"), []),
        (Filter(event_type="order.placed"), ["e-1"]),
        (Filter(event_type="cart.abandoned"), []),
        (Filter(user_id="ada"), ["e-1"]),
        (Filter(user_id="grace"), []),
        (Filter(since=timedelta(minutes=1)), ["e-1"]),
        (Filter(since=timedelta(seconds=-1)), []),
    ],
)
def test_the_filters_are_those_of_the_letters(
    memory: MemoryFirestore, wanted: Filter, found: list[str]
) -> None:
    work("e-1", owed(memory.now), user_id="ada")
    assert keys(wanted) == found


def test_more_than_a_page_is_found_whole(
    memory: MemoryFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "PAGE", 3)
    for number in range(7):
        work(f"e-{number}", owed(memory.now))
    assert len(keys(Filter())) == 7


def test_a_record_that_is_not_as_it_should_be_is_listed_all_the_same(
    memory: MemoryFirestore,
) -> None:
    fields = {"scope": "consumer", "key": "e-1", "state": "waiting", "owed": 7, "error": "broken"}
    firestore.commit([Merge(path="idempotency/x", fields=fields)])
    (row,) = waiting.listed(Filter(), None)
    assert (row["id"], row["error"]) == ("e-1", "broken")
