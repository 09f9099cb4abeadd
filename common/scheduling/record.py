"""The record of a reminder as it is stored. What becomes of it: `common.scheduling.transitions`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from common.cloud import firestore
from common.cloud.firestore import DELETE_FIELD, Snapshot
from common.cloud.tasks import Task
from common.errors import CorruptRecordError
from common.scheduling.alarms import Alarm
from common.scheduling.content import Content
from common.scheduling.kinds import Reminder

COLLECTION = "reminders"
FORMAT = 1
"""Of a record; raised when a field changes its meaning."""
KEPT = 20
"""Entries of a history, and write ids, that a record keeps: the latest."""

State = Literal["pending", "sending", "sent", "skipped", "cancelled", "dead"]
UNSETTLED = ("pending", "sending")


class Mark(Struct, frozen=True, kw_only=True):
    """What somebody has asked for while the reminder was being sent."""

    does: Literal["cancel", "schedule", "reschedule"]
    content: Content | None = None
    """What is to be next; of a `reschedule`, the present content at another time."""
    is_own: bool = False
    """Asked for by the reminder's own `act`."""

    def is_same(self, other: "Mark") -> bool:
        """Whether both ask for the same, as given."""
        if self.content is None or other.content is None:
            return self.does == other.does
        return self.does == other.does and self.content.is_same(other.content)

    def fields(self) -> dict[str, Any]:
        """The mark as a record keeps it."""
        more = self.content.fields() if self.content else {}
        return {"does": self.does, "is_own": self.is_own, **more}


class Entry(Struct, frozen=True, kw_only=True):
    """What happened to a reminder, and when."""

    what: str
    """`scheduled`, `sending`, `waiting`, `sent`, `cancelled`, `rescheduled`, …"""
    at: datetime
    generation: int


class Record(Struct, frozen=True, kw_only=True):
    """What is stored about one reminder. All times are the server's."""

    reminder_id: str
    """`KIND:SUBJECT`."""
    content: Content
    generation: int
    """Grows with every schedule, and is never used again for this id; else it means nothing."""
    state: State
    alarm: Alarm | None = None
    """The last alarm that was set, or was to be."""
    mark: Mark | None = None
    history: Sequence[Entry] = ()
    """The latest last; at most KEPT."""
    write_ids: Sequence[str] = ()
    """Of the latest calls from outside a handler: by it such a call knows its own write."""

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return self.reminder_id.partition(":")[0]

    @property
    def subject(self) -> str:
        """What it is about."""
        return self.reminder_id.partition(":")[2]

    @property
    def user_id(self) -> str:
        """Whose it is."""
        return self.content.user_id

    @property
    def payload(self) -> Mapping[str, Any]:
        """What it was scheduled with."""
        return self.content.payload

    @property
    def due_at(self) -> datetime:
        """When it is due, or was."""
        return self.content.due_at

    @property
    def is_settled(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state not in UNSETTLED

    def due(self) -> Reminder:
        """As its kind gets it."""
        return Reminder(
            kind=self.kind,
            subject=self.subject,
            user_id=self.user_id,
            payload=self.payload,
            due_at=self.due_at,
        )

    def rings(self) -> Task | None:
        """The task of its last alarm."""
        return self.alarm.task(self.reminder_id, self.generation) if self.alarm else None


def path_of(reminder_id: str) -> str:
    """Where the record of a reminder is."""
    return f"{COLLECTION}/{firestore.document_id(reminder_id)}"


def decode(found: Snapshot) -> Record | None:
    """The record in a document; None: there is no document. Raises CorruptRecordError."""
    if not found.exists:
        return None
    try:
        record = _record(found.data)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise CorruptRecordError(f"{found.path} is no reminder: {error!r:.200}") from error
    if path_of(record.reminder_id) != found.path:
        # A copy by hand: its alarms would ring for the other one, and never settle this one.
        raise CorruptRecordError(f"{found.path} is the reminder {record.reminder_id!r:.200}")
    return record


def _record(data: Mapping[str, Any]) -> Record:
    state = _is(str, data["state"])
    if state not in get_args(State):
        raise ValueError(f"state is {state!r:.50}")
    alarm, mark = data.get("alarm"), data.get("mark")
    reminder_id = _is(str, data["reminder_id"])
    if not all(reminder_id.partition(":")):
        raise ValueError(f"reminder_id is {reminder_id!r:.50}")
    return Record(
        reminder_id=reminder_id,
        content=_content(data),
        generation=_whole(data["generation"]),
        state=state,
        alarm=_alarm(alarm) if alarm is not None else None,
        mark=_mark(mark) if mark is not None else None,
        history=[_entry(entry) for entry in data.get("history", ())],
        write_ids=[_is(str, it) for it in data.get("write_ids", ())],
    )


def own_mark(fields: Mapping[str, Any]) -> Mark | None:
    """The mark in what `act` writes to its own reminder; None: there is none."""
    mark = fields.get("mark", DELETE_FIELD)
    return None if mark is DELETE_FIELD else replace(_mark(mark), is_own=True)


def _content(data: Mapping[str, Any]) -> Content:
    return Content(
        user_id=_is(str, data["user_id"]),
        payload=_is(dict, data["payload"]),
        due_at=_is(datetime, data["due_at"]),
        # Version 0.1.0 did not write these two: no content is the same as one of those.
        what=_is(str, data.get("what", "")),
        when=_is(str, data.get("when", "")),
        cause=_is(str | None, data.get("cause")),
    )


def _mark(data: Mapping[str, Any]) -> Mark:
    does = _is(str, data["does"])
    if does not in ("cancel", "schedule", "reschedule"):
        raise ValueError(f"mark is {does!r:.50}")
    wanted = None if does == "cancel" else _content(data)
    return Mark(does=does, content=wanted, is_own=_is(bool, data["is_own"]))


def _alarm(data: Mapping[str, Any]) -> Alarm:
    return Alarm(
        queue=_is(str, data["queue"]),
        at=_is(datetime, data["at"]),
        setter=_is(str, data["setter"]),
    )


def _entry(data: Mapping[str, Any]) -> Entry:
    return Entry(
        what=_is(str, data["what"]),
        at=_is(datetime, data["at"]),
        generation=_whole(data["generation"]),
    )


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TypeError(f"{value!r:.50} is no generation")
    return value


def _is(expected: Any, value: Any) -> Any:
    if not isinstance(value, expected):
        raise TypeError(f"{value!r:.50} is no {expected}")
    return value
