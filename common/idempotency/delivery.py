"""One delivery: the way to the claim of its work, or to the answer that makes a claim needless.

Each piece of work has one document in Firestore, its record; whoever claims the record does the
work. A handler gets a `Work` and returns an `Outcome`, which is stored with the record:

    from common.cloud.firestore import Merge
    from common.idempotency import Outcome, Work

    def on_booking(work: Work) -> Outcome:
        booking = Merge(path="bookings/b-1", fields={"booked_at": work.now})
        work.write("booking", lambda: [booking])          # a Firestore effect, with its mark
        work.step("mail", lambda key: f"sent under {key}")  # an outside effect, remembered
        seen = Merge(path="patients/ada", fields={"has_booked": True})
        return Outcome(result="sent", writes=[seen])      # commits together with "done"

`run` calls the handler for a `Job`, which names the work, unless the work is done, dead or in
progress.

The life of a record:

    (absent) ──claim──▶ claimed ──complete──▶ done
        ▲               ▲     │ │
        │               │     │ └─dead-letter─▶ dead
     expired       claim│     │fail,            │
        │               │     │release, wait    │replay (that delivery alone)
        │               │     ▼                 │
       any              └── waiting             └──▶ claimed, attempts at zero

    the record is        │ a delivery of the same work
    ─────────────────────┼──────────────────────────────────────────────────────────────────────
    absent, or expired   │ claims the work and runs the handler; one that the platform calls the
                         │ first may take the fast path, without a claim
    claimed, leased      │ raises InProgressError: ask again later
    claimed, lease over  │ takes the work over and runs the handler, alone in its process
    waiting              │ takes the work over and runs the handler
    (either, at the cap) │ answers dead_lettered; for `hold` whenever an attempt has vanished
    done                 │ answers duplicate, with the stored result
    dead                 │ answers dead_lettered; a replay takes the work over and runs the handler
    for another payload  │ raises KeyReusedError; a corrected replay of dead work of which no step
                         │ has finished runs the handler
    unreadable           │ raises CorruptRecordError; a replay begins anew

How an attempt ends is the table in `common.idempotency.attempt`. The two clocks of a record are
drawn in `common.idempotency.record`. How the writes of a claim are fenced, and how a lost reply is
told from a lost claim, is in `common.idempotency.claim`; steps are in `common.idempotency.work`.

What a delivery costs, in Firestore operations, as `tests/bench/idempotency_counts.py` measures
them; documents that the handler itself writes come in the same commits:

    outcome                                  │ commits │ of them refused │ reads
    ─────────────────────────────────────────┼─────────┼─────────────────┼──────
    first delivery                           │ 2       │ 0               │ 0
    each `step` and each `write`             │ +1      │ 0               │ 0
    each `last_step`                         │ 0       │ 0               │ 0
    first delivery, on its fast path         │ 1       │ 0               │ 0
    duplicate, in progress, dead already     │ 1       │ 1               │ 1
    after a failed or vanished attempt       │ 3       │ 1               │ 1

A job's `fast_path` is for what is decided by reads and done by Firestore writes alone, such as an
event that turns out to need nothing: it returns the Outcome, or None where it takes the handler.
Two deliveries may take the fast path at the same time; the commit of one of them is refused, and
that delivery finds the record of the other.

All of this is proven by `tests/common/idempotency/proof`: there this code runs through every
schedule of three deliveries, with everything that can go wrong between any two of its requests.
"""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime

from common.errors import (
    CorruptRecordError,
    InProgressError,
    KeyReusedError,
    PermanentError,
    RefusedError,
    TransientError,
)
from common.idempotency.attempt import Attempt, answer_of
from common.idempotency.claim import MAX_TRIES, Claim, token
from common.idempotency.exclusive import ProcessLock
from common.idempotency.fingerprint import fingerprint, to_json
from common.idempotency.job import Answer, Handler, Job, Limits, dead_letter_writes
from common.idempotency.record import (
    Acquire,
    CorruptRecord,
    DeadAlready,
    DeadLetter,
    Decision,
    Duplicate,
    InProgress,
    KeyReused,
    Record,
    Request,
    State,
    decide,
)
from common.idempotency.store import FirestoreStore, Store, record_id
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
    tokens: Callable[[], str] = token,
    process_lock: ProcessLock | None = None,
) -> Answer:
    """Do the work of this delivery, unless the work is done, dead or in progress.

    `handler` does the work, under a claim. Returns an Answer, after which the delivery may be
    acknowledged. Raises InProgressError (ask again later: another delivery is at the work), what
    the handler raised if that is worth another try (ask again), TransientError when the record
    cannot be read or written (ask again), KeyReusedError and CorruptRecordError (never ask again),
    and NothingToDoError as the handler raised it (the work is done).

    The limits are those of the settings unless given. The other arguments are for tests: where
    records are stored, a monotonic clock in seconds, random names, and the lock by which work runs
    alone in its process.
    """
    process_lock = process_lock or _process_lock
    delivery = _Delivery(job, store or _store, limits or _limits(), process_lock, monotonic, tokens)
    with process_lock.shared(), delivery.reserved:
        got = delivery.acquire()
        if isinstance(got, Answer):
            return got
        return Attempt(job, got, max_attempts=delivery.limits.max_attempts).run(handler)


