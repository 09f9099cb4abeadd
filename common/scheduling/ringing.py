"""Ringing: an alarm has come, and its reminder is done, once, if that still makes sense.

alarm ──▶ look at the record ──▶ claim, with pending → sending ──▶ check, act ──▶ done, with sent
            │                                                          │
            ├─ none yet: 409, until a lease has passed                 └─ waits: back to pending
            ├─ settled, or a newer generation: nothing to do
            ├─ too early, or quiet hours: the next alarm, and nothing else
            └─ no record, or of a kind that nobody lists: dead, with a dead letter
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from common import idempotency
from common.cloud import firestore
from common.cloud.firestore import Snapshot, Update, Write
from common.errors import (
    CorruptRecordError,
    InProgressError,
    MalformedError,
    NothingToDoError,
    PermanentError,
    RefusedError,
)
from common.idempotency import Answer, Call, Job, Outcome, Work
from common.idempotency.job import Ended
from common.idempotency.origin import Origin
from common.process import logs, settings
from common.scheduling import alarms, transitions
from common.scheduling import record as records
from common.scheduling.alarms import EARLY, Alarm
from common.scheduling.kinds import ReminderKind
from common.scheduling.record import Mark, Record
from common.scheduling.transitions import Change

FUNCTION = "reminder"


def ring(call: Call, kinds: Mapping[str, ReminderKind]) -> Answer:
    """Do the reminder that this alarm rings, if it is due and makes sense; at most once.

    `kinds` is the function's table. Raises MalformedError, NothingToDoError, InProgressError, and
    what the doing raises.
    """
    reminder_id, generation = call.text("reminder_id"), call.whole("generation")
    if generation < 1:
        raise MalformedError("generation is 0, but the first one is 1")
    if not all(reminder_id.partition(":")):
        raise MalformedError(f"{reminder_id!r:.200} is no reminder of any kind")
    logs.bind(reminder_id=reminder_id, generation=generation)
    found = firestore.read(records.path_of(reminder_id))
    kind = kinds.get(reminder_id.partition(":")[0])
    try:
        record = records.decode(found)
        if kind is None:
            raise MalformedError(f"{reminder_id!r:.200} is no reminder of a known kind")
    except PermanentError as error:
        return _refuse(found, error, reminder_id, generation)
    ringing = _Ringing(call, kind, reminder_id, generation)
    ringing.look(found, record)
    return idempotency.run(ringing.job(), ringing.act)


def bury(found: Snapshot, error: PermanentError, reminder_id: str) -> Answer:
    """Settle a document that nobody can ring as dead, with a dead letter; once, whoever finds it.

    Raises what `idempotency.run` raises.
    """
    generation, user_id = found.data.get("generation"), found.data.get("user_id")
    is_one = isinstance(generation, int)
    body = {"reminder_id": reminder_id, "generation": generation if is_one else str(generation)}
    job = Job(
        scope=FUNCTION,
        key=":".join(map(str, body.values())),
        identity=body,
        payload=json.dumps(body).encode(),
        origin=Origin(user_id=user_id if isinstance(user_id, str) else None),
        writes_on_dead_letter=lambda: _settling_as_dead(found.path),
    )

    def give_up(work: Work) -> Outcome:
        raise error

    answer = idempotency.run(job, give_up)
    if again := _settling_as_dead(found.path):  # it was dead before, and somebody has revived it
        firestore.commit(again)
    return answer


def _settling_as_dead(path: str) -> list[Write]:
    found = firestore.read(path)
    is_settled = found.data.get("state") == "dead" and "overdue_at" not in found.data
    if is_settled or not found.exists:
        return []
    return [found.write(transitions.buried(found.read_time))]


def _refuse(found: Snapshot, error: PermanentError, reminder_id: str, generation: int) -> Answer:
    """Refuse an alarm that nobody can do; a record that waits for the alarm is dead then."""
    is_corrupt = isinstance(error, CorruptRecordError)
    if not is_corrupt and found.data.get("generation") != generation:
        raise error
    if not is_corrupt and found.data["state"] in ("sent", "skipped", "cancelled"):
        raise NothingToDoError("skipped", f"{error}, and it is {found.data['state']}")
    return bury(found, error, reminder_id)


class _Ringing:
    """One ringing of one reminder.

    The record is read once, before the claim. The commit of the claim moves it to `sending`,
    provided that it is still as it was read. So under the claim what was read still holds, and the
    last write of the record is the claim's.
    """

    def __init__(self, call: Call, kind: ReminderKind, reminder_id: str, generation: int) -> None:
        self._call = call
        self._kind = kind
        self._id = reminder_id
        self._generation = generation
        self._looked: tuple[Snapshot, Record] | None = None
        """The record as `look` found it, until a commit has relied on it."""
        self._held: tuple[Snapshot, Record] | None = None
        """The record as the last tried claim leaves it, until somebody has relied on that."""
        self._relied_on: tuple[Snapshot, Record | None] | None = None
        """The record as the handler saw it last, until the attempt's end has relied on that."""
        self._due: Record | None = None
        """The record as the handler saw it first."""
        self._work: Work | None = None
        self._may_have_happened = False
        """Whether an earlier attempt vanished, or ended in doubt."""

    def job(self) -> Job:
        """The work of the reminder that was looked at."""
        assert self._looked is not None
        user_id = self._looked[1].user_id
        return Job(
            scope=FUNCTION,
            key=f"{self._id}:{self._generation}",
            identity={"reminder_id": self._id, "generation": self._generation},
            payload=self._call.raw,
            # Whoever erases the user ends what is under way, too.
            origin=replace(self._call.origin, user_id=user_id),
            replay_of=self._call.replay_of,
            writes_on_claim=self._begin,
            writes_on_wait=self._put_back,
            writes_on_dead_letter=self._give_up,
            on_unknown_outcome=self._kind.on_unknown_outcome,
            is_ringing=True,
            deferral=self,
        )

    # Before the claim

    def look(self, found: Snapshot, record: Record | None) -> None:
        """Look at the record. Raises what an alarm answers that has nothing to do."""
        if record is None or record.generation < self._generation:
            self._miss(found)
        assert record is not None
        if record.generation > self._generation:
            raise NothingToDoError("skipped", "a newer reminder has taken its place")
        if record.state in ("cancelled", "skipped"):
            raise NothingToDoError("skipped", f"the reminder is {record.state}")
        if record.state == "sent":
            raise NothingToDoError("duplicate", "the reminder is sent")
        if self._is_superseded(record, found.read_time):
            raise NothingToDoError("enqueued", "another alarm rings for it")
        if record.state == "pending":
            self._check_time(found, record)
        self._looked = found, record

    def _miss(self, found: Snapshot) -> None:
        # The record may be committed after its alarm was set; one that is overdue rings at once.
        due = alarms.rings_for(self._call)
        made = transitions.time_of(self._generation)
        if due is not None and due < made <= found.read_time:
            due = made
        lease = settings.current().lease_seconds
        if due is not None and (found.read_time - due).total_seconds() <= lease:
            raise InProgressError("the reminder is not recorded yet")
        raise NothingToDoError("skipped", "there is no such reminder")

    def _check_time(self, found: Snapshot, record: Record) -> None:
        now = found.read_time
        if record.due_at - now > EARLY:
            self._put_off(found, record, None)
            raise NothingToDoError("enqueued", f"it is due at {record.due_at.isoformat()}")
        quiet = self._kind.quiet
        if quiet and (until := quiet.until(now, record.user_id)):
            self._put_off(found, record, until)
            raise NothingToDoError("waiting", f"quiet hours until {until.isoformat()}")

    def _is_superseded(self, record: Record, now: datetime) -> bool:
        """Whether the record names an alarm that is still to ring, and this one is older.

        Each time an alarm is delivered again it would else try what waits once more, and set one
        alarm more: twice as many after every pause of an outage.
        """
        alarm, rung_for = record.alarm, alarms.rings_for(self._call)
        if alarm is None or rung_for is None or alarm.at <= now or self._call.replay_of:
            return False
        return alarm.at - rung_for > EARLY

    def _put_off(self, found: Snapshot, record: Record, until: datetime | None) -> None:
        now, due = found.read_time, until or record.due_at
        alarm = alarms.first(self._kind.queue, due, now, self._call.task or "by hand")
        change = transitions.put_off(record, alarm, now, until)
        assert change.alarm is not None
        assert change.fields is not None
        alarms.set_now(change.alarm)
        try:
            firestore.commit([found.write(change.fields)])
        except RefusedError as error:
            raise InProgressError("the reminder has just changed") from error

    # The writes that go with what becomes of the claim

    def _begin(self) -> Sequence[Write]:
        # Only the commit that moves it from pending (or, replayed, from dead) allows sending. What
        # was read serves one commit; if that is refused, the next one relies on what is there then.
        if self._looked is None:
            self.look(*self._read())
        assert self._looked is not None
        (found, record), self._looked = self._looked, None
        self._may_have_happened = record.state == "sending"
        then, fields = transitions.begun(record, found.read_time)
        self._held = found, then
        return [found.write(fields)]

    def _put_back(self) -> Sequence[Write]:
        relied_on, self._relied_on = self._relied_on, None
        found, record = relied_on or self._read()
        if record is None or not self._is_mine(record) or self._may_have_happened:
            return []
        if self._work is None or self._work.has_begun:
            return []  # something of it has gone out: it is to be finished
        now, setter = found.read_time, self._setter(found)
        return _written(found, transitions.put_back(record, self._kind, now=now, setter=setter))

    def set_alarm(self, ended: Ended) -> None:
        """See `Deferral`: it is tried again then."""
        alarms.set_now(self._next_try(ended).task(self._id, self._generation))

    def writes(self, ended: Ended) -> Sequence[Write]:
        """See `Deferral`: while nobody sends, it can be cancelled."""
        if ended.state != "waiting":
            return []  # that is in the outcome, or goes with the dead letter
        relied_on, self._relied_on = self._relied_on, None
        found, record = relied_on or self._read()
        if record is None or not self._is_mine(record):
            return []
        alarm, now = self._next_try(ended), found.read_time
        if ended.is_outcome_unknown or self._is_under_way():
            return [found.write(transitions.waits(record, alarm, now))]
        setter = self._setter(found)
        return _written(
            found, transitions.put_back(record, self._kind, now=now, setter=setter, alarm=alarm)
        )

    def _next_try(self, ended: Ended) -> Alarm:
        assert ended.now is not None
        assert ended.resume_at is not None
        setter = f"{self._call.task or 'by hand'} {ended.now.isoformat()}"
        return alarms.first(self._kind.queue, ended.resume_at, ended.now, setter)

    def _is_under_way(self) -> bool:
        """Whether something of it has gone out, or may have."""
        return self._may_have_happened or self._work is None or self._work.has_begun

    def _give_up(self) -> Sequence[Write]:
        found, record = self._read()
        if record is None or record.generation != self._generation or record.is_settled:
            return []
        now, setter = found.read_time, self._setter(found)
        return _written(found, transitions.given_up(record, self._kind, now=now, setter=setter))

    def _setter(self, found: Snapshot) -> str:
        return f"{self._call.task or 'by hand'} {found.read_time.isoformat()}"

    # Under the claim

    def act(self, work: Work) -> Outcome:
        """Do it, and settle the record with the done mark."""
        self._work = work
        found, record = self._relied_on = self._current(work)
        self._due = self._due or record
        is_mine = record is not None and self._is_mine(record)
        if record is not None and is_mine and not work.has_begun and _is_stopped(record.mark):
            return self._settled(found, record, "skipped", [], work)
        outcome = self._do(record if is_mine else None, work)
        if record is None or not is_mine:
            return replace(outcome, writes=self._others(outcome.writes))
        state = str(outcome.result)
        return self._settled(found, record, state, outcome.writes, work)

    def _do(self, record: Record | None, work: Work) -> Outcome:
        """What the kind does; its result is `sent` or `skipped`."""
        due = self._due.due() if self._due else None
        try:
            if due and (work.has_begun or (record is not None and self._kind.check(due))):
                outcome = self._kind.act(due, work)
                result = "skipped" if outcome.result in ("skipped", "rescheduled") else "sent"
                return replace(outcome, result=result)
        except NothingToDoError as error:
            logs.info("skipped", str(error))
        return Outcome(result="skipped")

    def _settled(
        self, found: Snapshot, record: Record, state: str, writes: Sequence[Write], work: Work
    ) -> Outcome:
        own = next((mark for it in writes if (mark := self._own_mark(it))), None)
        change = transitions.done(
            record,
            "sent" if state == "sent" else "skipped",
            own,
            self._kind,
            now=work.now,
            setter=f"{work.token} {found.read_time.isoformat()}",
        )
        if change.alarm is not None:
            alarm = change.alarm
            work.before_done(f"alarm of {self._id}", lambda: alarms.set_if_possible(alarm))
        settled = [found.write(change.fields)] if change.fields else []
        return Outcome(result=change.result, writes=[*self._others(writes), *settled])

    def _own_mark(self, write: Write) -> Mark | None:
        """What `act` asks of this very reminder, as `reminders.within` has written it."""
        if not isinstance(write, Update) or write.path != records.path_of(self._id):
            return None
        return records.own_mark(write.fields)

    def _others(self, writes: Sequence[Write]) -> list[Write]:
        return [write for write in writes if write.path != records.path_of(self._id)]

    def _current(self, work: Work) -> tuple[Snapshot, Record | None]:
        """The record as the claim left it; where it has been relied on before, as it is now."""
        held, self._held = self._held, None
        if held is None:
            return self._read()
        found, record = held
        return replace(found, update_time=work.now), record

    def _is_mine(self, record: Record) -> bool:
        return record.generation == self._generation and record.state == "sending"

    def _read(self) -> tuple[Snapshot, Record | None]:
        found = firestore.read(records.path_of(self._id))
        return found, records.decode(found)


def _is_stopped(mark: Mark | None) -> bool:
    """Whether nothing more is to be sent of what has not begun."""
    return mark is not None and mark.does in ("cancel", "schedule") and not mark.is_own


def _written(found: Snapshot, change: Change) -> list[Write]:
    if change.alarm is not None:
        alarms.set_if_possible(change.alarm)
    return [found.write(change.fields)] if change.fields else []
