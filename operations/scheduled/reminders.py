"""Reminders as an operator sees them: which wait, of whom, for what."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Snapshot
from common.process import tables
from common.scheduling import reminders
from common.scheduling.reminders import ReminderKind
from operations.errors import NotFoundError, UsageError

COLLECTION = "reminders"
PAGE = 300
COLUMNS = ("id", "state", "user_id", "due_at", "generation")
WAITING = ("pending", "sending")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which reminders; None matches all."""

    user_id: str | None = None
    kind: str | None = None
    states: tuple[str, ...] = WAITING
    """Empty: whatever their state."""
    due_before: datetime | None = None

    def conditions(self) -> list[tuple[str, str, Any]]:
        """What Firestore can check without an index of our own."""
        pairs = (("user_id", self.user_id), ("kind", self.kind))
        equal = [(name, "==", value) for name, value in pairs if value is not None]
        if len(self.states) == 1:
            equal.append(("state", "==", self.states[0]))
        return equal

    def matches(self, found: Snapshot) -> bool:
        """Whether the rest is as wanted too."""
        due = found.data.get("due_at")
        is_due = self.due_before is None or (isinstance(due, datetime) and due < self.due_before)
        return is_due and (not self.states or found.data.get("state") in self.states)


def find(wanted: Filter) -> Iterator[Snapshot]:
    """The reminders that match, page by page."""
    conditions = [wanted.conditions()]
    if len(wanted.states) > 1:
        # One query for each state: those that wait are few among all that ever were.
        conditions = [[*wanted.conditions(), ("state", "==", state)] for state in wanted.states]
    for each in conditions:
        for page in firestore.pages(COLLECTION, *each, size=PAGE):
            yield from filter(wanted.matches, page)


def listed(wanted: Filter, limit: int | None) -> list[dict[str, Any]]:
    """The rows of a list, those due first first."""
    rows = [row(found) for found in find(wanted)]
    rows.sort(key=lambda it: str(it["due_at"]))
    return rows[:limit]


def row(found: Snapshot) -> dict[str, Any]:
    """A reminder in a list."""
    kept = {
        name: value for name, value in found.data.items() if name not in ("payload", "expire_at")
    }
    name = kept.pop("reminder_id", None)
    first = ("state", "kind", "user_id", "due_at", "generation")
    return {
        "id": name or firestore.original_name(found.path.rpartition("/")[2]),
        **{field: kept.pop(field, None) for field in first},
        **dict(sorted(kept.items())),  # Firestore keeps no order of fields
    }


def get(reminder_id: str) -> Snapshot:
    """One reminder, by `KIND:SUBJECT`. Raises NotFoundError."""
    found = firestore.read(f"{COLLECTION}/{firestore.document_id(reminder_id)}")
    if not found.exists:
        raise NotFoundError(f"there is no reminder {reminder_id}; a reminder is named KIND:SUBJECT")
    return found


def cancel(reminder_id: str) -> str:
    """Cancel a reminder: `cancelled`, `already_sent`, `in_flight` or `unknown`. Raises UsageError.

    After `cancelled` it is not sent any more.
    """
    kind, subject = _declared(reminder_id)
    return reminders.cancel(kind, subject)


def reschedule(reminder_id: str, *, at: datetime | None, after: timedelta | None) -> str:
    """Move a reminder to another time: `rescheduled`, `unchanged`, `in_flight`, `already_sent` or
    `unknown`. Raises UsageError."""
    kind, subject = _declared(reminder_id)
    return reminders.reschedule(kind, subject, at=at, after=after)


def _declared(reminder_id: str) -> tuple[ReminderKind, str]:
    name, separator, subject = reminder_id.partition(":")
    kinds = {kind.name: kind for kind in tables.listed(ReminderKind)}
    if not separator or not subject:
        raise UsageError(f"{reminder_id!r} names no reminder; a reminder is named KIND:SUBJECT")
    if name not in kinds:
        known = ", ".join(sorted(kinds))
        raise UsageError(f"{name!r} is no kind of reminder of this bundle; those are {known}")
    return kinds[name], subject
