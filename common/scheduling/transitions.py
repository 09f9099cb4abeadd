"""What becomes of a reminder's record. No I/O, no clock of its own.

                     cancel                      cancel
    (none)         ┌──────────▶ cancelled ◀────────────┐
      │ schedule   │                                   │
      ▼            │        ring, with the claim       │
    pending ───────┴──────────────────▶ sending ───────┼──▶ sent, skipped
     ▲ │  ▲                             │ │ ▲          └──▶ dead, with its dead letter
     └─┘  └──── waits, nobody sends ────┘ └─┘ mark                │
    schedule, reschedule:                  cancel, schedule       └── replay ──▶ sending
    the next generation                    and reschedule by others

While a reminder is `sending`, whoever holds its claim decides: others leave a mark, and this is
what becomes of the mark:

    the attempt ends         │ no mark     │ cancel     │ schedule        │ reschedule
    ─────────────────────────┼─────────────┼────────────┼─────────────────┼────────────────────
    sent                     │ sent        │ sent       │ next generation │ sent
    skipped                  │ skipped     │ cancelled  │ next generation │ skipped
    scheduled again by `act` │ next, as it │ cancelled  │ next generation │ next, at that time
                             │ was asked   │            │ of the mark     │
    waits, nothing happened  │ pending     │ cancelled  │ next generation │ next, at that time
    waits, may have happened │ sending     │ (the next ring settles it)   │ sending
    given up                 │ dead        │ cancelled  │ next generation │ dead
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from common.cloud.firestore import DELETE_FIELD
from common.cloud.tasks import Task
from common.scheduling import alarms
from common.scheduling.alarms import Alarm
from common.scheduling.content import Content, time_given
from common.scheduling.kinds import ReminderKind
from common.scheduling.record import FORMAT, KEPT, Entry, Mark, Record, State

GRACE = timedelta(minutes=15)
"""How long after its time the sweep looks at an unsettled reminder; longer than a lease."""
RETENTION = timedelta(days=90)
"""How long after it was due, or was settled, a record is kept."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND


class Change(Struct, frozen=True, kw_only=True):
    """What a call or a ring makes of a record."""

    result: str
    fields: Mapping[str, Any] | None = None
    """What is written; None: nothing."""
    alarm: Task | None = None
    """What is to be set."""


# Asked for: by an event, by an application, by the reminder's own `act`


def scheduled(
    record: Record | None,
    kind: ReminderKind,
    subject: str,
    wanted: Content,
    *,
    now: datetime,
    setter: str,
    is_own: bool = False,
) -> Change:
    """Schedule: the result is `scheduled`, `unchanged`, or `in_flight` (this comes after it)."""
    if record is None or record.is_settled:
        return _next(record, kind, subject, wanted, now=now, setter=setter)
    mark = record.mark
    if is_own and mark and not mark.is_own and mark.does != "reschedule":
        return Change(result="unchanged")  # what others asked for meanwhile wins
    if wanted.is_same(record.content) and not is_own:
        return Change(result="unchanged", fields={"mark": DELETE_FIELD} if mark else None)
    if record.state == "pending":
        return _next(record, kind, subject, wanted, now=now, setter=setter)
    if mark and mark.does == "schedule" and mark.content and wanted.is_same(mark.content):
        return Change(result="unchanged")
    return _marked(record, Mark(does="schedule", content=wanted, is_own=is_own))


def rescheduled(
    record: Record | None,
    kind: ReminderKind,
    *,
    at: datetime | None,
    after: timedelta | None,
    now: datetime,
    setter: str,
) -> Change:
    """Move in time: `rescheduled`, `unchanged`, `in_flight`, `already_sent` or `unknown`."""
    due, when = time_given(at, after, now)
    if record is None or record.is_settled:
        is_sent = record is not None and record.state == "sent"
        return Change(result="already_sent" if is_sent else "unknown")
    mark = record.mark
    if mark and mark.does == "cancel":
        return Change(result="unknown")
    moved = replace(
        mark.content if mark and mark.content else record.content, due_at=due, when=when
    )
    if mark and mark.does == "schedule":
        return _marked(record, replace(mark, content=moved))
    if when == record.content.when:
        return Change(result="unchanged", fields={"mark": DELETE_FIELD} if mark else None)
    if record.state == "sending":
        return _marked(record, Mark(does="reschedule", content=moved))
    change = _next(record, kind, record.subject, moved, now=now, setter=setter)
    return replace(change, result="rescheduled")


