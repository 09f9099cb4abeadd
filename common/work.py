"""Work in progress: what a handler may ask and do while it holds the claim."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from common import claims, dead_letters
from common.documents import Write
from common.errors import (
    EffectConflictError,
    PermanentError,
    StepNameUsedTwiceError,
    StepVanishedError,
    TransientError,
)
from common.fencing import ROUNDS, Claim
from common.fingerprints import exact


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is to be remembered of a step or a handler."""

    result: Any = None
    """Any JSON value; a repeat gets exactly this."""
    writes: Sequence[Write] = ()
    """Firestore effects, committed together with the mark."""


class Work:
    """One attempt at one piece of work."""

    def __init__(self, claim: Claim, *, remaining: Callable[[], float]) -> None:
        self._claim = claim
        self._visited: set[str] = set()
        self._deferred: dict[str, Outcome] = {}
        self.remaining = remaining
        """Seconds left of the handler's budget, by local monotonic time."""
        self.now = claim.fence
        """The server's time of the claim: the only clock a handler decides by."""
        self.is_in_step = False

    @property
    def token(self) -> str:
        """The claim's token: it names what belongs to this attempt alone."""
        return self._claim.record.owner

    @property
    def attempt(self) -> int:
        """1 for the first."""
        return self._claim.record.attempts

    def step_key(self, name: str) -> str:
        """The step's id for an outside idempotency key: the same in every attempt."""
        record = self._claim.record
        return hashlib.sha256(f"{record.scope}\0{record.key}\0{name}".encode()).hexdigest()

    def has_finished(self, name: str) -> bool:
        """Whether this or an earlier attempt finished the step."""
        return name in self._claim.record.steps or name in self._deferred

    def step(self, name: str, effect: Callable[[str], Any]) -> Any:
        """Do an outside effect and remember its result; a repeat skips it and gets the result.

        `effect` gets the step's key and returns a JSON value, or an Outcome whose writes (without
        preconditions: the effect has happened) commit with the mark. Costs one write.
        """
        if self._visit(name):
            return self._recall(name)
        outcome = self._perform(name, effect)
        try:
            self._mark({name: exact(outcome.result)}, outcome.writes)
        except EffectConflictError as error:
            if not self.has_finished(name):
                raise PermanentError(f"step {name!r} writes with a precondition") from error
        return outcome.result

    def last_step(self, name: str, effect: Callable[[str], Any]) -> Any:
        """The same without a write of its own: its mark travels with the next one."""
        if self._visit(name):
            return self._recall(name)
        outcome = self._perform(name, effect)
        exact(outcome.result)
        self._deferred[name] = outcome
        return outcome.result

    def write(self, name: str, effects: Callable[[], Sequence[Write]]) -> None:
        """Firestore effects that do not wait for the rest, committed with this step's mark.

        `effects` computes them from reads; it is called again when what it read has changed.
        """
        if self._visit(name):
            return
        for _ in range(ROUNDS):
            self._check_budget()
            try:
                return self._mark({name: exact(None)}, effects())
            except EffectConflictError:
                if self.has_finished(name):
                    return None
        raise TransientError(f"what step {name!r} reads keeps changing")

    def complete(self, outcome: Outcome) -> None:
        """Commit the result, its effects and the done mark together."""
        vanished = self._claim.record.steps.keys() - self._visited
        if vanished:
            raise StepVanishedError(f"finished earlier, but not in the handler: {sorted(vanished)}")
        marks, writes = self._pending({}, outcome.writes)
        record = claims.checkpointed(self._claim.record, marks)
        replayed = [dead_letters.replayed(record.replay_of)] if record.replay_of else []
        self._claim.write(claims.completed(record, exact(outcome.result)), [*writes, *replayed])

    def rewind(self) -> None:
        """The handler starts again; what its steps did is kept."""
        self._visited.clear()

    def _visit(self, name: str) -> bool:
        if name in self._visited:
            raise StepNameUsedTwiceError(f"two steps are named {name!r}")
        self._visited.add(name)
        return self.has_finished(name)

    def _recall(self, name: str) -> Any:
        if name in self._deferred:
            return self._deferred[name].result
        return json.loads(self._claim.record.steps[name])

    def _perform(self, name: str, effect: Callable[[str], Any]) -> Outcome:
        self._check_budget()
        if self._claim.is_over():
            self._claim.write(self._claim.record)
        self.is_in_step = True
        try:
            done = effect(self.step_key(name))
        finally:
            self.is_in_step = False
        return done if isinstance(done, Outcome) else Outcome(result=done)

    def _mark(self, mark: dict[str, str], writes: Sequence[Write]) -> None:
        marks, writes = self._pending(mark, writes)
        self._claim.write(claims.checkpointed(self._claim.record, marks), writes)
        self._deferred.clear()

    def _pending(
        self, mark: dict[str, str], writes: Sequence[Write]
    ) -> tuple[dict[str, str], list[Write]]:
        earlier = {name: exact(outcome.result) for name, outcome in self._deferred.items()}
        before = [write for outcome in self._deferred.values() for write in outcome.writes]
        return {**earlier, **mark}, [*before, *writes]

    def _check_budget(self) -> None:
        if self.remaining() <= 0:
            raise TransientError("the handler's budget is used up")
