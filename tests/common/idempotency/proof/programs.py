"""The handlers that are explored, and what each delivery of them is."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from common.cloud.firestore import Merge, Update, Write
from common.errors import NotYetError, PermanentError, TransientError
from common.idempotency import Job, Limits, Outcome, Work
from common.idempotency.record import OnUnknownOutcome

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
RESULT = 0
"""Falsy on purpose: it has to come back as it is."""
DEAD_LETTER = "dead_letter"


class Kind(NamedTuple):
    """What sets one delivery apart from the others."""

    payload: int = 1
    is_replay: bool = False
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
    fast_path: bool = False

    def job(self, kind: Kind) -> Job:
        return Job(
            scope="proof",
            key="key",
            identity={"payload": kind.payload},
            payload=b"{}",
            on_unknown_outcome=self.on_unknown_outcome,
            replay_of=DEAD_LETTER if kind.is_replay else None,
            is_first=kind.is_first,
            fast_path=(lambda: _done()) if self.fast_path else None,
            writes_on_claim=lambda: self.writes_on_claim,
        )

    def limits(self, lease: float, retention: float) -> Limits:
        # No budget: nothing but the fence protects from a holder that comes back late.
        return Limits(max_attempts=self.max_attempts, budget=1e12, lease=lease, retention=retention)


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
    work.last_step("task", lambda key: _sent(effect, "task"))
    return _done()


def last(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """One outside effect, whose mark travels with the completion."""
    work.last_step("task", lambda key: _sent(effect, "task"))
    return _done()


def pair(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """Two outside effects with nothing written between them."""
    work.last_step("task", lambda key: _sent(effect, "task"))
    work.last_step("mail", lambda key: _sent(effect, "mail"))
    return _done()


def refused(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """Can never succeed, until a replay finds it mended."""
    work.last_step("task", lambda key: _sent(effect, "task"))
    if not kind.is_replay:
        raise PermanentError("refused")
    return _done()


def rejected(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """The same without a step."""
    if not kind.is_replay:
        raise PermanentError("rejected")
    return _done()


def flaky(kind: Kind, work: Work, effect: Effect) -> Outcome:
    """Fails once after its step."""
    work.last_step("task", lambda key: _sent(effect, "task"))
    if work.attempt == 1:
        raise TransientError("flaky")
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