def cancelled(record: Record | None, *, now: datetime) -> Change:
    """Cancel: `cancelled` (it is not sent), `already_sent`, `in_flight` or `unknown`."""
    if record is None:
        return Change(result="unknown")
    match record.state:
        case "sent":
            return Change(result="already_sent")
        case "cancelled" | "skipped":
            return Change(result="cancelled")
        case "sending":
            return _marked(record, Mark(does="cancel"))
    return Change(result="cancelled", fields=_settled(record, "cancelled", now))


def _marked(record: Record, mark: Mark) -> Change:
    is_there = record.mark is not None and record.mark.is_same(mark)
    return Change(result="in_flight", fields=None if is_there else {"mark": mark.fields()})


# What a ring makes of it


def begun(record: Record, now: datetime) -> tuple[Record, dict[str, Any]]:
    """With the claim: it is being sent. The record then, and what is written."""
    then = replace(record, state="sending", history=_entries(record, "sending", now))
    fields = {
        "state": then.state,
        "overdue_at": now + GRACE,
        "history": [_encoded(entry) for entry in then.history],
        "updated_at": now,
    }
    return then, fields


def done(
    record: Record,
    state: Literal["sent", "skipped"],
    own: Mark | None,
    kind: ReminderKind,
    *,
    now: datetime,
    setter: str,
) -> Change:
    """With the done mark. `own` is what `act` has asked for itself; the result is the answer's."""
    others = record.mark if record.mark and not record.mark.is_own else None
    again = own or (record.mark if others is None else None)
    following = again.content if again else None
    match others.does if others else None:
        case "cancel" if following or state == "skipped":
            return Change(result=state, fields=_settled(record, "cancelled", now, state))
        case "schedule" if others and others.content:
            return _follow(record, kind, others.content, state, [state], now, setter)
        case "reschedule" if following and others and others.content:
            at, when = others.content.due_at, others.content.when
            following = replace(following, due_at=at, when=when)
    if following:
        what = [state, "rescheduled"]
        return _follow(record, kind, following, "rescheduled", what, now, setter)
    return Change(result=state, fields=_settled(record, state, now))


def put_back(
    record: Record,
    kind: ReminderKind,
    *,
    now: datetime,
    setter: str,
    alarm: Alarm | None = None,
) -> Change:
    """With a wait: nobody has sent it, nobody is sending it. `alarm` rings for the next try; None:
    whoever brought this ring brings it again."""
    mark = record.mark
    if mark and mark.does == "cancel":
        return Change(result="cancelled", fields=_settled(record, "cancelled", now))
    if mark and mark.content:
        return _follow(record, kind, mark.content, "waiting", ["waiting"], now, setter)
    fields = {
        "state": "pending",
        "overdue_at": (alarm.at if alarm else now) + GRACE,
        "history": _history(record, "waiting", now),
        "updated_at": now,
    }
    if alarm:
        fields["alarm"] = alarm.fields(record.reminder_id, record.generation)
    return Change(result="waiting", fields=fields)


def waits(record: Record, alarm: Alarm, now: datetime) -> dict[str, Any]:
    """With a wait, and it may have been sent: it is still being sent, and is tried again."""
    return {
        "alarm": alarm.fields(record.reminder_id, record.generation),
        "overdue_at": alarm.at + GRACE,
        "history": _history(record, "waiting", now),
        "updated_at": now,
    }


def given_up(record: Record, kind: ReminderKind | None, *, now: datetime, setter: str) -> Change:
    """With a dead letter."""
    mark = record.mark
    if mark and mark.does == "cancel":
        return Change(result="cancelled", fields=_settled(record, "cancelled", now, "dead"))
    if kind and mark and mark.does == "schedule" and mark.content:
        return _follow(record, kind, mark.content, "dead", ["dead"], now, setter)
    return Change(result="dead", fields=_settled(record, "dead", now))


