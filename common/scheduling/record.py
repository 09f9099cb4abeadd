"""The record of a reminder: what is stored, and what becomes of it. No I/O, no clock of its own.

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
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from common.cloud import firestore
from common.cloud.firestore import DELETE_FIELD, Snapshot
from common.cloud.tasks import Task
from common.errors import CorruptRecordError, PermanentError, ResultNotStorableError
from common.idempotency.fingerprint import fingerprint, to_json
from common.scheduling import alarms
from common.scheduling.alarms import Alarm
from common.scheduling.kinds import Reminder, ReminderKind

COLLECTION = "reminders"
FORMAT = 1
"""Of a record; raised when a field changes its meaning."""
GRACE = timedelta(minutes=15)
"""How long after its time the sweep looks at an unsettled reminder; longer than a lease."""
RETENTION = timedelta(days=90)
"""How long after it was due, or was settled, a record is kept."""
MAX_PAYLOAD = 400_000
"""Bytes of a payload as JSON: a record may hold two, the second in a mark; a document 1 MiB."""
MAX_SUBJECT = 2048
"""Bytes: as many as an id of an event or of a user may have."""
KEPT = 20
"""Entries of a history, and write ids, that a record keeps: the latest."""

State = Literal["pending", "sending", "sent", "skipped", "cancelled", "dead"]
UNSETTLED = ("pending", "sending")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Content:
    """What is scheduled: for whom, what, and when."""

    user_id: str
    payload: Mapping[str, Any]
    """As Firestore can hold it."""
    due_at: datetime
    what: str
    """A digest of user and payload, as they were given."""
    when: str
    """The time as it was given: two calls that say `after` the same are the same."""
    cause: str | None = None
    """The key of the work that has asked for it; None: an application."""

    def is_same(self, other: "Content") -> bool:
        """Whether both say the same, as given."""
        return (self.what, self.when) == (other.what, other.when)

    def fields(self) -> dict[str, Any]:
        """Its part of a record or of a mark."""
        return {
            "user_id": self.user_id,
            "payload": self.payload,
            "due_at": self.due_at,
            "what": self.what,
            "when": self.when,
            "cause": self.cause,
        }


def content(
    *,
    user_id: str,
    payload: Mapping[str, Any] | None,
    at: datetime | None,
    after: timedelta | None,
    now: datetime,
    cause: str | None = None,
) -> Content:
    """What a call of `schedule` says. Raises PermanentError for what cannot be scheduled."""
    given = dict(payload or {})
    due, when = time_given(at, after, now)
    if not user_id:
        raise PermanentError("a reminder is for nobody: user_id is empty")
    try:
        size = len(to_json(given))
    except ResultNotStorableError as error:
        raise PermanentError(f"a reminder's payload is not JSON: {error}") from error
    if size > MAX_PAYLOAD:
        raise PermanentError(f"a reminder's payload has {size} bytes, more than {MAX_PAYLOAD}")
    return Content(
        user_id=user_id,
        payload=firestore.storable_fields(given),
        due_at=due,
        what=fingerprint({"user_id": user_id, "payload": given}),
        when=when,
        cause=cause,
    )


def time_said(at: datetime | None, after: timedelta | None) -> str:
    """How a call names a time: what two calls have in common that say the same.

    Raises PermanentError unless there is one of both, and `at` an aware time.
    """
    if (at is None) == (after is None):
        raise PermanentError("a reminder is due `at` a time or `after` a while: one of both")
    if after is not None:
        return f"after {after.total_seconds()} s"
    assert at is not None
    if at.utcoffset() is None:
        raise PermanentError(f"a reminder is due at {at}, a time without a zone")
    return at.astimezone(UTC).isoformat()


def time_given(at: datetime | None, after: timedelta | None, now: datetime) -> tuple[datetime, str]:
    """The time that a call names by `at` or by `after`, and how it names the time.

    Raises PermanentError as `time_said`, and for a time behind the year 9999.
    """
    said = time_said(at, after)
    try:
        return (at.astimezone(UTC) if at else now + (after or timedelta())), said
    except OverflowError as error:
        raise PermanentError(f"a reminder is due {said}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Mark:
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


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What happened to a reminder, and when."""

    what: str
    """`scheduled`, `sending`, `waiting`, `sent`, `cancelled`, `rescheduled`, …"""
    at: datetime
    generation: int


@dataclass(frozen=True, kw_only=True)
class Record:
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


@dataclass(frozen=True, kw_only=True)
class Change:
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


# As it is stored


def path_of(reminder_id: str) -> str:
    """Where the record of a reminder is."""
    return f"{COLLECTION}/{firestore.document_id(reminder_id)}"


def check_subject(subject: str) -> str:
    """The subject. Raises PermanentError for one that cannot name a reminder."""
    if not subject or len(subject.encode()) > MAX_SUBJECT:
        raise PermanentError(f"a reminder's subject is {subject!r:.100}: empty, or too long")
    return subject


def decode(found: Snapshot) -> Record | None:
    """The record in a document; None: there is no document. Raises CorruptRecordError."""
    if not found.exists:
        return None
    try:
        return _record(found.data)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise CorruptRecordError(f"{found.path} is no reminder: {error!r:.200}") from error


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
