"""Work in progress: what a handler may ask and do while it holds the claim.

An outside effect and its mark are two things, and what lies between them is what can be repeated:

    in the effect ──▶ done, unmarked ──▶ marked: never again
                      │
                      └── the mark travels with the next write of the record, whichever that is:
                          the step's own, a later step's, the completion, a failure, a release
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.cloud import pubsub
from common.cloud.firestore import Write
from common.errors import (
    EffectConflictError,
    NotYetError,
    PermanentError,
    ResultNotStorableError,
    StepChangedError,
    StepNameUsedTwiceError,
    TransientError,
    UnknownOutcomeError,
)
from common.idempotency.change import Change, Mark, has_preconditions
from common.idempotency.claim import MAX_TRIES, Claim
from common.idempotency.fingerprint import to_json
from common.idempotency.record import WRITTEN, OnUnknownOutcome


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a step or a handler returns: what is to be remembered, and written with it."""

    result: Any = None
    """Any JSON value; a repeat gets an equal value of the same types."""
    writes: Sequence[Write] = ()
    """Firestore effects, committed together with the mark of the step, or of the work."""


@dataclass(kw_only=True)
class Progress:
    """How far the present run of the handler has come. The attempt owns it; `Work` keeps it up."""

    reached: set[str] = field(default_factory=set)
    """The names of the steps that the handler has come to, finished or not."""
    is_in_effect: bool = False
    """Whether an outside effect has begun, and has neither succeeded nor surely failed."""
    is_in_doubt: bool = False
    """Whether an outside effect has ended in such a way that it may have happened."""
    deferred: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What is to be done before the done mark is committed, by name."""

    def begin(self) -> None:
        """The handler is run from its start."""
        self.reached.clear()
        self.deferred.clear()

    def catch_up(self) -> None:
        """Do what was deferred."""
        while self.deferred:
            self.deferred.pop(next(iter(self.deferred)))()


class Work:
    """What a handler is given: steps, writes, the server's time.

    A handler runs again from the start after a failure, a crash, or a change of a document that it
    read. It gets past the steps that have finished, and each effect happens once.
    """

    def __init__(
        self, claim: Claim, progress: Progress, *, on_unknown_outcome: OnUnknownOutcome = "rerun"
    ) -> None:
        self._claim = claim
        self._progress = progress
        self._on_unknown_outcome = on_unknown_outcome
        self.now = claim.fence
        """The server's time of the claim: the only clock that a handler decides by."""

    @property
    def scope(self) -> str:
        """The function that does the work."""
        return self._claim.record.scope

    @property
    def key(self) -> str:
        """The business key of the work, unique within the scope."""
        return self._claim.record.key

    @property
    def token(self) -> str:
        """A random text that names what belongs to this attempt alone."""
        return self._claim.record.owner

    @property
    def attempt(self) -> int:
        """Which attempt this is: 1 for the first."""
        return self._claim.record.attempts

    def remaining(self) -> float:
        """Seconds left of the handler's budget, by local monotonic time."""
        return self._claim.remaining()

    def step_key(self, name: str) -> str:
        """The id of a step for an outside idempotency key: the same in every attempt."""
        record = self._claim.record
        return hashlib.sha256(f"{record.scope}\0{record.key}\0{name}".encode()).hexdigest()

    def has_finished(self, name: str) -> bool:
        """Whether this or an earlier attempt finished the step of this name."""
        return self._claim.result_of(name) is not None

    @property
    def has_begun(self) -> bool:
        """Whether this or an earlier attempt finished any step."""
        return self._claim.has_finished_steps()

    def step(self, name: str, effect: Callable[[str], Any]) -> Any:
        """Do an outside effect and remember its result; a repeat skips the effect.

        `effect` gets the step's key (see `step_key`) and returns a JSON value, or an Outcome whose
        writes commit with the step's mark; these have no preconditions, because the effect has
        happened. Returns the result, also of a step that finished earlier. Costs one commit.

        Raises what `effect` raises; TransientError if the budget is used up before the effect
        begins; LostClaimError if another delivery has taken the work over; PermanentError for a
        name that is used twice, or a result that cannot be stored.
        """
        result, is_new = self._performed(name, effect)
        if is_new:
            self._claim.commit(Change())
        return result

    def last_step(self, name: str, effect: Callable[[str], Any]) -> Any:
        """Like `step`, but its mark is committed by the next write; a crash before that repeats the
        effect with the same key.

        Costs no commit. Meant for the last effect of a handler: the next write is the completion.
        """
        result, _ = self._performed(name, effect)
        return result

    def publish(self, topic: str, event: Mapping[str, Any], *, name: str | None = None) -> str:
        """Publish another event on a topic, as an outside effect; returns its `event_id`.

        The id is made from this work and the name of the step, so it is the same in every attempt:
        whoever consumes the event once has it once. `event` has `event_type`, `user_id` and
        `payload`; `name` is needed where a handler publishes two of one type. Costs no commit, like
        `last_step`. Raises what `last_step` and `pubsub.publish` raise.
        """
        step = name or f"publish {event.get('event_type')} on {topic}"
        event_id = self.step_key(step)
        self.last_step(step, lambda _: pubsub.publish(topic, {**event, "event_id": event_id}))
        return event_id

    def write(self, name: str, effects: Callable[[], Sequence[Write]]) -> None:
        """Commit Firestore effects now, together with the mark of this step; a repeat skips them.

        `effects` returns the writes, computed from what it reads; it is called again when a
        document that it read has changed meanwhile. Costs one commit.

        Raises what `effects` raises; TransientError if the budget is used up, or if the documents
        keep changing; LostClaimError if another delivery has taken the work over.
        """
        self._reach(name)
        if (found := self._claim.result_of(name)) is not None:
            return _check_kind(name, found, is_write=True)
        for _ in range(MAX_TRIES):
            self._claim.ensure_ready()
            try:
                mark = Mark(result=WRITTEN, writes=effects())
                self._claim.commit(Change(marks={name: mark}))
                return self._progress.catch_up()
            except EffectConflictError:
                continue
        raise TransientError(f"the documents that step {name!r} reads keep changing")

    def before_done(self, name: str, action: Callable[[], None]) -> None:
        """Have something done that belongs to writes which are being computed, such as an alarm.

        Where the writes are those of a `write`, `action` is called once they are committed; where
        they go with the done mark, before the mark is committed. An action of the same name takes
        the place of the earlier one. A crash in between loses the action, so it must not be what
        the work relies on. Fails the attempt if `action` raises.
        """
        self._progress.deferred[name] = action

    def _performed(self, name: str, effect: Callable[[str], Any]) -> tuple[Any, bool]:
        """The step's result, and whether the effect happened just now."""
        self._reach(name)
        if (found := self._claim.result_of(name)) is not None:
            _check_kind(name, found, is_write=False)
            return json.loads(found), False
        return self._perform(name, effect), True

    def _reach(self, name: str) -> None:
        if name in self._progress.reached:
            raise StepNameUsedTwiceError(f"two steps are named {name!r}")
        self._progress.reached.add(name)

    def _perform(self, name: str, effect: Callable[[str], Any]) -> Any:
        with self._claim.lock:
            if self._progress.is_in_effect:
                raise PermanentError(f"step {name!r} begins inside of another step")
            self._claim.ensure_ready()
            self._progress.is_in_effect = True
        try:
            done = effect(self.step_key(name))
        except (PermanentError, NotYetError):
            self._progress.is_in_effect = False
            raise
        except (Exception, SystemExit) as error:
            self._doubt(name, error)
            raise
        outcome = done if isinstance(done, Outcome) else Outcome(result=done)
        mark = _marked(name, outcome)
        with self._claim.lock:
            self._claim.carry(name, mark)
            self._progress.is_in_effect = False
        return outcome.result

    def _doubt(self, name: str, error: BaseException) -> None:
        self._progress.is_in_doubt |= getattr(error, "outcome_unknown", True)
        # Still in the effect, so that nobody releases work that must not be repeated.
        if self._on_unknown_outcome == "hold":
            raise UnknownOutcomeError(f"step {name!r} may have happened: {error!r}") from error
        self._progress.is_in_effect = False


def _check_kind(name: str, mark: str, *, is_write: bool) -> None:
    if (mark == WRITTEN) is not is_write:
        was = "an outside effect" if is_write else "a Firestore write"
        raise StepChangedError(f"step {name!r} was {was} when it finished")


def _marked(name: str, outcome: Outcome) -> Mark:
    try:
        result = to_json(outcome.result)
    except ResultNotStorableError as error:
        raise ResultNotStorableError(f"step {name!r} was done, but its result: {error}") from error
    if has_preconditions(outcome.writes):
        raise PermanentError(f"step {name!r} was done, but its writes have preconditions")
    return Mark(result=result, writes=outcome.writes)
