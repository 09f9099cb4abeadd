"""The local Cloud Scheduler and a target it calls, both in one event loop of their own."""

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.delivery import Deliverer
from local.kernel.faults import Faults
from local.kernel.identity import open_issuer
from local.services.scheduler.service import Scheduler

Start = Callable[..., "Local"]
"""Starts the scheduler, again on the same state file and port; `at=` sets its clock."""

PARENT = "projects/shop/locations/europe-west1"


@functools.cache
def signing_key() -> str:
    """One key for all tests: making one takes longer than most of them."""
    database = Database(":memory:")
    assert open_issuer(database, "http://issuer.test").key
    return str(database.get("identity.key"))


@dataclass
class Target:
    """What a job calls: remembers the requests and answers as told."""

    url: str = ""
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """The next statuses, then 200 for ever."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: requests wait."""

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.bodies.append(await request.read())
        status = self.answers.pop(0) if self.answers else 200
        await self.gate.wait()
        if status == 302:
            raise web.HTTPFound("/moved")
        return web.Response(status=status)

    def ticks(self) -> list[str]:
        """The scheduled times of the requests."""
        return [request.headers["X-CloudScheduler-ScheduleTime"] for request in self.requests]


class Local:
    """A running scheduler. Calls into it go through `do`, so that all happens in its loop."""

    def __init__(self, state: Path, at: datetime | None = None, port: int = 0) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.call(self._start(state, at, port))

    def call(self, work: Awaitable[Any]) -> Any:
        """Run a coroutine in the loop."""

        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(20)

    def do(self, function: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
        """Call a function in the loop."""

        async def run() -> Any:
            return function(*args, **named)

        return self.call(run())

    def create(self, schedule: str = "0 9 * * *", job: str = "digest", **fields: Any) -> str:
        """A new job that calls the target; returns its name."""
        target = {"uri": self.target.url, **fields.pop("httpTarget", {})}
        body = {"name": f"{PARENT}/jobs/{job}", "schedule": schedule, "httpTarget": target}
        return str(self.do(self.scheduler.create_job, PARENT, {**body, **fields})["name"])

    def get(self, name: str) -> dict[str, Any]:
        """A job."""
        found: dict[str, Any] = self.do(self.scheduler.get_job, name)
        return found

    def advance(self, **delta: float) -> None:
        """Move the clock."""
        self.call(self.clock.advance(timedelta(**delta)))

    def begin_to_advance(self, **delta: float) -> Future[None]:
        """Move the clock, not waiting until it is there."""
        moving = self.clock.advance(timedelta(**delta))
        return asyncio.run_coroutine_threadsafe(moving, self._loop)

    def idle(self) -> None:
        """Wait until nothing is in flight or due."""
        self.call(self.clock.idle())

    def wait_for(self, count: int) -> None:
        """Wait for that many requests to have arrived."""
        deadline = time.monotonic() + 10
        while len(self.target.requests) < count:
            assert time.monotonic() < deadline, f"{len(self.target.requests)} of {count} requests"
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop everything, as at the end of the process."""
        self.call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self, state: Path, at: datetime | None, port: int) -> None:
        self.database = Database(state)
        self.database.put("identity.key", signing_key())
        if at:
            offset = at - datetime.now(UTC)
            self.database.put("clock.offset_us", str(offset // timedelta(microseconds=1)))
        self.clock = Clock(self.database)
        self.deliverer = Deliverer(self.clock, Faults())
        self.issuer = open_issuer(self.database, "http://issuer.test")
        self.scheduler = Scheduler(self.database, self.clock, self.deliverer, self.issuer)
        self.target = Target()
        self.target.gate.set()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.target.handle)
        self._web = web.AppRunner(app, shutdown_timeout=0.1)
        await self._web.setup()
        await web.TCPSite(self._web, "127.0.0.1", port, reuse_address=True).start()
        self.port = self._web.addresses[0][1]
        self.target.url = f"http://127.0.0.1:{self.port}/run"
        self._pump = asyncio.create_task(self.scheduler.run())

    async def _stop(self) -> None:
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        self.target.gate.set()
        await self.deliverer.close()
        await self._web.cleanup()
        self.database.close()
