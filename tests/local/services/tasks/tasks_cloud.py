"""Cloud Tasks on a free port, a target that answers by script, and the official client."""

import asyncio
import itertools
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.delivery import Deliverer
from local.kernel.faults import Faults
from local.kernel.identity import Issuer
from local.kernel.rpc import serve
from local.services.tasks.service import Tasks

PARENT = "projects/shop/locations/europe-west1"
REAL_SECONDS = 60
"""No test waits longer than this for anything."""


@dataclass(frozen=True)
class Hit:
    """One request the target received."""

    method: str
    path: str
    headers: Any
    body: bytes
    at: datetime
    """Virtual time."""


@dataclass
class Target:
    """An HTTP server: answers what is scripted for a path, in turn, then 200."""

    clock: Clock
    hits: list[Hit] = field(default_factory=list)
    script: dict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    """Path → answers: a status, (status, headers), or a coroutine function of the request."""
    url: str = ""
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=2**20)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    def at(self, path: str) -> list[Hit]:
        """The requests to one path."""
        return [hit for hit in self.hits if hit.path == path]

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        now = self.clock.now()
        self.hits.append(Hit(request.method, request.path, request.headers, body, now))
        script = self.script[request.path]
        answer = script.popleft() if script else 200
        if callable(answer):
            answer = await answer(request)
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return web.Response(status=status, headers=headers)


class Cloud:
    """Everything together, on an event loop in a thread of its own."""

    def __init__(self, path: Path, key: rsa.RSAPrivateKey) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.issuer = Issuer(url="https://issuer.test", key=key)
        self.do(self._start(path))
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self.client = tasks_v2.CloudTasksClient(
            transport=CloudTasksGrpcTransport(channel=self._channel)
        )

    async def _start(self, path: Path) -> None:
        self.database = Database(path)
        self.clock = Clock(self.database)
        self.faults = Faults()
        self.deliverer = Deliverer(self.clock, self.faults)
        self.tasks = Tasks(self.database, self.clock, self.deliverer, self.issuer)
        self.target = Target(self.clock)
        await self.target.start()
        self.server = grpc.aio.server()
        for service in (self.tasks, self.tasks.operations, self.tasks.locations):
            serve(self.server, service, self.faults)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        self._pump = asyncio.create_task(self.tasks.run())

    def do(self, coroutine: Any) -> Any:
        """Run a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(REAL_SECONDS)

    def advance(self, seconds: float) -> None:
        """Move the clock."""
        self.do(self.clock.advance(timedelta(seconds=seconds)))

    def idle(self) -> None:
        """Wait until nothing is in flight and nothing is due."""
        self.do(self.clock.idle())

    def until(self, true: Callable[[], object], what: str) -> None:
        """Wait, in real time, until a condition holds."""
        end = time.monotonic() + REAL_SECONDS
        while not true():
            assert time.monotonic() < end, f"never: {what}"
            time.sleep(0.005)

    def queue(self, id_: str = "q", **config: Any) -> str:
        """Create a queue and return its name."""
        name = f"{PARENT}/queues/{id_}"
        queue = tasks_v2.Queue(name=name, **config)
        self.client.create_queue(parent=PARENT, queue=queue)
        return name

    def task(self, queue: str, path: str = "/", *, later: float = 0, **fields: Any) -> Any:
        """Create a task for the target, `later` in seconds; the rest is for its HttpRequest."""
        top: dict[str, Any] = {
            k: fields.pop(k) for k in ("name", "dispatch_deadline", "retry_config") if k in fields
        }
        request = {"url": self.target.url + path, **fields}
        if later:
            top["schedule_time"] = self.clock.now() + timedelta(seconds=later)
        task = tasks_v2.Task(http_request=request, **top)
        return self.client.create_task(parent=queue, task=task)

    def gaps(self, path: str = "/") -> list[float]:
        """Virtual seconds between the requests to one path."""
        times = [hit.at for hit in self.target.at(path)]
        pairs = itertools.pairwise(times)
        return [round((b - a).total_seconds(), 6) for a, b in pairs]

    def kill(self) -> None:
        """Stop without any good-bye to the dispatcher's state, as far as one process can."""
        self.do(self._stop())
        self._channel.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(REAL_SECONDS)
        self.loop.close()

    async def _stop(self) -> None:
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        await self.server.stop(0)
        await self.target.stop()
        await self.deliverer.close()
        self.database.close()


Start = Callable[[], Cloud]
"""Starts the cloud on one test's state; called again, it is a restart."""
