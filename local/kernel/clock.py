"""One clock for every service of the local cloud: real time, until somebody asks to move it.

A service that will have something to do later registers as a source and says when (`next_due`).
Deliveries run inside `busy()`. Time is moved (`advance`) from one due moment to the next, and only
while nothing is in flight, so that what falls due happens in the order of its times:

    busy? ── yes ──▶ wait
      │ no
      ▼
    earliest due ── now or past ──▶ wait for its service to take it
      │ later, within the target
      ▼
    now = that moment; wake whose it is; again

The clock runs in real time plus an offset; during `advance` it stands still between jumps.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from local.kernel.database import Database
from local.kernel.moments import MICROSECOND


class Source(Protocol):
    """A service with work that falls due."""

    def next_due(self) -> datetime | None:
        """The earliest moment at which it has something to start; None: nothing, ever.

        A moment that has passed means it is about to start it. Work that cannot start for another
        reason than time (a paused queue, no free slot) is not due.
        """


QUIET = "quiet"
"""What those wait for who wait until nothing is in flight or due; no service has this name."""


@dataclass(eq=False, slots=True)
class _Waiter:
    """Somebody who waits for a moment, or for a change."""

    when: datetime | None
    of: str
    woken: asyncio.Future[None]

    def wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)


class Clock:
    """Virtual time, shared and persisted. Used from one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._offset = timedelta(microseconds=int(database.get("clock.offset_us") or 0))
        self._last_commit = _parse(database.get("clock.last_commit"))
        self._last_read: datetime | None = None
        self._frozen: datetime | None = None
        self._sources: list[Source] = []
        self._holding: list[Callable[[], bool]] = []
        self._leaving: list[Callable[[], None]] = []
        self._busy = 0
        self._waiting: dict[_Waiter, None] = {}
        """In the order in which they began to."""
        self._advancing = asyncio.Lock()

    def now(self) -> datetime:
        """The present, aware, UTC."""
        return self._frozen or datetime.now(UTC) + self._offset

    def commit_time(self) -> datetime:
        """A commit's time: now, or 1 µs after the last one where that is later; never twice.

        It is later than every `read_time` too, so that what was read at a time stays true of it.
        Call it inside the database transaction of the commit, which also remembers it.
        """
        commit = self.now()
        for earlier in (self._last_commit, self._last_read):
            if earlier and commit <= earlier:
                commit = earlier + MICROSECOND
        self._last_commit = commit
        self._database.put("clock.last_commit", self._last_commit.isoformat())
        return self._last_commit

    def read_time(self) -> datetime:
        """A read's time: now, never older than the last commit."""
        now = self.now()
        self._last_read = max(now, self._last_commit) if self._last_commit else now
        return self._last_read

    def register(self, source: Source, is_held_back: Callable[[], bool] | None = None) -> None:
        """Let `advance` and `idle` know of a service that has work falling due.

        `is_held_back`: whether something is due that waits for nothing but a rate.
        """
        self._sources.append(source)
        if is_held_back:
            self._holding.append(is_held_back)

    def before_it_moves(self, call: Callable[[], None]) -> None:
        """Have something done at the end of each moment at which `advance` stops, while it is still
        that moment, and once more when time runs on by itself."""
        self._leaving.append(call)

    @property
    def stands_still(self) -> bool:
        """Whether it is being moved: from stop to stop, it stands."""
        return self._frozen is not None

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Something is in flight: time is not moved meanwhile. Enter it before the first await.

        The last one out wakes who waits for quiet; whoever files what came of it says `changed`.
        """
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._wake(QUIET)

    def changed(self, of: str = "") -> None:
        """Tell who waits that a due moment, or what is in flight, of a service has changed.

        Woken are those who wait for that service or for all, and whoever waits for quiet. Without
        `of` everybody is.
        """
        # Who waits for quiet comes first: then time is moved before the others look.
        self._wake(QUIET)
        for waiter in list(self._waiting):
            if not of or waiter.of in ("", of):
                waiter.wake()

    async def wait_until(self, when: datetime | None, of: str = "") -> None:
        """Return when it is `when` (None: never), or anything changed; the caller looks again.

        `of`: a service, whose changes alone are waited for.
        """
        if when is not None and when <= self.now():
            return
        loop = asyncio.get_running_loop()
        waiter = _Waiter(when, of, loop.create_future())
        timer = None
        if when is not None and self._frozen is None:
            timer = loop.call_later((when - self.now()).total_seconds(), waiter.wake)
        self._waiting[waiter] = None
        try:
            await waiter.woken
        finally:
            del self._waiting[waiter]
            if timer:
                timer.cancel()

    def ahead(self) -> timedelta:
        """How far it is ahead of real time."""
        return self.now() - datetime.now(UTC)

    def in_flight(self) -> int:
        """How many deliveries are in flight."""
        return self._busy

    def next_due(self) -> datetime | None:
        """The earliest moment at which any service has something to start."""
        return min((due for s in self._sources if (due := s.next_due()) is not None), default=None)

    async def idle(self) -> None:
        """Return when nothing is in flight, and nothing is due now or only held back by a rate."""
        while self._busy or self._is_due() or any(is_held() for is_held in self._holding):
            await self._change()

    async def _quiet(self) -> datetime | None:
        """Return what falls due next, once nothing is in flight and nothing is due now; what a rate
        holds back is due later."""
        while True:
            if not self._busy:
                due = self.next_due()
                if due is None or due > self.now():
                    return due
            await self._change()

    async def advance(self, delta: timedelta) -> None:
        """Move time by `delta`, stopping at every moment at which something falls due."""
        if delta < timedelta(0):
            raise ValueError(f"time moves forward only, not by {delta}")
        async with self._advancing:
            target = self.now() + delta
            self._frozen = self.now()
            try:
                while (moment := await self._next_stop(target)) < target:
                    self._jump(moment)
                self._jump(target)
                await self._quiet()
            finally:
                offset, self._frozen = self.now() - datetime.now(UTC), None
                self._set_offset(offset)
                self._leave()
                self.changed()

    async def _next_stop(self, target: datetime) -> datetime:
        due = await self._quiet()
        return target if due is None else min(due, target)

    def _jump(self, moment: datetime) -> None:
        self._leave()
        self._frozen = moment
        self._set_offset(moment - datetime.now(UTC))
        for waiter in list(self._waiting):
            if waiter.when is not None and waiter.when <= moment:
                waiter.wake()

    def _leave(self) -> None:
        for call in self._leaving:
            call()

    def _set_offset(self, offset: timedelta) -> None:
        self._offset = offset
        self._database.put("clock.offset_us", str(offset // MICROSECOND))

    def _is_due(self) -> bool:
        due = self.next_due()
        return due is not None and due <= self.now()

    async def _change(self) -> None:
        await self.wait_until(None, QUIET)

    def _wake(self, of: str) -> None:
        for waiter in list(self._waiting):
            if waiter.of == of:
                waiter.wake()


def _parse(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