def buried(now: datetime) -> dict[str, Any]:
    """For a document that nobody can ring: no sweep finds it again."""
    return {"state": "dead", "overdue_at": DELETE_FIELD, "mark": DELETE_FIELD, "updated_at": now}


def put_off(record: Record, alarm: Alarm, now: datetime, due: datetime | None = None) -> Change:
    """Another alarm is set for it; `due`: it is due later than it was."""
    due_at = due or record.due_at
    fields = {
        "alarm": alarm.fields(record.reminder_id, record.generation),
        "overdue_at": max(due_at, now) + GRACE,
        "updated_at": now,
    }
    if due:
        fields |= {
            "due_at": due,
            "history": _history(record, "put off", now),
            "expire_at": due + RETENTION,
        }
    task = alarm.task(record.reminder_id, record.generation)
    return Change(result="waiting" if due else "enqueued", fields=fields, alarm=task)


def looked_at(now: datetime) -> dict[str, Any]:
    """Its alarm is there: the sweep looks again later, and at the others first."""
    return {"overdue_at": now + GRACE}


def generation_after(last: int, now: datetime) -> int:
    """The next generation: by the server's clock, so that an erased record takes nothing along."""
    return max(last + 1, (now - _EPOCH) // _MICROSECOND)


def time_of(generation: int) -> datetime:
    """When a generation was scheduled, by the server's clock; any time for another number."""
    return _EPOCH + min(generation, _LAST) * _MICROSECOND


def _follow(
    record: Record,
    kind: ReminderKind,
    wanted: Content,
    result: str,
    what: Sequence[str],
    now: datetime,
    setter: str,
) -> Change:
    """The next generation takes the place of one that ends so."""
    history = record
    for entry in dict.fromkeys(what):
        history = replace(history, history=_entries(history, entry, now))
    change = _next(history, kind, record.subject, wanted, now=now, setter=setter)
    return replace(change, result=result)


def _next(
    record: Record | None,
    kind: ReminderKind,
    subject: str,
    wanted: Content,
    *,
    now: datetime,
    setter: str,
) -> Change:
    reminder_id = kind.id_of(subject)
    generation = generation_after(record.generation if record else 0, now)
    alarm = alarms.first(kind.queue, wanted.due_at, now, setter)
    entry = Entry(what="scheduled", at=now, generation=generation)
    entries = [*record.history, entry][-KEPT:] if record else [entry]
    fields = {
        "format": FORMAT,
        "reminder_id": reminder_id,
        "kind": kind.name,
        **wanted.fields(),
        "generation": generation,
        "state": "pending",
        "alarm": alarm.fields(reminder_id, generation),
        "overdue_at": max(wanted.due_at, now) + GRACE,
        "history": [_encoded(it) for it in entries],
        "updated_at": now,
        "expire_at": max(wanted.due_at, now) + RETENTION,
    }
    if record and record.mark:
        fields["mark"] = DELETE_FIELD
    return Change(result="scheduled", fields=fields, alarm=alarm.task(reminder_id, generation))


def _settled(record: Record, state: State, now: datetime, also: str = "") -> dict[str, Any]:
    if also:
        record = replace(record, history=_entries(record, also, now))
    fields = {
        "state": state,
        "overdue_at": DELETE_FIELD,
        "history": _history(record, state, now),
        "updated_at": now,
        "expire_at": max(record.due_at, now) + RETENTION,
    }
    return {**fields, "mark": DELETE_FIELD} if record.mark else fields


def _history(record: Record, what: str, now: datetime) -> list[dict[str, Any]]:
    return [_encoded(entry) for entry in _entries(record, what, now)]


def _entries(record: Record, what: str, now: datetime) -> list[Entry]:
    entry = Entry(what=what, at=now, generation=record.generation)
    return [*record.history, entry][-KEPT:]


def _encoded(entry: Entry) -> dict[str, Any]:
    return {"what": entry.what, "at": entry.at, "generation": entry.generation}
