"""Reminders: the record is the truth, its Cloud Task is only an alarm.

    (none) ──schedule──▶ pending ──ring, with the claim──▶ sending ──▶ sent, skipped or dead
                          │  ▲
                   cancel │  │ schedule again (a new generation; alarms of older ones find it)
                          ▼  │
                       cancelled

Scheduling sets the alarm first and commits the record with the mark of its event afterwards, so a
crash in between leaves an alarm without a record, never a record without an alarm. `overdue_at` is
there while a reminder is unsettled: `common.scheduling.sweep` rings again what is past it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from common import idempotency
from common.cloud import firestore, tasks
from common.cloud.firestore import DELETE_FIELD, Snapshot, Write
from common.cloud.tasks import Task
from common.errors import InProgressError, MalformedError, NothingToDoError, PermanentError
from common.idempotency import Answer, Call, Job, Outcome, Work
from common.process import logs, settings, tables

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


@dataclass(frozen=True, kw_only=True)
class Reminder:
    """A reminder that is due."""

    kind: str
    subject: str
    user_id: str
    payload: Mapping[str, Any]


def _always(reminder: Reminder) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class ReminderKind:
    """A kind of reminder, declared once: what to check and what to do when one is due."""

    name: str
    """Literal, without a colon; a reminder is named `KIND:SUBJECT`."""
    act: Callable[[Reminder, Work], Outcome]
    """Does what is due; the result of its outcome is `sent` (or None, which counts as `sent`) or
    `skipped`. NothingToDoError counts as `skipped`."""
    check: Callable[[Reminder], bool] = _always
    """Whether the reminder still makes sense; where it does not, it is `skipped`. This is not asked
    any more once a step of `act` has finished."""


def schedule(
    work: Work,
    kind: ReminderKind,
    subject: str,
    *,
    user_id: str,
    payload: Mapping[str, Any],
    at: datetime,
) -> Write:
    """Set the alarm; returns the write of the record, for the commit of the event's mark.

    `subject` makes the reminder one of its kind: scheduling it again starts a new generation.
    Raises ConfigurationError for a kind that no function lists, PermanentError for a time `at`
    without a zone, and what `tasks.enqueue` raises.
    """
    if at.tzinfo is None:
        raise PermanentError(f"a reminder {kind.name} is due at {at}, a time without a zone")
    tables.check_listed(kind)
    reminder_id = f"{kind.name}:{subject}"
    found = firestore.read(path_of(reminder_id))
    generation = int(found.data.get("generation", 0)) + 1
    # Called again after a conflict, it must not rely on its first alarm, which may have rung.
    setter = f"{work.token} {found.read_time.isoformat()}"
    _set_alarm(reminder_id, generation, now=work.now, due=at, setter=setter)
    return found.write(
        {
            "reminder_id": reminder_id,
            "kind": kind.name,
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


def cancel(kind: ReminderKind, subject: str) -> list[Write]:
    """The writes that cancel a pending reminder; none where there is nothing to cancel."""
    reminder_id = f"{kind.name}:{subject}"
    found = firestore.read(path_of(reminder_id))
    if found.data.get("state") != "pending":
        return []
    logs.info("cancelled", f"reminder {reminder_id}")
    return [found.write({"state": "cancelled", "overdue_at": DELETE_FIELD})]


def ring(call: Call, kinds: Mapping[str, ReminderKind]) -> Answer:
    """An alarm rang: do what is due, or say why not.

    `kinds` is the function's table. Raises MalformedError, NothingToDoError, InProgressError, and
    what the doing raises.
    """
    ringing = _Ringing(call, kinds)
    ringing.look()
    return idempotency.run(ringing.job(), ringing.act)


def alarm(reminder_id: str, generation: int, at: datetime, setter: str) -> Task:
    """The task that rings a reminder at that time.

    The name of a task is used once: `setter`, who sets the alarm, is part of it.
    """
    config = settings.current()
    return Task(
        queue=QUEUE,
        url=config.reminder_url,
        body={"reminder_id": reminder_id, "generation": generation},
        identity=(QUEUE, reminder_id, str(generation), at.isoformat(), setter),
        at=at,
        audience=config.reminder_audience,
    )


def path_of(reminder_id: str) -> str:
    """Where the record of a reminder is."""
    return f"{COLLECTION}/{firestore.document_id(reminder_id)}"


class _Ringing:
    """One ringing of one reminder.

    The record is read once, before the claim. The commit of the claim moves it to `sending`,
    provided that it is still as it was read. So under the claim what was read still holds, and the
    last write of the record is the claim's.
    """

    def __init__(self, call: Call, kinds: Mapping[str, ReminderKind]) -> None:
        self._call = call
        self._id = call.text("reminder_id")
        self._generation = call.whole("generation")
        if self._generation < 1:
            raise MalformedError("generation is 0, but the first one is 1")
        name, _, self._subject = self._id.partition(":")
        if name not in kinds or not self._subject:
            raise MalformedError(f"{self._id!r:.200} is no reminder of a known kind")
        self._kind = kinds[name]
        self._looked: Snapshot | None = None
        """The record as `look` found it, until a commit has relied on it."""
        self._claimed: Snapshot | None = None
        """The record that the last tried claim relied on, until the handler has taken it."""
        self._reminder: Reminder | None = None

    def job(self) -> Job:
        return Job(
            scope=FUNCTION,
            key=f"{self._id}:{self._generation}",
            identity={"reminder_id": self._id, "generation": self._generation},
            payload=self._call.raw,
            replay_of=self._call.replay_of,
            writes_on_claim=self._begin,
            writes_on_dead_letter=lambda: self._settle(self._read(), "dead"),
        )

    def look(self) -> None:
        """Read the record. Raises what an alarm answers that has nothing to do."""
        found = self._read()
        generation = int(found.data.get("generation", 0))
        if generation < self._generation:
            self._miss(found)
        if generation > self._generation:
            raise NothingToDoError("skipped", "a newer reminder has taken its place")
        state = found.data["state"]
        if state in ("cancelled", "skipped"):
            raise NothingToDoError("skipped", f"the reminder is {state}")
        if state == "sent":
            raise NothingToDoError("duplicate", "the reminder is sent")
        if state == "pending" and found.data["due_at"] - found.read_time > EARLY:
            self._hop(found)
        self._looked = found

    def act(self, work: Work) -> Outcome:
        """Under the claim: do it, and settle the record with the done mark."""
        found = self._under_claim(work)
        try:
            outcome = self._do(found, work)
        except NothingToDoError as error:
            logs.info("skipped", str(error))
            outcome = Outcome(result="skipped")
        state = "sent" if outcome.result is None else str(outcome.result)
        settled = self._settle(found, state)
        return Outcome(result=state, writes=[*outcome.writes, *settled])

    def _do(self, found: Snapshot, work: Work) -> Outcome:
        reminder = self._reminder = self._reminder or self._due(found)
        if work.has_begun or (self._is_mine(found) and self._kind.check(reminder)):
            return self._kind.act(reminder, work)
        return Outcome(result="skipped")

    def _begin(self) -> Sequence[Write]:
        # Only the commit that moves it from pending (or, replayed, from dead) allows sending. What
        # was read serves one commit; if that is refused, the next one relies on what is there then.
        if self._looked is None:
            self.look()
        found, self._looked = self._looked, None
        assert found is not None
        self._claimed = found
        # If nobody settles it by then, a sweep rings it again.
        later = found.read_time + GRACE
        return [found.write({"state": "sending", "overdue_at": later})]

    def _under_claim(self, work: Work) -> Snapshot:
        """The record as the claim left it; where the handler is called again, as it is now."""
        claimed, self._claimed = self._claimed, None
        return self._read() if claimed is None else replace(claimed, update_time=work.now)

    def _due(self, found: Snapshot) -> Reminder:
        return Reminder(
            kind=self._kind.name,
            subject=self._subject,
            user_id=found.data["user_id"],
            payload=found.data["payload"],
        )

    def _is_mine(self, found: Snapshot) -> bool:
        return bool(found.data.get("generation") == self._generation)

    def _settle(self, found: Snapshot, state: str) -> list[Write]:
        if not self._is_mine(found):
            return []
        return [found.write({"state": state, "overdue_at": DELETE_FIELD})]

    def _read(self) -> Snapshot:
        return firestore.read(path_of(self._id))

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
    tasks.enqueue(alarm(reminder_id, generation, min(due, now + HOP), setter))
