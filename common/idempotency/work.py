"""Work in progress: what a handler may ask and do while it holds the claim.

An outside effect and its mark are two things, and what lies between them is what can be repeated:

    in the effect ──▶ done, unmarked ──▶ marked: never again
                      │
                      └── the mark travels with the next write of the record, whichever that is:
                          a step's, the completion, a failure, a release

On a first delivery nothing is claimed until an effect begins: what the handler has read and written
before commits with the claim, or with the completion where there is no effect at all.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from common.cloud import firestore, pubsub
from common.cloud.firestore import Write
from common.errors import (
    ClaimFirstError,
    EffectConflictError,
    InProgressError,
    NotYetError,
    PermanentError,
    ResultNotStorableError,
    SettledError,
    StepChangedError,
    StepNameUsedTwiceError,
    StoppedError,
    TransientError,
    UnavailableError,
    UnknownOutcomeError,
)
from common.idempotency.change import Change, Mark, has_preconditions
from common.idempotency.claim import MAX_TRIES, Claim
from common.idempotency.fingerprint import to_json
from common.idempotency.record import WHOLE, WRITTEN, OnUnknownOutcome, Record
from common.outside import destinations

EARLY = timedelta(seconds=30)
"""An alarm that rings this early counts as due."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What a step, an effect or a handler returns: what is remembered, and written with it."""

    result: Any = None
    """Any JSON value; a repeat gets an equal value of the same types."""
    writes: Sequence[Write] = ()
    """Firestore effects, committed together with the mark of the effect, or of the work."""
    is_repeatable: bool = True
    """Of an effect: whoever was called knows its key, so that a repeat under it does nothing.
    False: the effect's mark is committed at once, to make a repeat unlikely."""


