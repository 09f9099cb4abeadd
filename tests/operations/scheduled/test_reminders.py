"""Reminders are listed by whom they are for, their kind, their state and their time."""

from datetime import timedelta
from typing import Any

import pytest

from common.cloud import firestore, tasks
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore, MemoryTasks
from common.process import tables
from common.scheduling import reminders as library
from common.scheduling.reminders import ReminderKind
from operations import declared
from operations.errors import NotFoundError, UsageError
from operations.scheduled import reminders
from operations.scheduled.reminders import Filter


def reminder(memory: MemoryFirestore, name: str, hours: float, **fields: Any) -> None:
    kind = name.partition(":")[0]
    kept = {"reminder_id": name, "kind": kind, "user_id": "ada", "state": "pending"}
    due = {"due_at": memory.now + timedelta(hours=hours)}
    path = f"reminders/{firestore.document_id(name)}"
    firestore.commit([Merge(path=path, fields={**kept, **due, **fields})])


def ids(wanted: Filter) -> list[str]:
    return [row["id"] for row in reminders.listed(wanted, None)]


def test_those_that_wait_are_listed_those_due_first_first(memory: MemoryFirestore) -> None:
    reminder(memory, "cart:late", 5)
    reminder(memory, "cart:soon", 1, state="sending")
    reminder(memory, "cart:gone", 1, state="sent")
    assert ids(Filter()) == ["cart:soon", "cart:late"]
    assert len(ids(Filter(states=()))) == 3
    assert ids(Filter(states=("sent",))) == ["cart:gone"]


def test_a_filter_lets_by_what_is_asked_for(memory: MemoryFirestore) -> None:
    reminder(memory, "cart:1", 1)
    reminder(memory, "cart:2", 9, user_id="grace")
    reminder(memory, "day:2", 9)
    assert ids(Filter(user_id="grace")) == ["cart:2"]
    assert ids(Filter(kind="day")) == ["day:2"]
    assert ids(Filter(due_before=memory.now + timedelta(hours=2))) == ["cart:1"]


def test_a_name_that_is_no_document_id_is_found_all_the_same(memory: MemoryFirestore) -> None:
    reminder(memory, "cart:a/b", 1)
    assert reminders.row(reminders.get("cart:a/b"))["id"] == "cart:a/b"


def test_a_reminder_that_is_not_there_is_said_so(memory: MemoryFirestore) -> None:
    with pytest.raises(NotFoundError, match="KIND:SUBJECT"):
        reminders.get("cart:none")


@pytest.mark.parametrize("name", ["cart_abandonment", "cart_abandonment:", ":x", "strange:x"])
def test_only_a_reminder_of_a_kind_that_is_declared_is_changed(name: str) -> None:
    declared.events()
    with pytest.raises(UsageError):
        reminders.cancel(name)


def test_a_reminder_is_moved_and_cancelled_as_the_application_does_it(
    memory: MemoryFirestore,
) -> None:
    declared.events()
    name = "cart_abandonment:c-1"
    kind = next(it for it in tables.listed(ReminderKind) if it.name == "cart_abandonment")
    with tasks.using(MemoryTasks()):
        library.schedule(kind, "c-1", user_id="ada", after=timedelta(hours=2))
        assert reminders.reschedule(name, at=None, after=timedelta(hours=1)) == "rescheduled"
        assert reminders.cancel(name) == "cancelled"
        assert reminders.cancel("cart_abandonment:none") == "unknown"
    assert reminders.get(name).data["state"] == "cancelled"


def test_more_than_a_page_is_found_whole(
    memory: MemoryFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminders, "PAGE", 3)
    for number in range(7):
        reminder(memory, f"cart:{number}", number)
    assert len(ids(Filter())) == 7


def test_no_more_are_listed_than_asked_for(memory: MemoryFirestore) -> None:
    for number in range(3):
        reminder(memory, f"cart:{number}", number)
    assert [it["id"] for it in reminders.listed(Filter(), 2)] == ["cart:0", "cart:1"]
