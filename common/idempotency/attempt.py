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
SettledError        │ is settled already          │ Answer as it says
"""

import json
from collections.abc import Callable, Sequence
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
    TransientError,
)
from common.idempotency import dead_letters
from common.idempotency.claim import MAX_TRIES, Claim, Draft
from common.idempotency.job import Answer, Handler, Job, dead_letter_writes
from common.idempotency.record import Record, State
from common.idempotency.work import Outcome, Work, completing
from common.process import logs, shutdown

PATIENCE = timedelta(hours=12)
"""How long work may wait for something that has not happened yet."""


class Attempt:
    """One attempt at one job, by whoever holds its claim."""

    def __init__(self, job: Job, claim: Claim, *, max_attempts: int) -> None:
        self._job = job
        self._claim = claim
        self._max_attempts = max_attempts
        self._work = Work(claim, on_unknown_outcome=job.on_unknown_outcome)

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
            if self._work.is_in_effect and not may_repeat:
                return False
            self._settle(Record.released)
            return True

    def _attend(self, handler: Handler) -> Answer:
        try:
            return self._perform(handler)
        except (LostClaimError, SettledError):
            raise
        except NothingToDoError as error:
            self._commit(completing(Outcome(result=error.status)))
            raise
        except PermanentError as error:
            return self._dead_letter(describe(error), dead_letters.reason(error))
        except NotYetError as error:
            return self._wait(error)
        except InProgressError:
            self._settle(Record.released)
            raise
        except (Exception, SystemExit) as error:
            return self._fail(error)

    def _perform(self, handler: Handler) -> Answer:
        for tried in range(MAX_TRIES):
            if tried and self._work.remaining() <= 0:
                break
            try:
                outcome = handler(self._work)
                self._work.complete(outcome)
                return self._done(outcome)
            except EffectConflictError:
                self._work.rewind()
        raise TransientError("what this work reads keeps changing")

    def _done(self, outcome: Outcome) -> Answer:
        if dead_letter := self._claim.record.replay_of:
            logs.info("replayed", "a dead letter is worked off", dead_letter=dead_letter)
        return Answer(status="done", result=outcome.result)

    def _dead_letter(self, text: str, reason: str) -> Answer:
        def draft(record: Record) -> tuple[Record, Sequence[Write]]:
            record = record.dead_lettered(text)
            return record, dead_letter_writes(self._job, record, reason)

        self._commit(draft)
        logs.error("dead_lettered", text)
        return answer_of(self._claim.record)

    def _wait(self, error: NotYetError) -> Answer:
        now = self._work.now
        if now - (self._claim.record.waiting_since or now) > PATIENCE:
            return self._dead_letter(f"waited {PATIENCE} for this: {error}", "waited_too_long")
        self._settle(lambda record: record.waiting(describe(error), now))
        raise error

    def _fail(self, error: BaseException) -> Answer:
        if self._claim.record.attempts >= self._max_attempts:
            return self._dead_letter(describe(error), "attempts_used_up")
        self._settle(lambda record: record.failed(describe(error)))
        _raise(error)

    def _settle(self, change: Callable[[Record], Record]) -> None:
        self._commit(lambda record: (change(record), ()))

    def _commit(self, draft: Draft) -> None:
        # What the steps have done is recorded with it; if just that cannot be stored, without it.
        for _ in range(MAX_TRIES):
            try:
                return self._claim.commit(self._work.carrying(draft))
            except EffectConflictError:
                continue
            except PermanentError:
                return self._claim.commit(draft)
        raise TransientError("what this work reads keeps changing")


def answer_of(record: Record) -> Answer:
    """What a settled record answers. Raises InProgressError for one that is not."""
    match record.state:
        case State.DONE:
            return Answer(status="done", result=json.loads(record.result or "null"))
        case State.DEAD:
            return Answer(status="dead_lettered", result=record.error)
    raise InProgressError("this was given back")


def describe(error: BaseException) -> str:
    """An error as a record keeps it."""
    return f"{type(error).__name__}: {error}"[: dead_letters.MAX_ERROR]


def _raise(error: BaseException) -> NoReturn:
    if isinstance(error, SystemExit):
        # It would end the server's worker, and its neighbours with it.
        raise TransientError("the handler called sys.exit") from error
    raise error
