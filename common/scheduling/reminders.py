"""Reminders: deferred work, due now or in 400 days. The record is the truth, its task an alarm.

A kind of reminder is declared once; a reminder is a kind and a subject. From an application, or a
shell, these are calls:

    from datetime import timedelta

    from common.cloud import firestore, tasks
    from common.cloud.memory import MemoryFirestore, MemoryTasks
    from common.idempotency import Outcome, Work
    from common.scheduling import reminders
    from common.scheduling.reminders import Reminder, ReminderKind

    def ask(due: Reminder, work: Work) -> Outcome:
        work.effect("mail", lambda key: f"sent to {due.user_id} under {key}")
        return Outcome(result="sent")

    REVIEW = ReminderKind(name="review", act=ask)

    def example() -> None:
        reminders.schedule(REVIEW, "o-1", user_id="ada", after=timedelta(days=7))
        assert [it.subject for it in reminders.pending("ada")] == ["o-1"]
        assert reminders.reschedule(REVIEW, "o-1", after=timedelta(days=3)) == "rescheduled"
        assert reminders.cancel(REVIEW, "o-1") == "cancelled"

In a handler, they are writes that commit with its work: `reminders.within(work).schedule(…)`. In
the kind's own `act` this is how a reminder recurs. What becomes of a record is drawn in
`common.scheduling.transitions`, what an alarm does in `common.scheduling.ringing`; the sweep looks
after what has lost its alarm.

What this promises is proven by `tests/common/scheduling/proof`: there this code runs through every
interleaving of scheduling, moving, cancelling, ringing and sweeping one reminder.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from common.cloud import firestore
from common.errors import CorruptRecordError
from common.idempotency import Work
from common.process import logs, tables
from common.scheduling import content as contents
from common.scheduling import record as records
from common.scheduling import transitions
from common.scheduling.kinds import Reminder, ReminderKind
from common.scheduling.outside import Asked
from common.scheduling.record import Entry, Record
from common.scheduling.within import Within, read

__all__ = [
    "Entry",
    "Record",
    "Reminder",
    "ReminderKind",
    "cancel",
    "get",
    "pending",
    "reschedule",
    "schedule",
    "within",
]


def within(work: Work) -> Within:
    """The same for a handler: its `schedule`, `reschedule` and `cancel` return writes."""
    return Within(work)


def schedule(
    kind: ReminderKind,
    subject: str,
    *,
    user_id: str,
    payload: Mapping[str, Any] | None = None,
    at: datetime | None = None,
    after: timedelta | None = None,
    request: str | None = None,
) -> str:
    """Schedule the reminder of this kind about `subject`, `at` an aware time or `after` a while.

    `user_id` is whose it is, `payload` a JSON object that `act` gets. Returns

    - `scheduled`: it is; one that waited with other content has been replaced
    - `unchanged`: the same waits, or is being sent: the same user, payload, and time as given
    - `in_flight`: another is being sent at this moment; this one comes after it

    A call without an answer may be repeated; under one `request` (any text of yours, as the id of a
    form) it is done once, even if the reminder was sent or cancelled meanwhile. Raises
    ConfigurationError for a kind that no function lists, PermanentError for what can never be
    scheduled, TransientError when it is not known whether it was, InProgressError while the same
    request is being done.
    """
    tables.check_listed(kind)
    checked = contents.check_subject(subject)
    when = contents.time_said(at, after)

    def compute(record: Record | None, now: datetime, setter: str) -> transitions.Change:
        wanted = contents.content(user_id=user_id, payload=payload, at=at, after=after, now=now)
        return transitions.scheduled(record, kind, checked, wanted, now=now, setter=setter)

    identity = {"does": "schedule", "user_id": user_id, "payload": payload, "when": when}
    return Asked(
        kind=kind,
        subject=checked,
        identity=identity,
        compute=compute,
        write=lambda work: work.schedule(
            kind, checked, user_id=user_id, payload=payload, at=at, after=after
        ),
    ).done(request)


def reschedule(
    kind: ReminderKind,
    subject: str,
    *,
    at: datetime | None = None,
    after: timedelta | None = None,
    request: str | None = None,
) -> str:
    """Move a reminder that waits to another time. Returns

    - `rescheduled`: it is due then
    - `unchanged`: it was due then, as given, before
    - `in_flight`: it is being sent at this moment; if it is not sent, it is due then
    - `already_sent`
    - `unknown`: none waits

    Never makes two messages out of one. `request` and errors are those of `schedule`.
    """
    tables.check_listed(kind)
    checked = contents.check_subject(subject)
    when = contents.time_said(at, after)

    def compute(record: Record | None, now: datetime, setter: str) -> transitions.Change:
        return transitions.rescheduled(record, kind, at=at, after=after, now=now, setter=setter)

    return Asked(
        kind=kind,
        subject=checked,
        identity={"does": "reschedule", "when": when},
        compute=compute,
        write=lambda work: work.reschedule(kind, checked, at=at, after=after),
    ).done(request)


def cancel(kind: ReminderKind, subject: str, *, request: str | None = None) -> str:
    """Cancel a reminder. Returns

    - `cancelled`: it was not sent, and is not sent any more
    - `already_sent`
    - `in_flight`: it is being sent at this moment; it may go out, and nothing after it
    - `unknown`: there is no such reminder

    `request` and errors are those of `schedule`.
    """
    tables.check_listed(kind)
    checked = contents.check_subject(subject)
    return Asked(
        kind=kind,
        subject=checked,
        identity={"does": "cancel"},
        compute=lambda record, now, setter: transitions.cancelled(record, now=now),
        write=lambda work: work.cancel(kind, checked),
    ).done(request)


def get(kind: ReminderKind, subject: str) -> Record | None:
    """The reminder about that subject, as it stands; None: there is none, or nobody can read it.

    Raises TransientError when it cannot be read now.
    """
    return read(kind, subject)[1]


def pending(user_id: str) -> list[Record]:
    """The reminders of a user that wait, or are being sent, the next one first.

    Raises TransientError when they cannot be read now.
    """
    unsettled = list(records.UNSETTLED)
    found = firestore.query(
        records.COLLECTION, ("user_id", "==", user_id), ("state", "in", unsettled)
    )
    waiting = []
    for each in found:
        try:
            record = records.decode(each)
        except CorruptRecordError as error:
            logs.error("failed", str(error))
            continue
        if record is not None:
            waiting.append(record)
    return sorted(waiting, key=lambda record: record.due_at)
