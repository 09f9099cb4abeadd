"""How a service calls a function: one HTTP request, timed in real time, with the plan's faults."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from local.kernel.clock import Clock
from local.kernel.connections import Connections
from local.kernel.faults import Faults

HELD_BACK = 0.25
"""Seconds, at most, by which a reordered delivery is late."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One attempt at one delivery."""

    service: str
    """Who delivers: `tasks`, `pubsub`, `scheduler`."""
    subject: str
    """The business id of what is delivered (task name, message id, job and tick)."""
    attempt: int
    """1 for the first."""
    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout: float
    """Seconds of real time until the platform gives the attempt up."""
    follow_redirects: bool = False


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back of a request; `status` is None without a response (refused, reset,
    `timed_out`)."""

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return self.status is not None and 200 <= self.status < 300


class Crashes(Protocol):
    """Whoever can kill the worker that serves a URL in the middle of a delivery."""

    def armed(self, request: Request, point: float) -> AbstractContextManager[None]:
        """Inside the block, the worker is killed once; `point` in [0, 1) chooses the call."""


class Targets(Protocol):
    """Whoever knows whether the function behind a URL takes requests."""

    def serving(self, url: str) -> AbstractAsyncContextManager[None]:
        """Entered when it does (a starting instance is waited for), or when it is none of ours;
        while inside, the instance is not ended in an orderly way."""

    def limit(self, url: str) -> float | None:
        """Return after how many seconds a request is answered 504; None: the URL is no function of
        ours."""


class Deliverer:
    """Sends requests, each inside `clock.busy()`: time is not moved until it has been answered."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self._clock = clock
        self._faults = faults
        self._connections = Connections()
        self.crashes: Crashes | None = None
        self.targets: Targets | None = None
        self.counts: Counter[str] = Counter()
        """Requests made, by who delivers."""
        self.attempts: Counter[str] = Counter()
        """The attempt of whatever was tried most often, by who delivers."""
        self.in_flight = 0
        """Requests being made."""

    async def send(self, request: Request, leaves: Callable[[], None] = lambda: None) -> Reply:
        """Make one attempt; never raises for what the network or the function does.

        `leaves` is called when the request is about to be written to the network, twice for a
        duplicate, and not at all if it never is.
        """
        with self._clock.busy():
            plan = self._faults.plan
            if self._hits("drops", plan.drops, request):
                return Reply(status=None)
            if self._hits("reorder", plan.reorder, request):
                await asyncio.sleep(HELD_BACK * self._chance("held back", request))
            with self._crash(request):
                reply = await self._deliver(request, leaves)
            lost = reply.ok and self._hits("lost_acks", plan.lost_acks, request)
            return Reply(status=None) if lost else reply

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    async def _deliver(self, request: Request, leaves: Callable[[], None]) -> Reply:
        if not self._hits("duplicates", self._faults.plan.duplicates, request):
            return await self._once(request, leaves)
        if self._chance("overlap", request) < 0.5:
            first, _ = await asyncio.gather(
                self._once(request, leaves), self._once(request, leaves)
            )
            return first
        first = await self._once(request, leaves)
        if first.ok:
            await self._once(request, leaves)
        return first

    def _crash(self, request: Request) -> AbstractContextManager[None]:
        if self.crashes and self._hits("crashes", self._faults.plan.crashes, request):
            return self.crashes.armed(request, self._chance("crash point", request))
        return contextlib.nullcontext()

    def _hits(self, kind: str, rate: float, request: Request) -> bool:
        return self._faults.hits(kind, rate, request.service, request.subject, request.attempt)

    def _chance(self, kind: str, request: Request) -> float:
        return self._faults.chance(kind, request.service, request.subject, request.attempt)

    async def _once(self, request: Request, leaves: Callable[[], None]) -> Reply:
        self.counts[request.service] += 1
        most = self.attempts[request.service]
        self.attempts[request.service] = max(most, request.attempt)
        self.in_flight += 1
        limit = self.targets.limit(request.url) if self.targets else None
        try:
            async with asyncio.timeout(request.timeout), self._serving(request.url):
                leaves()
                return await self._within(limit, request)
        except TimeoutError:
            return Reply(status=None, timed_out=True)
        except OSError:
            return Reply(status=None)
        finally:
            self.in_flight -= 1

    async def _within(self, limit: float | None, request: Request) -> Reply:
        """Answer 504 after `limit` seconds, as the platform's front end does, whatever the function
        does."""
        if limit is None or limit >= request.timeout:
            return await self._request(request)  # whoever delivers has no more patience than that
        try:
            async with asyncio.timeout(limit) as timeout:
                return await self._request(request)
        except TimeoutError:
            if timeout.expired():
                return Reply(status=504, body=b"upstream request timeout")
            raise

    def _serving(self, url: str) -> AbstractAsyncContextManager[None]:
        return self.targets.serving(url) if self.targets else contextlib.nullcontext()

    async def _request(self, request: Request) -> Reply:
        wire = self._connections
        send = wire.follow if request.follow_redirects else wire.request
        response = await send(request.method, request.url, request.headers, request.body)
        return Reply(status=response.status, headers=response.headers, body=response.body)
