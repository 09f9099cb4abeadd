"""How a service calls a function: one HTTP request, timed in real time, with the plan's faults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from local.clock import Clock
from local.faults import Faults


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
    """What came back. `status` None: no response (refused, reset, or `timed_out`)."""

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return self.status is not None and 200 <= self.status < 300


class Crashes(Protocol):
    """Who can kill the worker that serves a URL in the middle of a delivery."""

    def arm(self, request: Request, point: float) -> None:
        """Kill it during this delivery; `point` in [0, 1) chooses where."""


class Deliverer:
    """Sends requests. Every one runs inside `clock.busy()`, so time stands still meanwhile."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self._clock = clock
        self._faults = faults
        self._session: aiohttp.ClientSession | None = None
        self.crashes: Crashes | None = None

    async def send(self, request: Request) -> Reply:
        """Make one attempt; never raises for what the network or the function does."""
        with self._clock.busy():
            if self._hits("crash", self._faults.plan.crashes, request) and self.crashes:
                point = self._faults.chance("crash point", request.subject, request.attempt)
                self.crashes.arm(request, point)
            reply = await self._once(request)
            if reply.ok and self._hits("duplicate", self._faults.plan.duplicates, request):
                await self._once(request)
            return reply

    async def close(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()

    def _hits(self, kind: str, rate: float, request: Request) -> bool:
        return self._faults.hits(kind, rate, request.service, request.subject, request.attempt)

    async def _once(self, request: Request) -> Reply:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        try:
            async with self._session.request(
                request.method,
                request.url,
                data=request.body,
                headers=request.headers,
                timeout=aiohttp.ClientTimeout(total=request.timeout),
                allow_redirects=request.follow_redirects,
                skip_auto_headers=("Content-Type", "User-Agent", "Accept"),
            ) as response:
                body = await response.read()
                return Reply(status=response.status, headers=response.headers, body=body)
        except TimeoutError:
            return Reply(status=None, timed_out=True)
        except (aiohttp.ClientError, OSError):
            return Reply(status=None)
