"""What a process prints, read from a pipe: at once, or, while the clock is moved, in time.

While time stands still, whatever is read gets the same time, and nobody looks meanwhile. Then it is
enough to read before time goes on, and now and then, so that a process never waits for a reader.
"""

import asyncio
import os

from local.kernel.clock import Clock
from local.services.functions.logs import Log

PAUSE = 0.02
"""Seconds between two looks while time stands still; a pipe holds far more than comes in them."""
MOST = 1 << 16
"""Bytes taken at once: what a pipe holds."""


class Output:
    """The output of one process, which writes it to `writing`; kept in a log."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._reading, self.writing = os.pipe()
        """File descriptors; whoever has started the process closes `writing`."""
        os.set_blocking(self._reading, False)
        self._rest = b""
        """The beginning of a line whose end has not come."""
        self._listening: asyncio.TimerHandle | None = None
        """What ends a pause."""
        self._ended = asyncio.Event()
        self._listen()

    def read(self) -> None:
        """Take what has been printed up to now."""
        if self._ended.is_set():
            return
        try:
            data = os.read(self._reading, MOST)
        except BlockingIOError:
            pass
        else:
            self._take(data)
        if self._listening and not self._clock.stands_still:
            self._listen()

    async def ended(self) -> None:
        """Return when all is taken that was printed, and the process has ended."""
        await self._ended.wait()

    def _take(self, data: bytes) -> None:
        if data:
            *lines, self._rest = (self._rest + data).split(b"\n")
        else:
            lines, self._rest = [self._rest] if self._rest else [], b""
            self._close()
        if lines:
            self._log.write(*(line.decode(errors="replace") for line in lines))

    def _readable(self) -> None:
        self.read()
        if self._clock.stands_still and not self._ended.is_set():
            self._loop.remove_reader(self._reading)
            self._listening = self._loop.call_later(PAUSE, self._listen)

    def _listen(self) -> None:
        if self._listening:
            self._listening.cancel()
            self._listening = None
        self._loop.add_reader(self._reading, self._readable)

    def _close(self) -> None:
        if self._listening:
            self._listening.cancel()
            self._listening = None
        self._loop.remove_reader(self._reading)
        os.close(self._reading)
        self._ended.set()
