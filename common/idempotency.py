"""Every effect once: one claim per piece of work, in one Firestore document.

A handler gets a `Work` and returns what is to be stored with it:

    def on_order(work):
        work.write("order", lambda: [...])                     # Firestore effects, with their mark
        work.step("mail", lambda key: send(..., key=key))      # an outside effect, remembered
        return Outcome(result="sent", writes=[...])            # commits together with "done"

What a delivery of the same work gets is the table in `common.claims`; `run` carries it out:

    run ── claim ──▶ handler ── complete ─▶ done               Answer done
            │           ├── EffectConflictError: the handler again, finished steps kept
            │           ├── PermanentError, or the last attempt ─▶ dead     Answer dead_lettered
            │           ├── NotYetError ─▶ waiting, uncounted               raised: asked again
            │           ├── any other error ─▶ waiting, counted             raised: asked again
            │           └── LostClaimError: somebody else owns it now       raised: asked again
            ├── done already                                                Answer duplicate
            ├── dead already                                                Answer dead_lettered
            └── held by another                                             InProgressError raised

Costs, in Firestore operations: first delivery 2 writes, and 1 for each step but the last; duplicate
or in progress 1 refused create and 1 read; takeover 1 refused create, 1 read and 2 writes.

Who holds a claim, and for how long, is drawn in `common.claims`; how its writes are fenced and how
a lost reply is told from a lost claim, in `common.fencing`; steps are in `common.work`.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from common import claims, dead_letters, documents, logs, settings, shutdown
from common.claims import Ask, Found, Record, Stale, State
from common.documents import Write
from common.errors import (
    EffectConflictError,
    InProgressError,
    KeyReusedError,
    NothingToDoError,
    NotYetError,
    PermanentError,
    RefusedError,
    TransientError,
)
from common.fencing import ROUNDS, Claim, token
from common.fingerprints import fingerprint
from common.records import FirestoreStore, Store, record_id
from common.room import Room
from common.work import Outcome, Work

__all__ = ["Answer", "Handler", "Job", "Limits", "Outcome", "Work", "run"]

RETENTION = timedelta(days=60)
"""Longer than Cloud Tasks may redeliver (31 days) and than a dead letter of the same key lives."""
PATIENCE = timedelta(hours=12)
"""How long work may wait for something that has not happened yet."""

Handler = Callable[[Work], Outcome]
"""Does the work. Called again from the start when a document it read has changed meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How often and how long, in seconds: `budget` < function timeout < `lease`."""

    max_attempts: int
    budget: float
    lease: float
    retention: float = RETENTION.total_seconds()


@dataclass(frozen=True, kw_only=True)
class Job:
    """One delivery of one piece of work."""

    scope: str
    """The function that does it."""
    key: str
    """The business key; the same key is the same work."""
    identity: Any
    """The JSON value that makes up the work; another one under the same key is refused."""
    payload: bytes
    """As received, for the dead letter."""
    stale: Stale = "rerun"
    """What becomes of an attempt that vanished midway; `hold` where a repeat costs money."""
    replay_of: str | None = None
    """The dead letter that this delivery replays."""
    with_claim: Callable[[], Sequence[Write]] = tuple
    """Preconditioned writes that commit with the claim; called again whenever it is retried."""
    on_dead: Callable[[], Sequence[Write]] = tuple
    """Writes that commit with giving up; called again whenever that is retried."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a delivery ended; all of these may be acknowledged."""

    status: Literal["done", "duplicate", "dead_lettered"]
    result: Any = None


