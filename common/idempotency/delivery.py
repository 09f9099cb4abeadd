"""Every effect once: one claim per piece of work, in one Firestore document.

A handler gets a `Work` and returns what is to be stored with it:

    def on_order(work):
        work.write("order", lambda: [...])                     # Firestore effects, with their mark
        work.step("mail", lambda key: send(..., key=key))      # an outside effect, remembered
        return Outcome(result="sent", writes=[...])            # commits together with "done"

    answer = idempotency.run(Job(scope="consumer", key=event_id, ...), on_order)

The life of a record:

    (absent) ──claim──▶ claimed ──complete──▶ done
        ▲               ▲     │ │
        │               │     │ └──give up──▶ dead
     expired       claim│     │fail,           │
        │               │     │release, wait   │replay (that delivery alone)
        │               │     ▼                │
       any              └── waiting            └──▶ claimed, attempts at zero

    found                │ a delivery of the same work
    ─────────────────────┼──────────────────────────────────────────────────────────────────
    nothing, or expired  │ claims it and runs; a first one may do it `fast_path`, without a claim
    claimed, leased      │ InProgressError: ask again later
    claimed, lease over  │ takes it over and runs, alone in its process
    waiting              │ takes it over and runs
    (either, at the cap) │ Answer dead_lettered; for `hold` whenever an attempt has vanished
    done                 │ Answer duplicate, with the stored result
    dead                 │ Answer dead_lettered; a replay takes it over and runs
    other payload        │ KeyReusedError; a corrected replay of the dead without steps: runs
    unreadable           │ CorruptRecordError; a replay begins anew

How a run ends is the table in `common.idempotency.attempt`. The two clocks of a record are drawn in
`common.idempotency.record`. How the writes of a claim are fenced, and how a lost reply is told from
a lost claim, is in `common.idempotency.claim`; steps are in `common.idempotency.work`.

Costs, in Firestore operations, as `tests/bench/idempotency_counts.py` measures them; documents that
the work itself writes come in the same commits:

    outcome                                  │ commits │ of them refused │ reads
    ─────────────────────────────────────────┼─────────┼─────────────────┼──────
    first delivery                           │ 2       │ 0               │ 0
    each `step` and each `write`             │ +1      │ 0               │ 0
    each `last_step`                         │ 0       │ 0               │ 0
    first delivery, on its fast path         │ 1       │ 0               │ 0
    duplicate, in progress, dead already     │ 1       │ 1               │ 1
    after a failed or vanished attempt       │ 3       │ 1               │ 1

`fast_path` is for what is decided by reads and done by Firestore writes alone, such as an event
that turns out to need nothing. It may run twice at the same time; of its commits one is taken:

    Job(..., is_first=..., fast_path=lambda: None if is_news() else Outcome(result="skipped"))

What it promises is proven by `tests/common/proof`: there this code runs through every schedule of
three deliveries with everything that can go wrong between any two of its requests.
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
from common.idempotency.store import FirestoreStore, Store, check_size, record_id
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
    """Do the work, unless it is done, dead or in progress.

    Raises InProgressError (ask again later), KeyReusedError and CorruptRecordError (never ask
    again), or the error of an attempt that is worth another try.
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
        except Exception as error:  # the handler, under its claim, will meet it again
            logs.warning("failed", f"not on the fast path: {error}")
            return None

    def _fast_path(self, outcome: Outcome) -> Answer | None:
        record = self._request().fresh
        try:
            record = record.completed(to_json(outcome.result))
            check_size(record)
            self._store.create(record, outcome.writes)
        except (RefusedError, TransientError, PermanentError):
            return None
        return Answer(status="done", result=outcome.result)

    def _read_back(self) -> Claim | Answer | Decision:
        found = self._store.read(self._id)
        if found is None or found.record is None or found.record.owner != self._owner:
            return decide(found, self._request())
        # Our own write, its reply lost. It was sent after this delivery began.
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
                logs.info("duplicate", "this was done already")
                return Answer(status="duplicate", result=json.loads(decision.result))
            case DeadAlready():
                logs.info("duplicate", "this was dead-lettered already")
                return Answer(status="dead_lettered", result=decision.error)
            case InProgress():
                raise InProgressError(retry_after=decision.retry_after)
            case KeyReused():
                raise KeyReusedError(f"key {self._job.key!r:.200} was used for other work")
            case CorruptRecord():
                raise CorruptRecordError(f"the record of {self._job.key!r:.200} cannot be read")

    def _claim(self, decision: Acquire) -> Claim | None:
        if decision.is_exclusive and not self._is_exclusive:
            self.reserved.enter_context(
                self._process_lock.exclusive(patience=self._remaining() / 2)
            )
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
            remaining=self._remaining,
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
        )
        return Request(
            fresh=fresh,
            max_attempts=self.limits.max_attempts,
            on_unknown_outcome=self._job.on_unknown_outcome,
        )

    def _remaining(self) -> float:
        return self.limits.budget - (self._monotonic() - self._started)
