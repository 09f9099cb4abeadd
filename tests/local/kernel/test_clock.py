"""Virtual time: moved from one due moment to the next, only while nothing is in flight."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.kernel.clock import Clock
from local.kernel.database import Database

HOUR = timedelta(hours=1)


class Alarms:
    """A service: starts what is due, each taking a moment of real time; may set more."""

    def __init__(self, clock: Clock, *moments: datetime) -> None:
        self.clock = clock
        self.pending = list(moments)
        self.rung: list[tuple[datetime, datetime, datetime]] = []
        self.then: Callable[[datetime], list[datetime]] = lambda moment: []
        clock.register(self)

    def next_due(self) -> datetime | None:
        return min(self.pending, default=None)

    async def run(self) -> None:
        running = set()
        while True:
            for moment in [m for m in self.pending if m <= self.clock.now()]:
                self.pending.remove(moment)
                busy = contextlib.ExitStack()
                busy.enter_context(self.clock.busy())
                running.add(asyncio.create_task(self.ring(moment, busy)))
            await self.clock.wait_until(self.next_due())

    async def ring(self, moment: datetime, busy: contextlib.ExitStack) -> None:
        with busy:
            started = self.clock.now()
            await asyncio.sleep(0.01)
            self.rung.append((moment, started, self.clock.now()))
            self.pending += self.then(moment)
            self.clock.changed()


Scenario = Callable[[Clock, Alarms], Awaitable[None]]


def played(scenario: Scenario) -> Alarms:
    """Run `scenario(clock, alarms)` with the alarms' pump beside it; the alarms."""

    async def run() -> Alarms:
        clock = Clock(Database(":memory:"))
        alarms = Alarms(clock)
        pump = asyncio.create_task(alarms.run())
        try:
            async with asyncio.timeout(10):
                await scenario(clock, alarms)
        finally:
            pump.cancel()
        return alarms

    return asyncio.run(run())


def test_what_falls_due_is_started_in_the_order_of_its_times() -> None:
    async def scenario(clock: Clock, alarms: Alarms) -> None:
        alarms.pending += [clock.now() + n * HOUR for n in (3, 1, 2)]
        await clock.advance(4 * HOUR)

    rung = [moment for moment, _, _ in played(scenario).rung]
    assert len(rung) == 3
    assert rung == sorted(rung)


def test_each_is_started_at_its_own_time_and_time_waits_for_it() -> None:
    async def scenario(clock: Clock, alarms: Alarms) -> None:
        alarms.pending += [clock.now() + n * HOUR for n in (1, 2, 3)]
        await clock.advance(4 * HOUR)

    for moment, started, ended in played(scenario).rung:
        assert moment == started == ended


def test_what_falls_due_because_of_it_is_started_too() -> None:
    async def scenario(clock: Clock, alarms: Alarms) -> None:
        last = clock.now() + timedelta(hours=10, minutes=1)
        alarms.then = lambda moment: [moment + HOUR] if moment + HOUR <= last else []
        alarms.pending += [clock.now() + HOUR]
        await clock.advance(timedelta(hours=10, minutes=2))

    assert len(played(scenario).rung) == 10


def test_what_is_due_later_stays() -> None:
    async def scenario(clock: Clock, alarms: Alarms) -> None:
        alarms.pending += [clock.now() + 2 * HOUR]
        await clock.advance(HOUR)

    alarms = played(scenario)
    assert alarms.rung == []
    assert len(alarms.pending) == 1


def woken(of: str, change: Callable[[Clock], None]) -> bool:
    """Whether somebody who waits for a service's changes is woken by a change."""

    async def run() -> bool:
        clock = Clock(Database(":memory:"))
        waiting = asyncio.create_task(clock.wait_until(None, of))
        await asyncio.sleep(0)
        change(clock)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        is_woken = waiting.done()
        waiting.cancel()
        return is_woken

    return asyncio.run(run())


def test_a_change_of_a_service_wakes_those_who_wait_for_that_service() -> None:
    asked = ("tasks", "scheduler", "")
    assert [woken(of, lambda clock: clock.changed("tasks")) for of in asked] == [True, False, True]
    assert all(woken(of, lambda clock: clock.changed()) for of in asked)


def test_whoever_waits_for_quiet_is_woken_when_the_last_is_out() -> None:
    async def run() -> None:
        clock = Clock(Database(":memory:"))
        with clock.busy(), clock.busy():
            idle = asyncio.create_task(clock.idle())
            await asyncio.sleep(0.01)
            assert not idle.done()
        await asyncio.wait_for(idle, 1)

    asyncio.run(run())


def test_a_wait_that_is_given_up_leaves_nothing_behind() -> None:
    async def run() -> None:
        clock = Clock(Database(":memory:"))
        for when in (None, clock.now() + HOUR):
            waiting = asyncio.create_task(clock.wait_until(when))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert not clock._waiting

    asyncio.run(run())


def test_an_idle_year_costs_nothing() -> None:
    async def scenario(clock: Clock, alarms: Alarms) -> None:
        began = asyncio.get_running_loop().time()
        await clock.advance(timedelta(days=365))
        assert asyncio.get_running_loop().time() - began < 0.5

    played(scenario)


def test_time_runs_on_by_itself_after_an_advance() -> None:
    async def scenario(clock: Clock, alarms: Alarms) -> None:
        await clock.advance(HOUR)
        alarms.pending += [clock.now() + timedelta(milliseconds=30)]
        clock.changed()
        while not alarms.rung:
            await asyncio.sleep(0.01)

    played(scenario)


def test_time_does_not_go_back() -> None:
    async def scenario(clock: Clock, alarms: Alarms) -> None:
        with pytest.raises(ValueError, match="forward only"):
            await clock.advance(-HOUR)

    played(scenario)


def test_two_advances_add_up() -> None:
    async def scenario(clock: Clock, alarms: Alarms) -> None:
        before = clock.now()
        await asyncio.gather(clock.advance(HOUR), clock.advance(HOUR))
        assert clock.now() - before >= 2 * HOUR

    played(scenario)


def test_the_clock_is_where_it_was_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state"

    async def run() -> Any:
        clock = Clock(Database(path))
        await clock.advance(timedelta(days=40))
        return clock.now(), clock.commit_time()

    now, commit = asyncio.run(run())
    after = Clock(Database(path))
    assert after.now() >= now
    assert after.now() - datetime.now(UTC) > timedelta(days=39)
    assert after.commit_time() > commit


def test_commit_times_strictly_increase_while_the_clock_stands_still() -> None:
    times: list[datetime] = []

    async def scenario(clock: Clock, alarms: Alarms) -> None:
        def then(moment: datetime) -> list[datetime]:
            times.extend(clock.commit_time() for _ in range(100))
            return []

        alarms.then = then
        alarms.pending += [clock.now() + HOUR]
        await clock.advance(HOUR)

    played(scenario)
    assert len(times) == 100
    assert all(a < b for a, b in itertools.pairwise(times))


def test_a_read_is_never_older_than_the_last_commit() -> None:
    async def scenario(clock: Clock, alarms: Alarms) -> None:
        commits = [clock.commit_time() for _ in range(1000)]
        assert clock.read_time() >= commits[-1]

    played(scenario)
