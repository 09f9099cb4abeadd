"""A change, applied to a record: what is added, and what an earlier try of it has added already."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from common.cloud.firestore import Absent, Create, Delete, Merge, Update, Write
from common.idempotency.change import (
    Change,
    Completed,
    DeadLettered,
    Ending,
    Mark,
    Released,
    Waiting,
    applied,
    has_preconditions,
)
from common.idempotency.record import WRITTEN, Record, State
from common.idempotency.waits import Dead, Owed

NOW = datetime(2030, 1, 1, tzinfo=UTC)
RECORD = Record(
    scope="s",
    key="k",
    fingerprint="f",
    owner="me",
    attempts=2,
    lease_seconds=90.0,
    retention_seconds=100.0,
    steps={"mail": "1"},
)
OWED = Owed(reason="not_yet", first=NOW, since=NOW, tries=1, until=NOW, error="late")
DEAD = Dead(reason="permanent", error="bad")
MAIL, ORDER, DONE = Merge(path="a/mail"), Merge(path="a/order"), Merge(path="a/done")


def test_an_empty_change_adds_nothing() -> None:
    assert applied(Change(), RECORD) == (RECORD, [])


def test_marks_are_added_with_their_writes_before_the_changes_own() -> None:
    marks = {"order": Mark(result=WRITTEN, writes=[ORDER])}
    record, writes = applied(Change(marks=marks, writes=[DONE]), RECORD)
    assert record == replace(RECORD, steps={"mail": "1", "order": WRITTEN})
    assert writes == [ORDER, DONE]


def test_what_is_marked_is_owed_no_longer() -> None:
    owing = replace(RECORD, owed={"order": OWED, "sms": OWED})
    record, _ = applied(Change(marks={"order": Mark(result=WRITTEN)}), owing)
    assert record.owed == {"sms": OWED}


def test_what_may_be_under_way_is_what_the_change_says() -> None:
    begun, _ = applied(Change(begun=frozenset({"charge"})), RECORD)
    assert begun.begun == {"charge"}
    assert applied(Change(), begun)[0].begun == set()


def test_a_mark_that_is_there_already_is_left_alone_with_its_writes() -> None:
    change = Change(marks={"mail": Mark(result="2", writes=[MAIL])}, writes=[DONE])
    assert applied(change, RECORD) == (RECORD, [DONE])


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (Completed(result="0"), {"state": State.DONE, "result": "0"}),
        (Released(), {"state": State.WAITING}),
        (
            Waiting(owed={"sms": OWED}, dead={"fax": DEAD}, resume_at=NOW),
            {
                "state": State.WAITING,
                "error": "late",
                "owed": {"sms": OWED},
                "dead": {"fax": DEAD},
                "resume_at": NOW,
            },
        ),
        (
            DeadLettered(dead={"fax": DEAD}),
            {"state": State.DEAD, "error": "bad", "dead": {"fax": DEAD}},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_ending_takes_the_marks_along(ending: Ending, expected: dict[str, object]) -> None:
    change = Change(marks={"order": Mark(result=WRITTEN)}, ending=ending)
    record, _ = applied(change, RECORD)
    steps = {"mail": "1", "order": WRITTEN}
    assert record == replace(RECORD, steps=steps, **expected)


@pytest.mark.parametrize(
    ("write", "has"),
    [
        (Create(path="a/b", fields={}), True),
        (Update(path="a/b", fields={}, update_time=NOW), True),
        (Merge(path="a/b"), False),
        (Delete(path="a/b"), False),
        (Delete(path="a/b", update_time=NOW), True),
        (Absent(path="a/b"), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_asks_something_of_a_document_can_be_refused(write: Write, has: bool) -> None:
    assert has_preconditions([MAIL, write]) is has