class Progress(Struct, kw_only=True):
    """How far the present run of the handler has come. The attempt owns it; `Work` keeps it up."""

    reached: set[str] = field(default_factory=set)
    """The names of the steps and effects that the handler has come to, finished or not."""
    failed: dict[str, BaseException] = field(default_factory=dict)
    """What has become of effects in this attempt that could not be done."""
    is_in_effect: bool = False
    """Whether an outside effect has begun, and has neither succeeded nor surely failed."""
    is_in_doubt: bool = False
    """Whether an outside effect has ended in such a way that it may have happened."""
    deferred: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What is to be done before the done mark is committed, by name."""

    def begin(self) -> None:
        """The handler is run from its start."""
        self.reached.clear()
        self.failed.clear()
        self.deferred.clear()

    def catch_up(self) -> None:
        """Do what was deferred."""
        while self.deferred:
            self.deferred.pop(next(iter(self.deferred)))()


class Work:
    """What a handler is given: steps, effects, writes, the server's time.

    A handler runs again from the start after a failure, a wait, a crash, or a change of a document
    that it read. It gets past what has finished, and each effect happens once.
    """

    def __init__(
        self,
        claim: Claim,
        progress: Progress,
        *,
        on_unknown_outcome: OnUnknownOutcome = "rerun",
        replay_of: str | None = None,
    ) -> None:
        self._claim = claim
        self._progress = progress
        self._on_unknown_outcome = on_unknown_outcome
        self._only = _only(claim.record, replay_of)
        """The effects that a replay takes up; None: whatever is to be done."""
        self._before = firestore.last_read()
        self._now = claim.fence
        self._in = WHOLE

    @property
    def now(self) -> datetime:
        """The server's time of this attempt: the only clock that a handler decides by.

        It is the claim's; while the claim waits, that of the last document that was read.
        """
        if self._now is None:
            read = firestore.last_read()
            is_fresh = read is not None and read is not self._before
            self._now = read if is_fresh else self._claim.server_time()
        assert self._now is not None
        return self._now

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
        """Which attempt this is: 1 for the first, of which no effect can have happened before."""
        return self._claim.record.attempts

    def remaining(self) -> float:
        """Seconds left of the handler's budget, by local monotonic time."""
        return self._claim.remaining()

    def step_key(self, name: str) -> str:
        """The idempotency key of a step or an effect: the same in every attempt, and a new one
        after a replay that corrects what it is sent for."""
        return self._claim.record.effect_key(name)

    def has_finished(self, name: str) -> bool:
        """Whether this or an earlier attempt finished the step or effect of this name."""
        return self._claim.result_of(name) is not None

    @property
    def has_begun(self) -> bool:
        """Whether this or an earlier attempt finished any step or effect."""
        return self._claim.has_finished_steps()

    @property
    def is_held(self) -> bool:
        """Whether an effect that may have happened is given up, and not repeated."""
        return self._on_unknown_outcome == "hold"

    @property
    def unknown_since(self) -> datetime | None:
        """Since when the effect under way may have happened without our knowing it: the first
        attempt that raised UnavailableError with `outcome_unknown`. None: it has not happened."""
        owed = self._claim.record.owed.get(self._in)
        return owed.unknown_since if owed else None

    def effect(self, name: str, do: Callable[[str], Any]) -> Any:
        """Do an outside effect that nothing else depends on; a repeat skips it.

        `do` gets the effect's key (see `step_key`) and returns a JSON value, or an Outcome whose
        writes commit with the effect's mark; these have no preconditions, because the effect has
        happened. Returns the result, also of an effect that finished earlier; and None for one that
        has to wait or was given up, whatever it raised: the handler goes on, and the work is done
        when each of its effects is. Costs no commit of its own, unless its outcome says that it
        cannot be repeated.

        Raises TransientError if the budget is used up before the effect begins; LostClaimError if
        another delivery has taken the work over; PermanentError for a name that is used twice.
        """
        self._reach(name)
        if (found := self._claim.result_of(name)) is not None:
            _check_kind(name, found, is_write=False)
            return json.loads(found)
        if self._is_left(name):
            return None
        if self._is_doubtful(name):
            self._progress.failed[name] = UnknownOutcomeError(f"{name!r} was under way")
            return None
        self._begin(name)
        try:
            outcome = self._call(name, do)
        except (InProgressError, SettledError, ClaimFirstError, StoppedError):
            raise
        except (Exception, SystemExit) as error:
            self._progress.failed[name] = error
            return None
        if self.is_held or not outcome.is_repeatable:
            self._claim.commit(Change())
        return outcome.result

    def step(self, name: str, do: Callable[[str], Any]) -> Any:
        """Do an outside effect whose result the handler goes on with; a repeat skips it.

        As `effect`, but what `do` raises stops the handler: the whole work waits, or is given up.
        Costs one commit.
        """
        self._reach(name)
        if (found := self._claim.result_of(name)) is not None:
            _check_kind(name, found, is_write=False)
            return json.loads(found)
        record = self._claim.record
        if self._only is not None and (WHOLE in record.owed or WHOLE in record.dead):
            raise StoppedError
        if self._is_doubtful(name):
            raise UnknownOutcomeError(f"step {name!r} was under way")
        self._begin(name)
        outcome = self._call(name, do)
        self._claim.commit(Change())
        return outcome.result

    def publish(self, topic: str, event: Mapping[str, Any], *, name: str | None = None) -> str:
        """Publish another event on a topic, as an outside effect; returns its `event_id`.

        The id is made from this work and the name of the step, so it is the same in every attempt:
        whoever consumes the event once has it once. `event` has `event_type`, `user_id` and
        `payload`; `name` is needed where a handler publishes two of one type. Costs no commit, and
        waits, like `effect`. Raises what `effect` raises.
        """
        step = name or f"publish {event.get('event_type')} on {topic}"
        event_id = self.step_key(step)
        self.effect(step, lambda _: pubsub.publish(topic, {**event, "event_id": event_id}))
        return event_id

    def write(self, name: str, effects: Callable[[], Sequence[Write]]) -> None:
        """Commit Firestore effects, together with the mark of this step; a repeat skips them.

        `effects` returns the writes, computed from what it reads; it is called again when a
        document that it read has changed meanwhile. Costs one commit; on a first delivery, where
        nothing has begun, the writes commit with what the handler does next, and cost none.

        Raises what `effects` raises; TransientError if the budget is used up, or if the documents
        keep changing; LostClaimError if another delivery has taken the work over.
        """
        self._reach(name)
        if (found := self._claim.result_of(name)) is not None:
            return _check_kind(name, found, is_write=True)
        if not self._claim.is_written and not self._claim.travels:
            return self._claim.carry(name, Mark(result=WRITTEN, writes=effects()))
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

    def _is_left(self, name: str) -> bool:
        """Whether an unfinished effect is not for this attempt."""
        record = self._claim.record
        if name in record.dead:
            return True
        owed = record.owed.get(name)
        if owed is None:
            return False
        if self._only is not None:
            return name not in self._only
        # What was handed over keeps its pauses; what was refused comes when the platform brings it.
        return record.resume_at is not None and owed.until - self.now > EARLY

    def _reach(self, name: str) -> None:
        if not name:
            raise PermanentError("a step has no name")
        if name in self._progress.reached:
            raise StepNameUsedTwiceError(f"two steps are named {name!r}")
        self._progress.reached.add(name)

    def _is_doubtful(self, name: str) -> bool:
        """Whether the attempt vanished in which this began, and it must not happen twice."""
        return self.is_held and name in self._claim.begun

    def _begin(self, name: str) -> None:
        with self._claim.lock:
            if self._progress.is_in_effect:
                raise PermanentError(f"step {name!r} begins inside of another step")
            if self.is_held:
                self._claim.begun.add(name)
            self._claim.ensure_ready()
            self._progress.catch_up()
            self._progress.is_in_effect = True

    def _call(self, name: str, do: Callable[[str], Any]) -> Outcome:
        self._in = name
        try:
            done = do(self.step_key(name))
        except (Exception, SystemExit) as error:
            self._doubt(name, error)
            raise
        finally:
            self._in = WHOLE
        outcome = done if isinstance(done, Outcome) else Outcome(result=done)
        # Who accepted it is remembered in the same commit.
        outcome = replace(outcome, writes=[*outcome.writes, *destinations.acceptances(self.now)])
        with self._claim.lock:
            self._claim.begun.discard(name)
            self._progress.is_in_effect = False
            self._claim.carry(name, _marked(name, outcome))
        return outcome

    def _doubt(self, name: str, error: BaseException) -> None:
        self._progress.is_in_doubt |= not _is_clean(error)
        # Still in the effect, so that nobody releases work that must not be repeated.
        if self.is_held and not _is_clean(error) and not _is_repeatable(error):
            raise UnknownOutcomeError(f"step {name!r} may have happened: {error!r}") from error
        self._claim.begun.discard(name)
        self._progress.is_in_effect = False


def _only(record: Record, replay_of: str | None) -> frozenset[str] | None:
    if WHOLE in record.dead:
        return frozenset(record.owed.keys() | record.replays.keys())
    own = {name: letter for name, letter in record.replays.items() if name != letter}
    names = frozenset(name for name, letter in own.items() if letter == replay_of)
    return names if names and WHOLE not in names else None


def _is_clean(error: BaseException) -> bool:
    """Whether an effect that raised this has surely not happened."""
    if isinstance(error, UnavailableError):
        return not error.outcome_unknown
    return isinstance(error, PermanentError | NotYetError)


def _is_repeatable(error: BaseException) -> bool:
    """Whether a repeat of the effect does nothing if it has happened."""
    return isinstance(error, UnavailableError) and error.is_repeatable


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
