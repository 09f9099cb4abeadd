"""Firestore and Cloud Tasks of the local cloud over sockets, and a campaign that talks to both."""

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud import tasks_v2

from common.cloud import batches, firestore_service, tasks_service
from common.idempotency import Call
from common.idempotency.origin import Received
from common.process import settings
from common.triggers.boundary import Ending, attend
from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.delivery import Deliverer
from local.kernel.faults import Faults, Plan
from local.kernel.identity import Issuer
from local.kernel.rpc import serve
from local.kernel.status import Status
from local.services.firestore.service import Firestore
from local.services.tasks.service import Tasks
from tests.common import wire
from tests.common.scheduling.campaigns.news import News

Task, Queue = tasks_v2.Task.pb(), tasks_v2.Queue.pb()
CreateQueueRequest = tasks_v2.CreateQueueRequest.pb()
QUEUES = ("digests", "fanout")
PARENT = "projects/wire/locations/local"


@dataclass
class WireCloud:
    """Both services, each on a port of its own; nothing is dispatched but by the test."""

    loop: asyncio.AbstractEventLoop
    addresses: dict[str, str]
    clock: Clock
    faults: Faults
    database: Database
    failing: float = 0.0
    """The part of the indexes of a batch that fail."""
    seen: set[int] = field(default_factory=set)
    """The tasks that were taken; their names stay used."""

    def use(self, plan: Plan) -> None:
        """From now on be as nasty as this."""
        self.loop.call_soon_threadsafe(self.faults.use, plan)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        moving = self.clock.advance(timedelta(seconds=seconds))
        asyncio.run_coroutine_threadsafe(moving, self.loop).result(wire.PATIENCE)

    def taken(self, queue: str) -> list[dict[str, Any]]:
        """The bodies of the tasks on a queue, which are gone then."""
        return asyncio.run_coroutine_threadsafe(self._taken(queue), self.loop).result(60)

    def run(self, news: News, *ticks: str) -> Counter[str]:
        """Fire these ticks, then deliver what `fanout` has for itself until nothing is left; how
        many tasks each user has."""
        for tick in ticks:
            self.deliver(news, {"campaign": "news"}, tick=tick)
        while mine := [it for it in self.taken("fanout") if "shard" in it]:
            for body in mine:
                self.deliver(news, body)
        return Counter(it["user_id"] for it in self.taken("digests"))

    def deliver(self, news: News, body: dict[str, Any], **headers: Any) -> None:
        """Deliver this until it is acknowledged, with the pauses of a queue."""
        for _ in range(50):
            if self.called(news, body, **headers).code == 200:
                return
            self.advance(31)
        raise AssertionError(f"{body} is never acknowledged")

    def called(self, news: News, body: dict[str, Any], **headers: Any) -> Ending:
        """One delivery to `fanout`."""
        raw = json.dumps(body).encode()
        call = Call(body=body, raw=raw, **headers)
        return attend("fanout", lambda: Received(payload=raw), lambda: news.start(call))

    async def _taken(self, queue: str) -> list[dict[str, Any]]:
        sql = "SELECT t.id, t.spec FROM tasks_task t JOIN tasks_queue q ON q.id = t.queue"
        found = self.database.execute(f"{sql} WHERE q.name = ?", (f"{PARENT}/queues/{queue}",))
        rows = [(number, spec) for number, spec in found.fetchall() if number not in self.seen]
        self.seen.update(number for number, _ in rows)
        return [json.loads(Task.FromString(spec).http_request.body) for _, spec in rows]


@contextmanager
def running() -> Iterator[WireCloud]:
    """Both services in a thread, with their state in memory; the bundle's clients talk to them."""
    started: Future[WireCloud] = Future()
    stop: Future[None] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(started, stop)))
    thread.start()
    try:
        cloud = started.result(wire.PATIENCE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(batches, "FIRST_PAUSE", 0.01)
            for name, value in {**wire.ENVIRONMENT, **cloud.addresses}.items():
                patch.setenv(name, value)
            patch.setenv("COLD_QUEUE_RATE", "0")
            _forget()
            yield cloud
        _forget()
    finally:
        stop.set_result(None)
        thread.join()


def _forget() -> None:
    settings.current.cache_clear()
    firestore_service.disconnect()
    tasks_service._connected.cache_clear()


async def _serve(started: "Future[WireCloud]", stop: "Future[None]") -> None:
    database, faults = Database(":memory:"), Faults()
    clock = Clock(database)
    issuer = Issuer(url="https://issuer.test", key=rsa.generate_private_key(65537, 2048))
    # Of its own, because nobody dispatches what a clock that is moved would wait for.
    unmoved = Database(":memory:")
    still = Clock(unmoved)
    tasks = Tasks(database, still, Deliverer(still, faults), issuer)
    server = grpc.aio.server()
    for service in (Firestore(database, clock), tasks, tasks.operations, tasks.locations):
        serve(server, service, faults, caller="bundle")
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    names = ("FIRESTORE_EMULATOR_HOST", "CLOUD_TASKS_EMULATOR_HOST")
    cloud = WireCloud(
        loop=asyncio.get_running_loop(),
        addresses=dict.fromkeys(names, address),
        clock=clock,
        faults=faults,
        database=database,
    )
    for name in QUEUES:
        queue = Queue(name=f"{PARENT}/queues/{name}")
        await tasks._queues.create(CreateQueueRequest(parent=PARENT, queue=queue))
    _spoil(tasks, cloud)
    started.set_result(cloud)
    await asyncio.wrap_future(stop)
    await server.stop(None)
    unmoved.close()
    database.close()


def _spoil(tasks: Tasks, cloud: WireCloud) -> None:
    """Have a part of all indexes fail: with the same numbers in every run."""
    created, chance = tasks._tasks.created, random.Random(7)

    def spoilt(request: Any) -> Any:
        if chance.random() < cloud.failing:
            raise Status(grpc.StatusCode.UNAVAILABLE, "injected: this index fails")
        return created(request)

    tasks._tasks.created = spoilt  # type: ignore[method-assign]