_store = FirestoreStore()
_process_lock = ProcessLock()


def _limits() -> Limits:
    config = settings.current()
    return Limits(
        max_attempts=config.max_attempts, budget=config.handler_budget, lease=config.lease_seconds
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

    def acquire(self) -> Claim | Answer:
        """The claim, or the answer. Raises what `run` raises before the handler is called."""
        got = self._first()
        for tried in range(MAX_TRIES):
            if isinstance(got, Claim | Answer):
                return got
            if tried and self._remaining() <= 0:
                break
            got = self._carry_out(got) or self._read_back()
        if isinstance(got, Claim | Answer):
            return got
        raise TransientError("the record of this work keeps changing")

    def _first(self) -> Claim | Answer | Decision:
        outcome = self._declared()
        if outcome is None:
            return decide(None, self._request())
        return self._fast_path(outcome) or self._read_back()

    def _declared(self) -> Outcome | None:
        if not self._job.fast_path or not self._job.is_first or self._job.replay_of:
            return None
        try:
            return self._job.fast_path()
        except Exception as error:  # the handler, under its claim, will meet the error again
            logs.warning("failed", f"not on the fast path: {error}")
            return None

    def _fast_path(self, outcome: Outcome) -> Answer | None:
        record = self._request().fresh
        try:
            record = record.completed(to_json(outcome.result))
            self._store.create(record, outcome.writes)
        except (RefusedError, TransientError, PermanentError):
            return None
        return Answer(status="done", result=outcome.result)

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
            case DeadLetter():
                return self._dead_letter(decision)
            case Duplicate():
                logs.info("duplicate", "this work was done already")
                return Answer(status="duplicate", result=json.loads(decision.result))
            case DeadAlready():
                logs.info("duplicate", "this work was dead-lettered already")
                return Answer(status="dead_lettered", result=decision.error)
            case InProgress():
                raise InProgressError(retry_after=decision.retry_after)
            case KeyReused():
                raise KeyReusedError(f"key {self._job.key!r:.200} was used for other work")
            case CorruptRecord():
                raise CorruptRecordError(f"the record of {self._job.key!r:.200} cannot be read")

    def _claim(self, decision: Acquire) -> Claim | None:
        if decision.is_exclusive and not self._is_exclusive:
            patience = self._remaining() / 2
            self.reserved.enter_context(self._process_lock.exclusive(patience=patience))
            self._is_exclusive = True
        effects = self._job.writes_on_claim()
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
        logs.info("claimed", f"attempt {record.attempts} begins", attempt=record.attempts)
        return Claim(
            self._store,
            replace(record, first_seen=record.first_seen or time),
            time,
            renewed_at=sent,
            deadline=self._deadline,
            monotonic=self._monotonic,
            tokens=self._tokens,
        )

    def _dead_letter(self, decision: DeadLetter) -> Answer | None:
        effects = dead_letter_writes(self._job, decision.record, decision.reason)
        try:
            self._store.replace(decision.record, decision.fence, effects)
        except (RefusedError, TransientError):
            return None
        logs.error("dead_lettered", decision.record.error or "")
        return answer_of(decision.record)

    def _request(self) -> Request:
        fresh = Record(
            scope=self._job.scope,
            key=self._job.key,
            fingerprint=self._fingerprint,
            owner=self._owner,
            write_id=self._tokens(),
            lease_seconds=self.limits.lease,
            retention_seconds=self.limits.retention,
            replay_of=self._job.replay_of,
            part_of=self._job.part_of,
            user_id=self._job.origin.user_id,
        )
        return Request(
            fresh=fresh,
            max_attempts=self.limits.max_attempts,
            on_unknown_outcome=self._job.on_unknown_outcome,
        )

    def _remaining(self) -> float:
        return self._deadline - self._monotonic()
