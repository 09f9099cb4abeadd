"""One attempt: the handler runs under its claim, and the record is settled with how that ended.

the handler         │ the record becomes          │ the delivery
────────────────────┼─────────────────────────────┼──────────────────────
returns             │ done, with its effects      │ Answer done
EffectConflictError │ (the handler runs again, finished steps kept)
PermanentError      │ dead, with its dead letter  │ Answer dead_lettered
NothingToDoError    │ done                        │ raises it
NotYetError         │ waiting, uncounted          │ raises it, for up to PATIENCE; then dead
InProgressError     │ waiting, uncounted          │ raises it
any other error     │ waiting; the last time dead │ raises it; or Answer dead_lettered
LostClaimError      │ is somebody else's          │ raises it
SettledError        │ is settled already          │ Answer as the record says
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

from common.cloud.firestore import Write
from common.errors import (
    EffectConflictError,
    InProgressError,
    LostClaimError,
    NothingToDoError,
    NotYetError,
    PermanentError,
    SettledError,
    StepVanishedError,
    TransientError,
)
from common.idempotency import dead_letters
from common.idempotency.change import (
    Change,
    Completed,
    DeadLettered,
    Ending,
    Failed,
    Released,
    Waiting,
)
from common.idempotency.claim import MAX_TRIES, Claim
from common.idempotency.fingerprint import to_json
from common.idempotency.job import Answer, Handler, Job, dead_letter_writes
from common.idempotency.record import Record, State
from common.idempotency.work import Outcome, Progress, Work
from common.process import logs, shutdown

PATIENCE = timedelta(hours=12)
"""How long work may wait for something that has not happened yet."""


class Attempt:
    """One attempt at one job, by the delivery that holds the claim."""

    def __init__(self, job: Job, claim: Claim, *, max_attempts: int) -> None:
        self._job = job
        self._claim = claim
        self._max_attempts = max_attempts
        self._progress = Progress()
        self._work = Work(claim, self._progress, on_unknown_outcome=job.on_unknown_outcome)

    def run(self, handler: Handler) -> Answer:
        """Run the handler and settle the record. Raises what the table above says."""
        with shutdown.releasing(self.release):
            try:
                return self._attend(handler)
            except SettledError:
                return answer_of(self._claim.record)
            except LostClaimError as error:
                logs.warning("lost_claim", str(error))
                raise

    def release(self, *, is_last_call: bool) -> bool:
        """Give the work back uncounted, because the process ends; whether that was possible.

        An effect under way is waited for until the last call. What must not be repeated is never
        given back in the middle of it: its lease runs out, and then it is held.
        """
        with self._claim.lock:
            may_repeat = is_last_call and self._job.on_unknown_outcome == "rerun"
            if self._progress.is_in_effect and not may_repeat:
                return False
            is_in_doubt = self._progress.is_in_effect or self._progress.is_in_doubt
            self._put_off(Released(), is_in_doubt=is_in_doubt)
            return True

    def _attend(self, handler: Handler) -> Answer:
        try:
            return self._perform(handler)
        except (LostClaimError, SettledError):
            raise
        except NothingToDoError as error:
            self._settle(self._completion(Outcome(result=error.status)))
            raise
        except PermanentError as error:
            return self._dead_letter(describe(error), dead_letters.reason(error))
        except NotYetError as error:
            return self._wait(error)
        except InProgressError:
            self._put_off(Released())
            raise
        except (Exception, SystemExit) as error:
            return self._fail(error)

    def _perform(self, handler: Handler) -> Answer:
        for tried in range(MAX_TRIES):
            if tried and self._claim.remaining() <= 0:
                break
            self._progress.begin()
            try:
                return self._complete(handler(self._work))
            except EffectConflictError:
                continue
        raise TransientError("the documents that this work reads keep changing")

    def _complete(self, outcome: Outcome) -> Answer:
        vanished = self._claim.record.steps.keys() - self._progress.reached
        if vanished:
            raise StepVanishedError(f"finished earlier, but not in the handler: {sorted(vanished)}")
        self._progress.catch_up()
        self._claim.commit(self._completion(outcome))
        if dead_letter := self._claim.record.replay_of:
            logs.info("replayed", "a dead letter has been replayed", dead_letter=dead_letter)
        return Answer(status="done", result=outcome.result)

    def _completion(self, outcome: Outcome) -> Change:
        """Done, with this outcome; a dead letter whose replay this is becomes `replayed`."""
        replay_of = self._claim.record.replay_of
        replayed = [dead_letters.replayed(replay_of)] if replay_of else []
        ending = Completed(result=to_json(outcome.result))
        return Change(ending=ending, writes=[*outcome.writes, *replayed])

    def _dead_letter(self, error: str, reason: str) -> Answer:
        for _ in range(MAX_TRIES):
            record = self._claim.record.dead_lettered(error)
            writes = dead_letter_writes(self._job, record, reason)
            try:
                self._settle(Change(ending=DeadLettered(error=error), writes=writes))
            except EffectConflictError:
                continue
            logs.error("dead_lettered", error)
            return answer_of(self._claim.record)
        raise TransientError("the documents that the dead letter's writes read keep changing")

    def _wait(self, error: NotYetError) -> Answer:
        now = self._work.now
        if now - (self._claim.record.waiting_since or now) > PATIENCE:
            return self._dead_letter(f"waited {PATIENCE} for this: {error}", "waited_too_long")
        self._put_off(Waiting(error=describe(error), now=now))
        raise error

    def _fail(self, error: BaseException) -> Answer:
        if self._claim.record.attempts >= self._max_attempts:
            return self._dead_letter(describe(error), "attempts_used_up")
        self._put_off(Failed(error=describe(error)))
        _raise(error)

    def _put_off(self, ending: Ending, *, is_in_doubt: bool | None = None) -> None:
        """End the attempt, and not the work; with the job's writes, unless they keep conflicting.

        `is_in_doubt` says whether an effect may have happened (None: as far as is known).
        """
        for _ in range(MAX_TRIES):
            try:
                return self._settle(Change(ending=ending, writes=self._on_wait(is_in_doubt)))
            except EffectConflictError:
                continue
        self._settle(Change(ending=ending))

    def _on_wait(self, is_in_doubt: bool | None) -> Sequence[Write]:
        if self._progress.is_in_doubt if is_in_doubt is None else is_in_doubt:
            return ()
        try:
            return self._job.writes_on_wait()
        except TransientError as error:  # the attempt's end must not depend on them
            logs.warning("uncertain", str(error))
            return ()

    def _settle(self, change: Change) -> None:
        # What the steps have done is recorded too; if just that cannot be stored, the rest is.
        try:
            self._claim.commit(change)
        except PermanentError:
            self._claim.commit(change, with_travelling=False)


def answer_of(record: Record) -> Answer:
    """What a settled record answers. Raises InProgressError for a record that is not settled."""
    match record.state:
        case State.DONE:
            return Answer(status="done", result=json.loads(record.result or "null"))
        case State.DEAD:
            return Answer(status="dead_lettered", result=record.error)
    raise InProgressError("this work was given back")


def describe(error: BaseException) -> str:
    """An error as a record keeps it: its type and its text, cut to `dead_letters.MAX_ERROR`."""
    return f"{type(error).__name__}: {error}"[: dead_letters.MAX_ERROR]


def _raise(error: BaseException) -> NoReturn:
    if isinstance(error, SystemExit):
        # It would end the server's worker, and its neighbours with it.
        raise TransientError("the handler called sys.exit") from error
    raise error
