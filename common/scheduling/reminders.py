"""Reminders: the record is the truth, its Cloud Task is only an alarm.

    (none) ──schedule──▶ pending ──ring, with the claim──▶ sending ──▶ sent, skipped or dead
                         │  ▲
                  cancel │  │ reschedule (a new generation; alarms of older ones find it settled)
                         ▼  │
                      cancelled

Scheduling enqueues first and commits the record with the event's mark afterwards, so a crash in
between leaves an alarm without a record, never a record without an alarm. `overdue_at` is there
while a reminder is unsettled: a sweep rings again what is past it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common import idempotency
from common.cloud import firestore, tasks
from common.cloud.firestore import DELETE_FIELD, Snapshot, Write
from common.cloud.tasks import Task
from common.errors import InProgressError, MalformedError, NothingToDoError
from common.idempotency import Answer, Job, Outcome, Work
from common.idempotency import claim as fencing
from common.process import logs, settings
from common.triggers import events
from common.triggers.http import Call

COLLECTION = "reminders"
QUEUE = "reminders"
FUNCTION = "reminder"
HOP = timedelta(days=28)
"""The longest single delay: Cloud Tasks takes 30 days, and forgets a task after 31."""
EARLY = timedelta(seconds=30)
"""An alarm that rings this early counts as due."""
GRACE = timedelta(minutes=15)
"""How long after its time an unsettled reminder is rung again; longer than a lease."""
RETENTION = timedelta(days=90)
SWEPT = 1000
"""Overdue reminders that one sweep rings; the next one goes on."""


@dataclass(frozen=True, kw_only=True)
class Reminder:
    """A reminder that is due."""

    kind: str
    user_id: str
    payload: Mapping[str, Any]


Send = Callable[[Reminder, Work], Outcome]
"""Checks again whether it still makes sense, then sends; its result is `sent` or `skipped`."""


def schedule(
    work: Work, kind: str, subject: str, *, user_id: str, payload: Mapping[str, Any], at: datetime
) -> Write:
    """Set the alarm; returns the write of the record, for the commit of the event's mark.

    `subject` makes the reminder one of its kind: scheduling it again starts a new generation.
    """
    found = firestore.read(_path(kind, subject))
    generation = int(found.data.get("generation", 0)) + 1
    reminder_id = f"{kind}:{subject}"
    _set_alarm(reminder_id, generation, now=work.now, due=at, setter=work.token)
    return found.write(
        {
            "reminder_id": reminder_id,
            "kind": kind,
            "user_id": user_id,
            "payload": firestore.storable_fields(payload),
            "due_at": at,
            "generation": generation,
            "state": "pending",
            "overdue_at": at + GRACE,
            "updated_at": work.now,
            "expire_at": at + RETENTION,
        }
    )


def cancel(kind: str, subject: str) -> list[Write]:
    """The writes that cancel a pending reminder; none where there is nothing to cancel."""
    found = firestore.read(_path(kind, subject))
    if found.data.get("state") != "pending":
        return []
    logs.info("cancelled", f"reminder {kind}:{subject}")
    return [found.write({"state": "cancelled", "overdue_at": DELETE_FIELD})]


def ring(call: Call, kinds: Mapping[str, Send]) -> Answer:
    """An alarm rang: send what is due, or say why not.

    Raises NothingToDoError, InProgressError, and what the sending raises.
    """
    alarm = _Alarm(call, kinds)
    alarm.look()
    return idempotency.run(alarm.job(), alarm.send)


def sweep(call: Call) -> Answer:
    """Ring again what is overdue: an alarm was lost, or whoever was sending it vanished."""
    tick = call.tick or call.task or fencing.token()
    job = Job(scope="fanout", key=f"sweep:{tick}", identity="reminder_sweep", payload=call.raw)
    with logs.bound(campaign="reminder_sweep"):
        return idempotency.run(job, lambda work: _ring_overdue(work, tick))


def _ring_overdue(work: Work, tick: str) -> Outcome:
    overdue = firestore.query(COLLECTION, ("overdue_at", "<", work.now), limit=SWEPT)
    alarms = [
        _alarm(found.data["reminder_id"], found.data["generation"], work.now, setter=tick)
        for found in overdue
    ]
    tasks.enqueue_all(alarms)
    logs.info("enqueued", f"{len(alarms)} overdue reminders are rung again")
    return Outcome(result="enqueued")


class _Alarm:
    """One ringing of one reminder."""

    def __init__(self, call: Call, kinds: Mapping[str, Send]) -> None:
        self._call = call
        self._id = events.text(call.body, "reminder_id")
        self._generation = events.whole(call.body, "generation")
        kind, _, self._subject = self._id.partition(":")
        if kind not in kinds or not self._subject:
            raise MalformedError(f"{self._id!r:.200} is no reminder of a known kind")
        self._kind = kind
        self._send = kinds[kind]
        self._path = _path(kind, self._subject)

    def job(self) -> Job:
        return Job(
            scope=FUNCTION,
            key=f"{self._id}:{self._generation}",
            identity={"reminder_id": self._id, "generation": self._generation},
            payload=self._call.raw,
            replay_of=self._call.replay_of,
            writes_on_claim=self._begin,
            writes_on_dead_letter=lambda: self._settle("dead"),
        )

    def look(self) -> Snapshot:
        """The record, if it is due. Raises what an alarm answers that has nothing to send."""
        found = firestore.read(self._path)
        if int(found.data.get("generation", 0)) < self._generation:
            self._miss(found)
        if found.data["generation"] > self._generation:
            raise NothingToDoError("skipped", "a newer reminder has taken its place")
        state = found.data["state"]
        if state in ("cancelled", "skipped"):
            raise NothingToDoError("skipped", f"the reminder is {state}")
        if state == "sent":
            raise NothingToDoError("duplicate", "the reminder is sent")
        if state == "pending" and found.data["due_at"] - found.read_time > EARLY:
            self._hop(found)
        return found

    def send(self, work: Work) -> Outcome:
        """Under the claim: send it, and settle the record with the done mark."""
        found = firestore.read(self._path)
        reminder = Reminder(
            kind=self._kind, user_id=found.data["user_id"], payload=found.data["payload"]
        )
        outcome = self._send(reminder, work)
        settled = self._settle(str(outcome.result))
        return Outcome(result=outcome.result, writes=[*outcome.writes, *settled])

    def _begin(self) -> Sequence[Write]:
        # Only the commit that moves it from pending (or, replayed, from dead) allows sending.
        found = self.look()
        if found.data["state"] == "sending":
            return []
        # If nobody settles it by then, a sweep rings it again.
        later = found.read_time + GRACE
        return [found.write({"state": "sending", "overdue_at": later})]

    def _settle(self, state: str) -> list[Write]:
        found = firestore.read(self._path)
        if found.data.get("generation") != self._generation:
            return []
        return [found.write({"state": state, "overdue_at": DELETE_FIELD})]

    def _miss(self, found: Snapshot) -> None:
        # The alarm is set before the record is committed.
        due = self._call.due_at
        lease = settings.current().lease_seconds
        if due is not None and (found.read_time - due).total_seconds() <= lease:
            raise InProgressError("the reminder is not recorded yet")
        raise NothingToDoError("skipped", "there is no such reminder")

    def _hop(self, found: Snapshot) -> None:
        setter = self._call.task or "by hand"
        due: datetime = found.data["due_at"]
        _set_alarm(self._id, self._generation, now=found.read_time, due=due, setter=setter)
        raise NothingToDoError("enqueued", f"it is due at {due.isoformat()}")


def _set_alarm(
    reminder_id: str, generation: int, *, now: datetime, due: datetime, setter: str
) -> None:
    tasks.enqueue(_alarm(reminder_id, generation, min(due, now + HOP), setter))


def _alarm(reminder_id: str, generation: int, at: datetime, setter: str) -> Task:
    # A name is used once: who sets the alarm is part of it.
    here = settings.current()
    return Task(
        queue=QUEUE,
        url=here.reminder_url,
        body={"reminder_id": reminder_id, "generation": generation},
        identity=(QUEUE, reminder_id, str(generation), at.isoformat(), setter),
        at=at,
        audience=here.reminder_audience,
    )


def _path(kind: str, subject: str) -> str:
    return f"{COLLECTION}/{firestore.document_id(f'{kind}:{subject}')}"
