"""One delivery: the way to the claim of its work, or to the answer that makes a claim needless.

Each piece of work has one document in Firestore, its record; whoever claims the record does the
work. A handler gets a `Work` and returns an `Outcome`, which is stored with the record:

    from common.cloud.firestore import Merge
    from common.idempotency import Outcome, Work

    def on_booking(work: Work) -> Outcome:
        booking = Merge(path="bookings/b-1", fields={"booked_at": work.now})
        work.write("booking", lambda: [booking])            # a Firestore effect, with its mark
        work.effect("mail", lambda key: f"sent under {key}")  # an outside effect, remembered
        seen = Merge(path="patients/ada", fields={"has_booked": True})
        return Outcome(result="sent", writes=[seen])        # commits together with "done"

`run` calls the handler for a `Job`, which names the work, unless the work is done, dead, handed
over or in progress.

The life of a record:

    (absent) ──claim──▶ claimed ──complete──▶ done
        ▲               ▲     │ │
        │               │     │ └─dead-letter─▶ dead
     expired       claim│     │wait,            │
        │               │     │release          │replay (that delivery alone)
        │               │     ▼                 │
       any              └── waiting             └──▶ claimed, attempts begin anew

    the record is        │ a delivery of the same work
    ─────────────────────┼──────────────────────────────────────────────────────────────────────
    absent, or expired   │ claims the work and runs the handler; on one that the platform calls
                         │ the first, the claim waits for the first thing that needs it
    claimed, leased      │ raises InProgressError: ask again later
    claimed, lease over  │ takes the work over and runs the handler, alone in its process; where
                         │ attempts vanished before, hands over, or raises InProgressError, until a
                         │ growing pause is over; the twelfth time answers dead_lettered
    waiting              │ takes the work over and runs the handler
    waiting, handed over │ answers waiting; whoever rings for the work takes it over
    done                 │ answers duplicate, with the stored result
    dead                 │ answers dead_lettered; a replay of the work's or of an effect's dead
                         │ letter takes the work over and runs the handler
    for another payload  │ raises KeyReusedError; a replay may bring a corrected one, and then both
                         │ are this work, and the newest is run
    unreadable           │ raises CorruptRecordError; a replay begins anew

How an attempt ends is the table in `common.idempotency.attempt`, what is waited for and how long in
`common.idempotency.waits`. The two clocks of a record are drawn in `common.idempotency.decision`.
How the writes of a claim are fenced, and how a lost reply is told from a lost claim, is in
`common.idempotency.claim`; steps and effects are in `common.idempotency.work`.

What a delivery costs, in Firestore operations, as `tests/bench/idempotency_counts.py` measures
them; documents that the handler itself writes come in the same commits:

    outcome                                        │ commits │ of them refused │ reads
    ───────────────────────────────────────────────┼─────────┼─────────────────┼──────
    first delivery, Firestore alone                │ 1       │ 0               │ 0
    first delivery, with outside effects           │ 2       │ 0               │ 0
    a delivery that nobody calls the first         │ 2       │ 0               │ 0
    each `step`; each `write` after an effect      │ +1      │ 0               │ 0
    each `effect`; if it cannot be repeated        │ 0; +1   │ 0               │ 0
    duplicate, in progress, waiting, dead already  │ 1       │ 1               │ 1
    after a wait, or a vanished attempt            │ 3       │ 1               │ 1

All of this is proven by `tests/common/idempotency/proof`: there this code runs through every
schedule of three deliveries, with everything that can go wrong between any two of its requests.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime

from msgspec.structs import replace

from common.cloud.firestore import Write
from common.errors import (
    ClaimFirstError,
    CorruptRecordError,
    InProgressError,
    KeyReusedError,
    RefusedError,
    TransientError,
    UnknownOutcomeError,
)
from common.idempotency.attempt import Attempt, set_alarm
from common.idempotency.claim import MAX_TRIES, Claim, token
from common.idempotency.decision import (
    Acquire,
    CorruptRecord,
    DeadAlready,
    DeadLetter,
    Decision,
    Duplicate,
    HandedOver,
    HandOver,
    InProgress,
    KeyReused,
    NeedsForce,
    Request,
    decide,
)
from common.idempotency.exclusive import ProcessLock
from common.idempotency.fingerprint import fingerprint
from common.idempotency.job import Answer, Ended, Handler, Job, Limits, answer_of, dead_letter
from common.idempotency.record import WHOLE, Record, State, record_id
from common.idempotency.store import FirestoreStore, Store
from common.idempotency.waits import spread
from common.idempotency.work import Outcome, Work
from common.process import logs, settings

__all__ = ["Answer", "Handler", "Job", "Limits", "Outcome", "Work", "run"]


def run(
    job: Job,
    handler: Handler,
    *,
    store: Store | None = None,
    limits: Limits | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    tokens: Callable[[], str] = token,
    process_lock: ProcessLock | None = None,
) -> Answer:
    """Do the work of this delivery, unless the work is done, dead, handed over or in progress.

    `handler` does the work, under a claim. Returns an Answer, after which the delivery may be
    acknowledged. Raises InProgressError (ask again later: another delivery is at the work), what
    the handler raised if that is worth another try and cannot be handed over (ask again),
    TransientError when the record cannot be read or written (ask again), KeyReusedError,
    UnknownOutcomeError and CorruptRecordError (never ask again), and NothingToDoError as the
    handler raised it (the work is done).

    The limits are those of the settings unless given. The other arguments are for tests: where
    records are stored, a monotonic clock in seconds, how to wait, random names, and the lock by
    which work runs alone in its process.
    """
    process_lock = process_lock or _process_lock
    delivery = _Delivery(job, store or _store, limits or _limits(), process_lock, monotonic, tokens)

    def attempt(claim: Claim) -> Answer:
        return Attempt(job, claim, patience=delivery.limits.patience, sleep=sleep).run(handler)

    with process_lock.shared(patience=delivery.limits.turn), delivery.reserved:
        if (waiting := delivery.waiting_claim()) is not None:
            with suppress(ClaimFirstError):
                return attempt(waiting)
        got = delivery.acquire(is_second_try=waiting is not None)
        return got if isinstance(got, Answer) else attempt(got)


_store = FirestoreStore()
_process_lock = ProcessLock()


def _limits() -> Limits:
    config = settings.current()
    return Limits(
        max_attempts=config.max_attempts,
        budget=config.handler_budget,
        lease=config.lease_seconds,
        outage_patience=config.outage_patience,
    )


class _Delivery:
    """One delivery's way to its claim, or to the answer that makes one needless."""

    def __init__(
        self,
        job: Job,
        store: Store,
        limits: Limits,
        process_lock: ProcessLock,
        monotonic: Callable[[], float],
        tokens: Callable[[], str],
    ) -> None:
        self.limits = limits
        self.reserved = ExitStack()
        """Closed when the delivery ends; until then the process may be reserved for it."""
        self._job = job
        self._store = store
        self._process_lock = process_lock
        self._monotonic = monotonic
        self._tokens = tokens
        self._started = monotonic()
        self._deadline = self._started + limits.budget
        self._id = record_id(job.scope, job.key)
        self._fingerprint = fingerprint(job.identity)
        self._owner = tokens()
        self._is_exclusive = False

    def waiting_claim(self) -> Claim | None:
        """A claim that is written by the first thing that needs it; None: it has to come first.

        Only on a delivery that is surely the first, and there alone: what kills the process before
        its claim is counted at the second.
        """
        job = self._job
        if not job.is_first or job.replay_of or job.is_ringing or job.writes_on_claim:
            return None
        return self._made(self._request().fresh, None, self._started)

    def acquire(self, *, is_second_try: bool) -> Claim | Answer:
        """The claim, or the answer. Raises what `run` raises before the handler is called.

        After a first try, whatever came of it is looked at first.
        """
        got = self._read_back() if is_second_try else decide(None, self._request())
        for tried in range(MAX_TRIES):
            if isinstance(got, Claim | Answer):
                return got
            if tried and self._remaining() <= 0:
                break
            got = self._carry_out(got) or self._read_back()
        if isinstance(got, Claim | Answer):
            return got
        raise TransientError("the record of this work keeps changing")

    def _read_back(self) -> Claim | Answer | Decision:
        found = self._store.read(self._id)
        if found is None or found.record is None or found.record.owner != self._owner:
            return decide(found, self._request())
        # A write of this very delivery, whose reply was lost; it was sent after the delivery began.
        if found.record.state is State.CLAIMED:
            record = replace(found.record, key=self._job.key)
            return self._held(record, found.update_time, self._started)
        return answer_of(found.record)

    def _carry_out(self, decision: Decision) -> Claim | Answer | None:
        match decision:
            case Acquire():
                return self._claim(decision)
            case HandOver():
                return self._hand_over(decision)
            case DeadLetter():
                return self._dead_letter(decision)
            case Duplicate():
                logs.info("duplicate", "this work was done already")
                return Answer(status="duplicate", result=json.loads(decision.result))
            case DeadAlready():
                logs.info("duplicate", "this work was dead-lettered already")
                return Answer(status="dead_lettered", result=decision.error)
            case HandedOver():
                logs.info("duplicate", "this work waits for its alarm")
                return Answer(status="waiting")
            case InProgress():
                raise InProgressError(retry_after=spread(decision.retry_after, self._owner))
            case KeyReused():
                raise KeyReusedError(f"key {self._job.key!r:.200} was used for other work")
            case NeedsForce():
                raise UnknownOutcomeError(
                    "what this corrects may have happened: without force it is not corrected"
                )
            case CorruptRecord():
                raise CorruptRecordError(f"the record of {self._job.key!r:.200} cannot be read")

    def _claim(self, decision: Acquire) -> Claim | None:
        if decision.is_exclusive and not self._is_exclusive:
            alone = self._process_lock.exclusive(
                patience=self._remaining() / 2, turn=self.limits.turn
            )
            self.reserved.enter_context(alone)
            self._is_exclusive = True
        effects = self._job.writes_on_claim() if self._job.writes_on_claim else ()
        sent = self._monotonic()
        try:
            if decision.fence is None:
                time = self._store.create(decision.record, effects)
            else:
                time = self._store.replace(decision.record, decision.fence, effects)
        except (RefusedError, TransientError):
            return None
        return self._held(decision.record, time, sent)

    def _held(self, record: Record, time: datetime, sent: float) -> Claim:
        _log_claimed(record)
        return self._made(replace(record, first_seen=record.first_seen or time), time, sent)

    def _made(self, record: Record, fence: datetime | None, sent: float) -> Claim:
        return Claim(
            self._store,
            record,
            fence,
            renewed_at=sent,
            deadline=self._deadline,
            monotonic=self._monotonic,
            tokens=self._tokens,
        )

    def _hand_over(self, decision: HandOver) -> Answer | None:
        assert self._job.deferral is not None
        record = decision.record
        ended = Ended(state="waiting", now=decision.fence, resume_at=record.resume_at)
        set_alarm(self._job.deferral, ended)
        if not self._is_written(record, decision.fence, self._job.deferral.writes(ended)):
            return None
        text = f"{record.vanished} attempts in a row have vanished"
        logs.warning("waiting", text, reason="vanished", vanished=record.vanished)
        return Answer(status="waiting")

    def _dead_letter(self, decision: DeadLetter) -> Answer | None:
        record = decision.record
        letter = dead_letter(self._job, record, WHOLE, record.dead[WHOLE])
        ended = Ended(
            state="dead",
            now=decision.fence,
            error=record.error,
            was_handed_over=decision.was_handed_over,
        )
        deferral = self._job.deferral
        others = [*self._job.writes_on_dead_letter(), *(deferral.writes(ended) if deferral else ())]
        if not self._is_written(record, decision.fence, [letter, *others]):
            return None
        logs.error("dead_lettered", record.error or "")
        return answer_of(record)

    def _is_written(self, record: Record, fence: datetime, effects: Sequence[Write]) -> bool:
        try:
            self._store.replace(record, fence, effects)
        except (RefusedError, TransientError):
            return False
        return True

    def _request(self) -> Request:
        fresh = Record(
            scope=self._job.scope,
            key=self._job.key,
            fingerprint=self._fingerprint,
            owner=self._owner,
            write_id=self._tokens(),
            lease_seconds=self.limits.lease,
            retention_seconds=self.limits.retention,
            part_of=self._job.part_of,
            user_id=self._job.origin.user_id,
            about=tuple(self._job.origin.about),
        )
        return Request(
            fresh=fresh,
            patience=self.limits.patience,
            replay_of=self._job.replay_of,
            is_forced=self._job.is_forced,
            is_ringing=self._job.is_ringing,
            may_hand_over=self._job.deferral is not None,
        )

    def _remaining(self) -> float:
        return self._deadline - self._monotonic()


def _log_claimed(record: Record) -> None:
    """Say that an attempt begins; a warning where the last ones wrote no end, so wrote no line."""
    text = f"attempt {record.attempts} begins"
    if record.vanished:
        text += f"; {record.vanished} before it vanished"
        logs.warning("claimed", text, attempt=record.attempts, vanished=record.vanished)
    else:
        logs.info("claimed", text, attempt=record.attempts)