def run(
    job: Job,
    handler: Handler,
    *,
    store: Store | None = None,
    limits: Limits | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Answer:
    """Do the work, unless it is done, dead or in progress.

    Raises InProgressError (ask again later), KeyReusedError (never ask again), or the error of an
    attempt that is worth another try.
    """
    delivery = _Delivery(job, store or _store, limits or _limits(), monotonic)
    with _room.enter(), ExitStack() as alone:
        got = delivery.acquire(alone)
        return got if isinstance(got, Answer) else delivery.attend(got, handler)


_store = FirestoreStore()
_room = Room()


def _limits() -> Limits:
    at = settings.current()
    return Limits(max_attempts=at.max_attempts, budget=at.handler_budget, lease=at.lease_seconds)


class _Delivery:
    """One delivery's way through the drawing above."""

    def __init__(
        self, job: Job, store: Store, limits: Limits, monotonic: Callable[[], float]
    ) -> None:
        self._job = job
        self._store = store
        self._limits = limits
        self._monotonic = monotonic
        self._started = monotonic()
        self._id = record_id(job.scope, job.key)
        self._owner = token()

    def acquire(self, alone: ExitStack) -> Claim | Answer:
        """The claim, or the answer that makes one needless."""
        decision = claims.decide(None, self._ask())
        for _ in range(ROUNDS):
            got = self._carry_out(decision, alone)
            if got is not None:
                return got
            found = self._store.read(self._id)
            if found is not None and found.record.owner == self._owner:
                return self._adopt(found)
            decision = claims.decide(found, self._ask())
        raise TransientError("the record of this work keeps changing")

    def attend(self, claim: Claim, handler: Handler) -> Answer:
        """Run the handler under the claim, and settle the record with how it ended."""
        work = Work(claim, remaining=self._budget_from(claim.renewed_at))
        with shutdown.releasing(lambda: self._release(claim, work)):
            try:
                return self._perform(claim, work, handler)
            except (InProgressError, NothingToDoError):
                raise
            except PermanentError as error:
                return self._give_up(claim, _describe(error))
            except NotYetError as error:
                return self._wait(claim, work, error)
            except (Exception, SystemExit) as error:
                return self._fail(claim, error)

    # Claiming

    def _carry_out(self, decision: claims.Decision, alone: ExitStack) -> Claim | Answer | None:
        match decision:
            case claims.Take():
                return self._claim(decision, alone)
            case claims.GiveUp():
                return self._bury(decision)
            case claims.Duplicate():
                logs.info("duplicate", "this was done already")
                return Answer(status="duplicate", result=json.loads(decision.result))
            case claims.Dead():
                logs.info("duplicate", "this was dead-lettered already")
                return Answer(status="dead_lettered", result=decision.error)
            case claims.Busy():
                raise InProgressError(retry_after=decision.retry_after)
            case claims.Reused():
                raise KeyReusedError(f"key {self._job.key!r:.200} was used for other work")

    def _claim(self, decision: claims.Take, alone: ExitStack) -> Claim | None:
        if decision.alone:
            alone.enter_context(_room.alone(patience=self._limits.budget))
        effects = self._job.with_claim()
        sent = self._monotonic()
        try:
            if decision.fence is None:
                time = self._store.create(decision.record, effects)
            else:
                time = self._store.replace(decision.record, decision.fence, effects)
        except (RefusedError, TransientError):
            return None
        return self._held(decision.record, time, sent)

    def _adopt(self, found: Found) -> Claim | Answer:
        # Our own write, its reply lost. It was sent after this delivery began.
        if found.record.state is State.DEAD:
            return Answer(status="dead_lettered", result=found.record.error)
        record = replace(found.record, key=self._job.key)
        return self._held(record, found.update_time, self._started)

    def _held(self, record: Record, time: datetime, sent: float) -> Claim:
        record = replace(record, first_seen=record.first_seen or time)
        logs.info("claimed", f"attempt {record.attempts} begins", attempt=record.attempts)
        return Claim(self._store, record, time, renewed_at=sent, monotonic=self._monotonic)

    def _bury(self, decision: claims.GiveUp) -> Answer | None:
        try:
            self._store.replace(decision.record, decision.fence, self._burial(decision.record))
        except (RefusedError, TransientError):
            return None
        logs.error("dead_lettered", decision.record.error or "")
        return Answer(status="dead_lettered", result=decision.record.error)

    def _ask(self) -> Ask:
        fresh = Record(
            scope=self._job.scope,
            key=self._job.key,
            fingerprint=fingerprint(self._job.identity),
            owner=self._owner,
            write_id=token(),
            lease_seconds=self._limits.lease,
            retention_seconds=self._limits.retention,
            replay_of=self._job.replay_of,
        )
        return Ask(fresh=fresh, max_attempts=self._limits.max_attempts, stale=self._job.stale)

    # Holding

    def _budget_from(self, start: float) -> Callable[[], float]:
        return lambda: self._limits.budget - (self._monotonic() - start)

    def _perform(self, claim: Claim, work: Work, handler: Handler) -> Answer:
        for _ in range(ROUNDS):
            try:
                outcome = handler(work)
                work.complete(outcome)
                return Answer(status="done", result=outcome.result)
            except EffectConflictError:
                if claim.record.state is not State.CLAIMED:
                    return self._settled(claim)
                work.rewind()
        raise TransientError("what this work reads keeps changing")

    def _give_up(self, claim: Claim, error: str) -> Answer:
        self._settle(claim, lambda record: claims.dead(record, error), self._burial)
        logs.error("dead_lettered", error)
        return self._settled(claim)

    def _wait(self, claim: Claim, work: Work, error: NotYetError) -> Answer:
        record = claims.waiting(claim.record, _describe(error), work.now)
        assert record.waiting_since is not None
        if work.now - record.waiting_since > PATIENCE:
            return self._give_up(claim, f"waited {PATIENCE} for this: {error}")
        self._settle(claim, lambda record: claims.waiting(record, _describe(error), work.now))
        return self._raise_unless_settled(claim, error)

    def _fail(self, claim: Claim, error: BaseException) -> Answer:
        if claim.record.attempts >= self._limits.max_attempts:
            return self._give_up(claim, _describe(error))
        self._settle(claim, lambda record: claims.failed(record, _describe(error)))
        return self._raise_unless_settled(claim, error)

    def _release(self, claim: Claim, work: Work) -> None:
        # Work that must not be repeated is left to its lease while an effect is under way.
        if not (self._job.stale == "hold" and work.is_in_step):
            self._settle(claim, claims.released)

    def _settle(
        self,
        claim: Claim,
        change: Callable[[Record], Record],
        effects: Callable[[Record], Sequence[Write]] = lambda record: (),
    ) -> None:
        # A completion of ours that came late wins over what was to be written instead.
        for _ in range(ROUNDS):
            record = change(claim.record)
            try:
                return claim.write(record, effects(record))
            except EffectConflictError:
                if claim.record.state is not State.CLAIMED:
                    return None
        raise TransientError("what this work reads keeps changing")

    def _raise_unless_settled(self, claim: Claim, error: BaseException) -> Answer:
        if claim.record.state is State.WAITING:
            raise error
        return self._settled(claim)

    def _settled(self, claim: Claim) -> Answer:
        if claim.record.state is State.DEAD:
            return Answer(status="dead_lettered", result=claim.record.error)
        return Answer(status="done", result=json.loads(claim.record.result or "null"))

    def _burial(self, record: Record) -> list[Write]:
        letter = dead_letters.letter(
            self._id,
            source=self._job.scope,
            reason="gave_up",
            error=record.error or "",
            payload=self._job.payload,
            attempts=record.attempts,
            first_seen=record.first_seen,
            now=documents.latest_time(),
            key=record.key,
        )
        return [letter, *self._job.on_dead()]


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:2000]
