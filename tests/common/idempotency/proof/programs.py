"""The handlers that are explored, and what each delivery of them is."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from common.cloud.firestore import Merge, Update, Write
from common.errors import NotYetError, PermanentError, TransientError
from common.idempotency import Job, Limits, Outcome, Work
from common.idempotency.job import Ended
from common.idempotency.record import OnUnknownOutcome, letter_id

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
RESULT = 0
"""Falsy on purpose: it has to come back as it is."""
SCOPE, KEY = "proof", "key"


class Kind(NamedTuple):
    """What sets one delivery apart from the others."""

    payload: int = 1
    replays: str | None = None
    """Whose dead letter it replays: an effect's, or (WHOLE) the work's."""
    is_ringing: bool = False
    """It rings for work that was handed over."""
    is_first: bool = False
    is_early: bool = False
    """The delivery comes before what the work needs."""


Effect = Callable[[str], None]
Handle = Callable[[Kind, Work, Effect], Outcome]


@dataclass(frozen=True)
class Programme:
    """A handler and how it is run."""

    handle: Handle
    max_attempts: int = 3
    on_unknown_outcome: OnUnknownOutcome = "rerun"
    writes_on_claim: Sequence[Write] = ()
    is_handed_over: bool = False
    """Whether work can be handed over that cannot be done now."""
    outage_patience: timedelta = timedelta(days=7)

    def job(self, kind: Kind) -> Job:
        return Job(
            scope=SCOPE,
            key=KEY,
            identity={"payload": kind.payload},
            payload=b"{}",
            on_unknown_outcome=self.on_unknown_outcome,
            replay_of=None if kind.replays is None else letter_id(SCOPE, KEY, kind.replays),
            is_first=kind.is_first,
            is_ringing=kind.is_ringing,
            writes_on_claim=(lambda: self.writes_on_claim) if self.writes_on_claim else None,
            deferral=_DEFERRAL if self.is_handed_over else None,
        )

    def limits(self, lease: float, retention: float) -> Limits:
        # No budget: nothing but the fence protects from a holder that comes back late.
        return Limits(
            max_attempts=self.max_attempts,
            budget=1e12,
            lease=lease,
            retention=retention,
            outage_patience=self.outage_patience,
        )


class _Deferral:
    """Its alarm rings as soon as somebody makes a delivery that rings."""

    def set_alarm(self, ended: Ended) -> None:
        """See `Deferral`."""

    def writes(self, ended: Ended) -> Sequence[Write]:
        """See `Deferral`."""
        if ended.state == "waiting":
            return [Merge(path="effects/alarm:pending")]
        return [Merge(path="effects/alarm:settled")] if ended.was_handed_over else []


_DEFERRAL = _Deferral()


def update(name: str) -> Update:
    """An effect with a precondition."""
    return Update(path=f"effects/{name}", fields={}, update_time=EPOCH)


def _done() -> Outcome:
    return Outcome(result=RESULT, writes=[update("done")])


def commit(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """Firestore effects only."""
    return _done()


def mail(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """One outside effect, whose mark is a write of its own."""
    work.step("mail", lambda key: _sent(effect, "mail"))
    return _done()


def order(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """All kinds of steps."""
    work.write("order", lambda: [update("order")])
    work.step("mail", lambda key: _sent(effect, "mail"))
    work.effect("task", lambda key: _sent(effect, "task"))
    return _done()


def last(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """One effect, whose mark travels with the completion."""
    work.effect("task", lambda key: _sent(effect, "task"))
    return _done()


def pair(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """Two effects that know nothing of each other."""
    work.effect("task", lambda key: _sent(effect, "task"))
    work.effect("mail", lambda key: _sent(effect, "mail"))
    return _done()


def refused(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """Can never succeed, until a replay finds it mended."""
    work.effect("task", lambda key: _sent(effect, "task"))
    if kind.replays is None:
        raise PermanentError("refused")
    return _done()


def rejected(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """The same without a step."""
    if kind.replays is None:
        raise PermanentError("rejected")
    return _done()


def flaky(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """Fails once after its step."""
    work.effect("task", lambda key: _sent(effect, "task"))
    if work.attempt == 1:
        raise TransientError("flaky")
    return _done()


def later(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """A write and an effect; on a first delivery the write waits for the effect's claim."""
    work.write("order", lambda: [update("order")])
    work.effect("task", lambda key: _sent(effect, "task"))
    return _done()


def stepped(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """An effect, and a step that the handler stops at."""
    work.effect("task", lambda key: _sent(effect, "task"))
    work.step("mail", lambda key: _sent(effect, "mail"))
    return _done()


def unrepeatable(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """An effect whose mark is committed at once."""
    work.effect("mail", lambda key: replace(_sent(effect, "mail"), is_repeatable=False))
    return _done()


def early(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """Needs something that has not happened yet."""
    if kind.is_early:
        raise NotYetError("early")
    return _done()


def careless(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """Swallows what becomes of its mark, and compensates."""
    happened = []

    def send(key: str) -> Outcome:
        sent = _sent(effect, "mail")
        happened.append(sent)
        return sent

    try:
        work.step("mail", send)
    except Exception:
        if not happened:
            raise
        work.step("sorry", lambda key: _sent(effect, "sorry"))
    return _done()


def stubborn(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """Goes on whatever becomes of its first write."""
    with suppress(TransientError):
        work.write("order", lambda: [update("order")])
    return _done()


def _sent(effect: Effect, name: str) -> Outcome:
    effect(name)
    return Outcome(result=name, writes=[Merge(path=f"effects/{name}", fields={})])
