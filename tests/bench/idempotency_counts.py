"""What each outcome of a delivery costs: calls, commits, documents written and read.

    python -m tests.bench.idempotency_counts

Counted by the local Firestore: calls as it served them, documents as the versions it stored. The
work has no effects of its own, so every document written is a record or a dead letter.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from msgspec.structs import replace

from common import idempotency
from common.cloud import firestore, tasks
from common.cloud.memory import MemoryTasks
from common.errors import InProgressError, KeyReusedError, NotYetError, PermanentError
from common.idempotency import Handler, Job, Limits, Outcome, Work
from common.idempotency.exclusive import ProcessLock
from common.scheduling.resuming import Input, Resumption
from tests.bench.rates import table
from tests.common.wire import Wire, running

LIMITS = Limits(max_attempts=3, budget=50.0, lease=90.0)
HEADER = ("", "calls", "commits", "of them refused", "documents written", "read")

Case = Callable[[Wire], Callable[[], None]]
"""Prepares an outcome; the delivery that has it."""


def main() -> None:
    """Print the table."""
    with _quiet():
        found = rows()
    table("One delivery", HEADER, found)


def rows() -> list[Sequence[object]]:
    """The outcomes, each with what it costs."""
    with running() as wire:
        firestore.read("warm/up")
        return [(case.replace("_", " "), *_counted(wire, CASES[case])) for case in CASES]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the log, which goes to file descriptor 1."""
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _counted(wire: Wire, case: Case) -> tuple[int, int, int, int, int]:
    delivery = case(wire)
    before = _so_far(wire)
    delivery()
    used = [after - earlier for after, earlier in zip(_so_far(wire), before, strict=True)]
    calls, commits, applied, written, read = used
    return calls, commits, commits - applied, written, read


def _so_far(wire: Wire) -> tuple[int, int, int, int, int]:
    calls = wire.counts()
    written, applied = wire.written()
    commits, reads = calls.get("Commit", 0), calls.get("BatchGetDocuments", 0)
    return sum(calls.values()), commits, applied, written, reads


def _delivered(key: str, handler: Handler, **fields: Any) -> None:
    job = Job(scope="bench", key=key, identity=key, payload=b"{}")
    with suppress(InProgressError, KeyReusedError, ValueError, KeyboardInterrupt):
        idempotency.run(replace(job, **fields), handler, limits=LIMITS, process_lock=ProcessLock())


def _delivery(key: str, handler: Handler, **fields: Any) -> Callable[[], None]:
    return lambda: _delivered(key, handler, **fields)


def _done(work: Work) -> Outcome:
    return Outcome()


def _raising(error: BaseException) -> Handler:
    def handler(work: Work) -> Outcome:
        raise error

    return handler


def _steps(work: Work) -> Outcome:
    work.write("first", lambda: [])
    work.step("second", lambda key: None)
    work.effect("third", lambda key: None)
    return Outcome()


def _writing_and_sending(work: Work) -> Outcome:
    work.write("first", lambda: [])
    work.effect("second", lambda key: None)
    work.effect("third", lambda key: None)
    return Outcome()


def _first_delivery(wire: Wire) -> Callable[[], None]:
    return _delivery("first", _done)


def _called_the_first(wire: Wire) -> Callable[[], None]:
    return _delivery("once", _done, is_first=True)


def _called_the_first_with_effects(wire: Wire) -> Callable[[], None]:
    return _delivery("once with effects", _writing_and_sending, is_first=True)


def _waits_already(wire: Wire) -> Callable[[], None]:
    deferral = Resumption(key="waits", input=Input(function="bench", data=b""))
    with tasks.using(MemoryTasks()):
        _delivered("waits", _raising(NotYetError()), deferral=deferral)
    return _delivery("waits", _done)


def _with_a_write_a_step_and_an_effect(wire: Wire) -> Callable[[], None]:
    return _delivery("steps", _steps)


def _duplicate(wire: Wire) -> Callable[[], None]:
    _delivered("duplicate", _done)
    return _delivery("duplicate", _done)


def _in_progress(wire: Wire) -> Callable[[], None]:
    _delivered("progress", _raising(KeyboardInterrupt()))
    return _delivery("progress", _done)


def _other_payload(wire: Wire) -> Callable[[], None]:
    _delivered("reused", _done)
    return _delivery("reused", _done, identity="other")


def _failure(wire: Wire) -> Callable[[], None]:
    return _delivery("failure", _raising(ValueError()))


def _after_a_failure(wire: Wire) -> Callable[[], None]:
    _delivered("failed", _raising(ValueError()))
    return _delivery("failed", _done)


def _after_an_attempt_that_vanished(wire: Wire) -> Callable[[], None]:
    _delivered("vanished", _raising(KeyboardInterrupt()))
    wire.advance(LIMITS.lease + 1)
    return _delivery("vanished", _done)


def _given_up(wire: Wire) -> Callable[[], None]:
    return _delivery("given up", _raising(PermanentError()))


def _dead_already(wire: Wire) -> Callable[[], None]:
    _delivered("dead", _raising(PermanentError()))
    return _delivery("dead", _done)


def _replay(wire: Wire) -> Callable[[], None]:
    _delivered("replay", _raising(PermanentError()))
    return _delivery("replay", _done, replay_of="dead letter")


CASES: dict[str, Case] = {
    case.__name__.strip("_"): case
    for case in (
        _first_delivery,
        _called_the_first,
        _called_the_first_with_effects,
        _with_a_write_a_step_and_an_effect,
        _waits_already,
        _duplicate,
        _in_progress,
        _other_payload,
        _failure,
        _after_a_failure,
        _after_an_attempt_that_vanished,
        _given_up,
        _dead_already,
        _replay,
    )
}

if __name__ == "__main__":
    main()
