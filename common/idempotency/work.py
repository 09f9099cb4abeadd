"""Work in progress: what a handler may ask and do while it holds the claim.

An outside effect and its mark are two things, and what lies between them is what can be repeated:

    in the effect ──▶ done, unmarked ──▶ marked: never again
                      │
                      └── its mark travels with the next write of the record, whichever that is:
                          the step's own, a later step's, the completion, a failure, a release
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from common.cloud.firestore import Write
from common.errors import (
    EffectConflictError,
    NotYetError,
    PermanentError,
    ResultNotStorableError,
    StepChangedError,
    StepNameUsedTwiceError,
    StepVanishedError,
    TransientError,
    UnknownOutcomeError,
)
from common.idempotency import dead_letters
from common.idempotency.claim import MAX_TRIES, Claim, Draft, has_preconditions
from common.idempotency.fingerprint import to_json
from common.idempotency.record import WRITTEN, OnUnknownOutcome, Record


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is to be remembered of a step or a handler."""

    result: Any = None
    """Any JSON value; a repeat gets exactly this."""
    writes: Sequence[Write] = ()
    """Firestore effects, committed together with the mark."""


class Work:
    """One attempt at one piece of work."""

    def __init__(self, claim: Claim, *, on_unknown_outcome: OnUnknownOutcome = "rerun") -> None:
        self._claim = claim
        self._on_unknown_outcome = on_unknown_outcome
        self._visited: set[str] = set()
        self._unmarked: dict[str, Outcome] = {}
        self._is_in_effect = False
        self.now = claim.fence
        """The server's time of the claim: the only clock a handler decides by."""

    @property
    def token(self) -> str:
        """The claim's token: it names what belongs to this attempt alone."""
        return self._claim.record.owner

    @property
    def attempt(self) -> int:
        """1 for the first."""
        return self._claim.record.attempts

    def remaining(self) -> float:
        """Seconds left of the handler's budget, by local monotonic time."""
        return self._claim.remaining()

    def step_key(self, name: str) -> str:
        """The step's id for an outside idempotency key: the same in every attempt."""
        record = self._claim.record
        return hashlib.sha256(f"{record.scope}\0{record.key}\0{name}".encode()).hexdigest()

    def has_finished(self, name: str) -> bool:
        """Whether this or an earlier attempt finished the step."""
        return name in self._claim.record.steps or name in self._unmarked

    @property
    def has_begun(self) -> bool:
        """Whether this or an earlier attempt finished any step."""
        return bool(self._claim.record.steps or self._unmarked)

    def step(self, name: str, effect: Callable[[str], Any]) -> Any:
        """Do an outside effect and remember its result; a repeat skips it and gets the result.

        `effect` gets the step's key and returns a JSON value, or an Outcome whose writes (without
        preconditions: the effect has happened) commit with the mark. Costs one write.
        """
        if self._visit(name):
            return self._recall(name)
        result = self._perform(name, effect)
        self._claim.commit(self._marking())
        return result

    def last_step(self, name: str, effect: Callable[[str], Any]) -> Any:
        """The same without a write of its own: its mark travels with the next one."""
        if self._visit(name):
            return self._recall(name)
        return self._perform(name, effect)

    def write(self, name: str, effects: Callable[[], Sequence[Write]]) -> None:
        """Firestore effects that do not wait for the rest, committed with this step's mark.

        `effects` computes them from reads; it is called again when what it read has changed.
        """
        if self._visit(name):
            return self._check_kind(name, is_write=True)
        for _ in range(MAX_TRIES):
            self._begin()
            try:
                return self._claim.commit(self.carrying(_writing(name, effects())))
            except EffectConflictError:
                continue
        raise TransientError(f"what step {name!r} reads keeps changing")

    # For whoever runs the handler

    def complete(self, outcome: Outcome) -> None:
        """Commit the result, its effects and the done mark together."""
        vanished = self._claim.record.steps.keys() - self._visited
        if vanished:
            raise StepVanishedError(f"finished earlier, but not in the handler: {sorted(vanished)}")
        self._claim.commit(self.carrying(completing(outcome)))

    def rewind(self) -> None:
        """The handler starts again; what its steps did is kept."""
        self._visited.clear()

    @property
    def is_in_effect(self) -> bool:
        """Whether an outside effect has begun, and has neither succeeded nor surely failed."""
        return self._is_in_effect

    def carrying(self, draft: Draft) -> Draft:
        """The draft, with the marks and writes of the effects that are not marked yet."""

        def carry(record: Record) -> tuple[Record, Sequence[Write]]:
            unmarked = {
                name: outcome
                for name, outcome in self._unmarked.items()
                if name not in record.steps
            }
            for name, outcome in unmarked.items():
                record = record.checkpointed({name: to_json(outcome.result)})
            record, writes = draft(record)
            return record, [*(write for o in unmarked.values() for write in o.writes), *writes]

        return carry

    def _marking(self) -> Draft:
        return self.carrying(lambda record: (record, ()))

    def _visit(self, name: str) -> bool:
        if name in self._visited:
            raise StepNameUsedTwiceError(f"two steps are named {name!r}")
        self._visited.add(name)
        return self.has_finished(name)

    def _recall(self, name: str) -> Any:
        if name not in self._claim.record.steps:
            return self._unmarked[name].result
        self._check_kind(name, is_write=False)
        return json.loads(self._claim.record.steps[name])

    def _check_kind(self, name: str, *, is_write: bool) -> None:
        mark = self._claim.record.steps.get(name)
        if mark is None or (mark == WRITTEN) is not is_write:
            was = "outside effect" if is_write else "Firestore write"
            raise StepChangedError(f"step {name!r} was an {was} when it finished")

    def _begin(self) -> None:
        if self.remaining() <= 0:
            raise TransientError("the handler's budget is used up")
        self._claim.ensure_leased(self._marking())

    def _perform(self, name: str, effect: Callable[[str], Any]) -> Any:
        with self._claim.lock:
            if self._is_in_effect:
                raise PermanentError(f"step {name!r} begins inside of another")
            self._begin()
            self._is_in_effect = True
        try:
            done = effect(self.step_key(name))
        except (PermanentError, NotYetError):
            self._is_in_effect = False
            raise
        except (Exception, SystemExit) as error:
            self._doubt(name, error)
            raise
        outcome = done if isinstance(done, Outcome) else Outcome(result=done)
        self._check(name, outcome)
        with self._claim.lock:
            self._unmarked[name] = outcome
            self._is_in_effect = False
        return outcome.result

    def _doubt(self, name: str, error: BaseException) -> None:
        # Still in the effect, so that nobody releases work that must not be repeated.
        if self._on_unknown_outcome == "hold":
            raise UnknownOutcomeError(f"step {name!r} may have happened: {error!r}") from error
        self._is_in_effect = False

    def _check(self, name: str, outcome: Outcome) -> None:
        try:
            to_json(outcome.result)
        except ResultNotStorableError as error:
            raise ResultNotStorableError(
                f"step {name!r} was done, but its result: {error}"
            ) from error
        if has_preconditions(outcome.writes):
            raise PermanentError(f"step {name!r} was done, but its writes have preconditions")


def completing(outcome: Outcome) -> Draft:
    """Done, with this outcome; a dead letter whose replay this is becomes `replayed`."""
    result = to_json(outcome.result)

    def draft(record: Record) -> tuple[Record, Sequence[Write]]:
        replayed = [dead_letters.replayed(record.replay_of)] if record.replay_of else []
        return record.completed(result), [*outcome.writes, *replayed]

    return draft


def _writing(name: str, effects: Sequence[Write]) -> Draft:
    def draft(record: Record) -> tuple[Record, Sequence[Write]]:
        if name in record.steps:  # an earlier try, given up as failed, came late
            return record, ()
        return record.checkpointed({name: WRITTEN}), effects

    return draft
