"""One attempt: the handler runs under its claim, and the record is settled with how that ended.

the handler         │ the record becomes                       │ the delivery
────────────────────┼──────────────────────────────────────────┼──────────────────────────────
returns             │ done, with its effects                   │ Answer done
returns, and some   │ waiting: they are tried again            │ Answer waiting; or, where it
effect is owed      │                                          │ cannot be handed over, raises
returns, and some   │ dead, with a dead letter for each        │ Answer dead_lettered
effect is dead      │                                          │
EffectConflictError │ (the handler runs again, what has finished is kept)
NothingToDoError    │ as if it returned                        │ raises it
InProgressError     │ given back                               │ raises it
any other error     │ waiting, or dead, as `waits.judge` says  │ as above
LostClaimError      │ is somebody else's                       │ raises it
SettledError        │ is settled already                       │ Answer as the record says
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NoReturn

from msgspec import Struct, field
from msgspec.structs import replace

from common.cloud.firestore import Write
from common.errors import (
    ClaimFirstError,
    EffectConflictError,
    InProgressError,
    LostClaimError,
    NothingToDoError,
    PermanentError,
    SettledError,
    StepVanishedError,
    StoppedError,
    TransientError,
)
from common.idempotency import dead_letters
from common.idempotency.change import Change, Completed, DeadLettered, Released, Waiting
from common.idempotency.claim import MAX_TRIES, Claim
from common.idempotency.fingerprint import to_json
from common.idempotency.job import Answer, Deferral, Ended, Handler, Job, answer_of, dead_letter
from common.idempotency.record import WHOLE
from common.idempotency.waits import Dead, Owed, Patience, judge
from common.idempotency.work import Outcome, Progress, Work
from common.process import logs, shutdown

EndedState = Literal["done", "waiting", "dead"]

SETTLE_PAUSE = 0.25
"""Seconds until the end of an attempt is written again that could not be written; then doubled."""


class Attempt:
    """One attempt at one job, by the delivery that holds the claim, or whose claim waits."""

    def __init__(
        self, job: Job, claim: Claim, *, patience: Patience, sleep: Callable[[float], None]
    ) -> None:
        self._job = job
        self._claim = claim
        self._patience = patience
        self._sleep = sleep
        self._progress = Progress()
        self._work = Work(
            claim,
            self._progress,
            on_unknown_outcome=job.on_unknown_outcome,
            replay_of=job.replay_of,
        )

    def run(self, handler: Handler) -> Answer:
        """Run the handler and settle the record. Raises what the table above says, and
        ClaimFirstError when the claim has waited in vain."""
        with shutdown.releasing(self.release):
            try:
                return self._attend(handler)
            except _NotHandedOverError as error:
                _raise(error.__cause__)
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
            if not self._claim.is_written:
                self._claim.give_up()
            else:
                self._commit(self._released(is_in_doubt=self._progress.is_in_effect))
            return True

    def _attend(self, handler: Handler) -> Answer:
        try:
            return self._perform(handler)
        except (LostClaimError, SettledError, ClaimFirstError, NothingToDoError):
            raise
        except _NotHandedOverError:
            raise
        except StoppedError:
            return self._end(self._left())
        except InProgressError:
            self._claim_first()
            self._settle(self._released)
            raise
        except (Exception, SystemExit) as error:
            self._claim_first(error)
            return self._end(self._failed(error))

    def _released(self, *, is_in_doubt: bool = False) -> Change:
        return Change(ending=Released(), writes=self._on_wait(is_in_doubt))

    def _claim_first(self, error: BaseException | None = None) -> None:
        # What fails before it is claimed is claimed, and fails again: that is recorded.
        if not self._claim.is_written:
            raise ClaimFirstError from error

    def _perform(self, handler: Handler) -> Answer:
        for tried in range(MAX_TRIES):
            if tried and self._claim.remaining() <= 0:
                break
            self._progress.begin()
            try:
                return self._called(handler)
            except EffectConflictError:
                continue
        raise TransientError("the documents that this work reads keep changing")

    def _called(self, handler: Handler) -> Answer:
        try:
            outcome = handler(self._work)
        except NothingToDoError as error:
            answer = self._finish(Outcome(result=error.status))
            if answer.status == "done":
                raise
            return answer
        return self._finish(outcome)

    def _finish(self, outcome: Outcome) -> Answer:
        vanished = self._claim.record.steps.keys() - self._progress.reached
        if vanished:
            raise StepVanishedError(f"finished earlier, but not in the handler: {sorted(vanished)}")
        left = self._left()
        owed = {name: it for name, it in left.owed.items() if name in self._progress.reached}
        if owed or left.dead:
            return self._end(replace(left, owed=owed, has_returned=True))
        self._claim_apart(outcome)
        self._progress.catch_up()
        self._claim.commit(self._completion(outcome))
        for letter in self._claim.record.replays.values():
            logs.info("replayed", "a dead letter has been replayed", dead_letter=letter)
        return Answer(status="done", result=outcome.result)

    def _claim_apart(self, outcome: Outcome) -> None:
        # Two writes of one document are two commits: the second may rely on what it read.
        travelling = {write.path for mark in self._claim.travels.values() for write in mark.writes}
        if not self._claim.is_written and any(it.path in travelling for it in outcome.writes):
            self._claim.commit(Change())

    def _completion(self, outcome: Outcome) -> Change:
        """Done, with this outcome; the dead letters whose replay this is become `replayed`."""
        letters = self._claim.record.replays.values()
        ended = self._ended("done", result=outcome.result)
        return Change(
            ending=Completed(result=to_json(outcome.result)),
            writes=[
                *outcome.writes,
                *self._deferral_writes(ended),
                *map(dead_letters.replayed, dict.fromkeys(letters)),
            ],
        )

    # What is left when the handler does not end with everything done

    def _left(self) -> "_Left":
        """What is owed and dead now, as the effects of this attempt have gone."""
        record = self._claim.record
        owed = {name: it for name, it in record.owed.items() if not self._is_finished(name)}
        left = _Left(owed=owed, dead=record.dead)
        for name, error in self._progress.failed.items():
            left = left.with_verdict(name, self._judged(name, error), error)
        return left

    def _failed(self, error: BaseException) -> "_Left":
        """The same, and the handler itself has raised an error."""
        left = self._left()
        if WHOLE in left.dead:
            return left
        left = left.with_verdict(WHOLE, self._judged(WHOLE, error), error)
        # Who gives up the whole work gives up what it owes.
        return replace(left, owed={}) if WHOLE in left.dead else left

    def _judged(self, name: str, error: BaseException) -> Owed | Dead:
        record = self._claim.record
        return judge(
            error,
            record.owed.get(name),
            now=self._claim.server_time(),
            patience=self._patience,
            name=f"{record.scope} {record.key} {name}",
        )

    def _is_finished(self, name: str) -> bool:
        return self._claim.result_of(name) is not None

    def _end(self, left: "_Left") -> Answer:
        return self._wait(left) if left.owed else self._dead_letter(left)

    def _dead_letter(self, left: "_Left") -> Answer:
        error = next(iter(left.dead.values())).error
        ended = self._ended("dead", error=error)
        ending = DeadLettered(dead=left.dead)
        self._settle(lambda: Change(ending=ending, writes=self._writes(left, ended)))
        self._log(left)
        return answer_of(self._claim.record)

    def _wait(self, left: "_Left") -> Answer:
        first = min(left.owed.values(), key=lambda it: it.until)
        ended = self._ended(
            "waiting",
            resume_at=first.until,
            is_outcome_unknown=self._is_unknown(left),
            error=first.error,
        )
        if self._job.deferral is None or not self._is_handed_over(left, ended, self._job.deferral):
            waiting = self._waiting(left)
            in_doubt = ended.is_outcome_unknown
            self._settle(
                lambda: Change(
                    ending=waiting, writes=[*self._letters(left), *self._on_wait(in_doubt)]
                )
            )
            self._log(left)
            raise _NotHandedOverError from left.error
        self._log(left, is_handed_over=True)
        return Answer(status="waiting", result=first.error)

    def _is_handed_over(self, left: "_Left", ended: Ended, deferral: Deferral) -> bool:
        set_alarm(deferral, ended)
        waiting = self._waiting(left, ended.resume_at)
        try:
            self._settle(lambda: Change(ending=waiting, writes=self._writes(left, ended)))
        except PermanentError as error:
            logs.warning("failed", f"this cannot be handed over: {error}")
            return False
        return True

    def _waiting(self, left: "_Left", resume_at: datetime | None = None) -> Waiting:
        return Waiting(owed=left.owed, dead=left.dead, resume_at=resume_at)

    def _ended(self, state: EndedState, **fields: Any) -> Ended:
        return Ended(
            state=state,
            now=self._claim.fence,
            was_handed_over=self._claim.record.resume_at is not None,
            **fields,
        )

    def _deferral_writes(self, ended: Ended) -> Sequence[Write]:
        return self._job.deferral.writes(ended) if self._job.deferral else ()

    def _is_unknown(self, left: "_Left") -> bool:
        """Whether something that is owed may have happened already."""
        return self._progress.is_in_doubt or any(it.unknown_since for it in left.owed.values())

    def _on_wait(self, is_in_doubt: bool) -> Sequence[Write]:
        if is_in_doubt or self._progress.is_in_doubt:
            return ()
        try:
            return self._job.writes_on_wait()
        except TransientError as error:  # the attempt's end must not depend on them
            logs.warning("uncertain", str(error))
            return ()

    def _writes(self, left: "_Left", ended: Ended) -> list[Write]:
        others = self._job.writes_on_dead_letter() if ended.state == "dead" else ()
        return [*self._letters(left), *others, *self._deferral_writes(ended)]

    def _letters(self, left: "_Left") -> list[Write]:
        """The dead letters of what is given up now; those that were replayed are `replayed`."""
        record = self._claim.record
        opened = [
            dead_letter(self._job, record, name, it)
            for name, it in left.dead.items()
            if name not in record.dead
        ]
        is_over = left.has_returned and not left.owed
        still_dead = {record.letter_id(name) for name in left.dead}
        replayed = [
            dead_letters.replayed(letter)
            for name, letter in record.replays.items()
            if self._is_finished(name) or (is_over and letter not in still_dead)
        ]
        return [*opened, *replayed]

    def _settle(self, change: Callable[[], Change]) -> None:
        """Commit the end of the attempt; again and again, while there is time."""
        for tried in range(MAX_TRIES):
            try:
                return self._commit(change())
            except (LostClaimError, SettledError):
                raise
            except EffectConflictError:
                continue
            except TransientError:
                pause = SETTLE_PAUSE * 2**tried
                if tried == MAX_TRIES - 1 or self._claim.remaining() <= pause:
                    raise
                self._sleep(pause)
        raise TransientError("the documents that the end of this attempt reads keep changing")

    def _commit(self, change: Change) -> None:
        # What the steps have done is recorded too; if just that cannot be stored, the rest is.
        try:
            self._claim.commit(change)
        except PermanentError:
            self._claim.commit(change, with_travelling=False)

    def _log(self, left: "_Left", *, is_handed_over: bool = False) -> None:
        for name, owed in left.owed.items():
            _log_owed(name, owed, left.errors.get(name) if is_handed_over else None)
        for name in left.dead:
            if name in self._progress.failed or name == WHOLE:
                logs.error("dead_lettered", left.dead[name].error, effect=name or None)


class _Left(Struct, frozen=True, kw_only=True):
    """What an attempt leaves: what is owed, and what is given up, of this and earlier attempts."""

    owed: Mapping[str, Owed]
    dead: Mapping[str, Dead]
    errors: Mapping[str, BaseException] = field(default_factory=dict)
    """What has failed in this attempt and is owed, the last one last."""
    has_returned: bool = False
    """Whether the handler came to its end."""

    @property
    def error(self) -> BaseException | None:
        """What the delivery raises where the work cannot be handed over."""
        return [*self.errors.values()][-1] if self.errors else None

    def with_verdict(self, name: str, verdict: Owed | Dead, error: BaseException) -> "_Left":
        if isinstance(verdict, Owed):
            errors = {**self.errors, name: error}
            return replace(self, owed={**self.owed, name: verdict}, errors=errors)
        owed = {other: it for other, it in self.owed.items() if other != name}
        return replace(self, owed=owed, dead={**self.dead, name: verdict})


def _log_owed(name: str, owed: Owed, error: BaseException | None) -> None:
    fields = {
        "effect": name or None,
        "until": owed.until.isoformat(),
        "reason": owed.reason,
        "error_type": owed.error.partition(":")[0],
    }
    if error is not None and owed.reason == "transient":
        # Perhaps a mistake of ours; nobody else logs it, because the delivery is acknowledged.
        logs.error("waiting", owed.error, exc=error, **fields)
    else:
        logs.warning("waiting", owed.error, **fields)


class _NotHandedOverError(Exception):
    """The work waits, and whoever delivers it has to bring it again; the cause says why."""


def set_alarm(deferral: Deferral, ended: Ended) -> None:
    """Set the alarm of work that is handed over; if that fails, the sweep does it later."""
    try:
        deferral.set_alarm(ended)
    except Exception as error:
        logs.warning("failed", f"no alarm was set, a sweep does it: {error}")


def _raise(error: BaseException | None) -> NoReturn:
    if error is None:
        raise InProgressError("what this work waits for is not due yet")
    if isinstance(error, SystemExit):
        # It would end the server's worker, and its neighbours with it.
        raise TransientError("the handler called sys.exit") from error
    raise error
