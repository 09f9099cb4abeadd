"""How a service calls a function: one HTTP request, timed in real time, with the plan's faults."""

import asyncio
import contextlib
import io
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from local.kernel.clock import Clock
from local.kernel.faults import Faults

HELD_BACK = 0.25
"""Seconds, at most, by which a reordered delivery is late."""
IDLE_CONNECTION = 1.0
"""Seconds a connection is kept for reuse: less than gunicorn's 2, so that none is reused just as
the server closes it."""
LARGE = 2**20
"""Bytes of a body that aiohttp wants as a stream, which takes a task for each."""


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
        self._session: aiohttp.ClientSession | None = None
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
        if self._session:
            await self._session.close()

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
        except (aiohttp.ClientError, OSError, ValueError):  # or what cannot be put on the wire
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
        body = request.body
        async with self._connected().request(
            request.method,
            request.url,
            data=body if len(body) <= LARGE else io.BytesIO(body),
            headers=request.headers,
            allow_redirects=request.follow_redirects,
            skip_auto_headers=("Content-Type", "User-Agent", "Accept"),
        ) as response:
            body = await response.read()
            return Reply(status=response.status, headers=response.headers, body=body)

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),  # the platform sends none back
                auto_decompress=False,
            )
        return self._session
