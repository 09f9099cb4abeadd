"""What a process prints, read at the times of the clock."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

from local.kernel.clock import Clock
from local.kernel.database import Database
from local.services.functions import outputs
from local.services.functions.logs import Log
from local.services.functions.outputs import Output

HOUR = timedelta(hours=1)


class Printer:
    """A service that prints a line whenever one is due."""

    def __init__(self, clock: Clock, output: Output) -> None:
        self.clock = clock
        self.output = output
        self.dues: list[datetime] = []
        clock.register(self)
        clock.before_it_moves(output.read)

    def next_due(self) -> datetime | None:
        return min(self.dues, default=None)

    def print(self, text: str) -> None:
        os.write(self.output.writing, text.encode())

    async def run(self) -> None:
        while True:
            for due in [due for due in self.dues if due <= self.clock.now()]:
                self.dues.remove(due)
                self.print(f"{due.isoformat()}\n")
                self.clock.changed()
            await self.clock.wait_until(self.next_due())


def played(path: Path, scenario: Callable[[Printer], Awaitable[None]]) -> Log:
    """What is kept of a scenario's output."""

    async def run() -> Log:
        clock = Clock(Database(":memory:"))
        log = Log(path, now=clock.now)
        printer = Printer(clock, Output(log, clock))
        pump = asyncio.create_task(printer.run())
        async with asyncio.timeout(10):
            await scenario(printer)
            os.close(printer.output.writing)
            await printer.output.ended()
        pump.cancel()
        log.close()
        return log

    return asyncio.run(run())


def test_lines_of_any_length_are_kept_whole_and_the_last_without_its_end(tmp_path: Path) -> None:
    long = "ü" * 100_000

    async def scenario(printer: Printer) -> None:
        await asyncio.to_thread(printer.print, f"{long}\n\nlast")

    assert played(tmp_path / "log", scenario).recent(3) == [long, "", "last"]


def test_a_line_has_the_time_at_which_it_was_printed_however_fast_time_is_moved(
    tmp_path: Path,
) -> None:
    async def scenario(printer: Printer) -> None:
        now = printer.clock.now()
        printer.dues = [now + number * HOUR for number in range(1, 200)]
        await printer.clock.advance(timedelta(days=10))

    found = played(tmp_path / "log", scenario).timed()
    assert len(found) == 199
    assert all(time.isoformat() == line for time, line in found)


def test_what_was_printed_is_there_when_the_clock_has_been_moved(tmp_path: Path) -> None:
    lines: list[str] = []
    path = tmp_path / "log"

    async def scenario(printer: Printer) -> None:
        printer.dues = [printer.clock.now() + HOUR, printer.clock.now() + 2 * HOUR]
        await printer.clock.advance(2 * HOUR)
        lines.extend(path.read_text().splitlines())

    played(path, scenario)
    assert len(lines) == 2


def test_a_process_that_prints_much_does_not_wait_for_the_clock(tmp_path: Path) -> None:
    async def scenario(printer: Printer) -> None:
        with printer.clock.busy():
            moving = asyncio.create_task(printer.clock.advance(HOUR))
            for _ in range(8):
                await asyncio.to_thread(printer.print, "x" * 65_536 + "\n")
        await moving

    assert len(played(tmp_path / "log", scenario).recent(10)) == 8


def test_it_is_read_at_once_again_when_time_runs_on_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "log"

    async def scenario(printer: Printer) -> None:
        printer.dues = [printer.clock.now() + HOUR]
        await printer.clock.advance(HOUR)
        began = asyncio.get_running_loop().time()
        printer.print("now\n")
        while "now" not in path.read_text():
            await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() - began < outputs.PAUSE / 2

    played(path, scenario)
