"""The breaker and the room of one destination, by a clock of the test's own."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from common.errors import UnavailableError
from common.outside.breaker import (
    FIRST_PAUSE,
    LAST_PAUSE,
    LONGEST_PAUSE,
    OPENS_AFTER,
    PROBE_TAKES,
    SLOW,
    Gate,
    Moment,
)


@dataclass
class Clock:
    """Time goes on when the test says so."""

    now: float = 1000.0
    server: float | None = 5.0

    def __call__(self) -> Moment:
        return Moment(self.now, self.server)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate(name="mail.example", places=2, clock=clock)


def call(gate: Gate, error: Exception | None = None) -> None:
    """One call that ends like this."""
    with gate.passed():
        if error:
            raise error


def fail(gate: Gate, times: int = 1, retry_after: float | None = None) -> None:
    """As many calls in a row that are unavailable."""
    for _ in range(times):
        with pytest.raises(UnavailableError, match="down"):
            call(gate, UnavailableError("down", retry_after=retry_after))


@contextmanager
def refused(match: str) -> Iterator[None]:
    """The block's call is not made."""
    with pytest.raises(UnavailableError, match=match) as error:
        yield
    assert not error.value.outcome_unknown
    assert (error.value.retry_after or 0) > 0


def test_a_few_failures_in_a_row_open_it(gate: Gate) -> None:
    fail(gate, OPENS_AFTER)
    with refused("was not asked"):
        call(gate)
    assert gate.wait() == FIRST_PAUSE


def test_a_yes_in_between_starts_the_count_again(gate: Gate) -> None:
    fail(gate, OPENS_AFTER - 1)
    call(gate)
    fail(gate, OPENS_AFTER - 1)
    assert gate.wait() == 0


def test_after_the_pause_one_call_is_the_probe_and_a_yes_closes_it(
    gate: Gate, clock: Clock
) -> None:
    fail(gate, OPENS_AFTER)
    clock.now += FIRST_PAUSE
    with gate.passed(), refused("was not asked"):
        call(gate)
    assert gate.wait() == 0
    fail(gate)
    assert gate.wait() == 0


def test_a_probe_that_fails_opens_it_for_longer_and_longer(gate: Gate, clock: Clock) -> None:
    fail(gate, OPENS_AFTER)
    pauses = []
    for _ in range(6):
        pauses.append(gate.wait())
        clock.now += gate.wait()
        fail(gate)
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert pauses[-1] == LAST_PAUSE


def test_the_servers_clock_counts_too(gate: Gate, clock: Clock) -> None:
    fail(gate, OPENS_AFTER)
    clock.server = 5.0 + FIRST_PAUSE
    assert gate.wait() == 0


def test_a_server_whose_time_was_not_known_has_not_moved(gate: Gate, clock: Clock) -> None:
    clock.server = None
    fail(gate, OPENS_AFTER)
    clock.server = 1e9
    assert gate.wait() == FIRST_PAUSE


def test_who_asks_for_a_longer_pause_gets_one_within_limits(gate: Gate) -> None:
    fail(gate, OPENS_AFTER, retry_after=30)
    assert gate.wait() == 30


def test_nobody_keeps_us_from_probing_for_a_day(gate: Gate) -> None:
    fail(gate, OPENS_AFTER, retry_after=86_400)
    assert gate.wait() == LONGEST_PAUSE


def test_a_probe_that_says_nothing_lets_the_next_one_begin(gate: Gate, clock: Clock) -> None:
    fail(gate, OPENS_AFTER)
    clock.now += FIRST_PAUSE
    with pytest.raises(ValueError, match="bug"):
        call(gate, ValueError("bug"))
    assert gate.wait() == 0
    call(gate)


def test_a_probe_that_never_ends_lets_another_one_begin(gate: Gate, clock: Clock) -> None:
    fail(gate, OPENS_AFTER)
    clock.now += FIRST_PAUSE
    with gate.passed():
        clock.now += PROBE_TAKES
        assert gate.wait() == 0


def test_calls_from_before_do_not_make_the_pause_longer(gate: Gate, clock: Clock) -> None:
    with contextlib.suppress(UnavailableError), gate.passed():
        fail(gate, OPENS_AFTER)
        clock.now += 1
        raise UnavailableError("late")
    assert gate.wait() == FIRST_PAUSE - 1


def test_a_bug_of_ours_opens_nothing(gate: Gate) -> None:
    for _ in range(OPENS_AFTER):
        with pytest.raises(ValueError, match="bug"):
            call(gate, ValueError("bug"))
    assert gate.wait() == 0


def test_the_first_call_to_somebody_slow_leaves_half_of_the_threads(
    gate: Gate, clock: Clock
) -> None:
    with gate.passed(), gate.passed():
        clock.now += SLOW + 0.1
        with refused("is slow"):
            call(gate)


def test_there_is_room_again_when_a_call_has_ended(gate: Gate) -> None:
    for _ in range(5):
        with gate.passed():
            call(gate)


def test_with_somebody_fast_a_call_waits_for_a_place(gate: Gate) -> None:
    entered, made = threading.Event(), threading.Event()

    def other() -> None:
        entered.set()
        call(gate)
        made.set()

    with gate.passed(), gate.passed():
        thread = threading.Thread(target=other)
        thread.start()
        assert entered.wait(10)
        assert not made.is_set()
    thread.join(10)
    assert made.is_set()


def test_whoever_was_slow_just_now_is_not_waited_for(gate: Gate, clock: Clock) -> None:
    with gate.passed():
        clock.now += SLOW + 0.1
    with gate.passed(), gate.passed(), refused("is slow"):
        call(gate)


def test_what_waits_for_a_place_learns_that_the_breaker_opened(gate: Gate) -> None:
    heard: list[str] = []

    def other() -> None:
        try:
            call(gate)
        except UnavailableError as error:
            heard.append(str(error))

    with gate.passed(), gate.passed():
        thread = threading.Thread(target=other)
        thread.start()
        with gate._changed:
            for _ in range(OPENS_AFTER):
                gate.breaker.failed(gate.clock(), gate.clock(), None)
        thread.join(10)
    assert "was not asked" in heard[0]
