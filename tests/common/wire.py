"""The bundle's own Firestore client against the local Firestore, over a real socket."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import grpc
import pytest

from common.cloud import firestore_service
from common.process import settings
from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.faults import Faults, Plan
from local.kernel.rpc import serve
from local.services.firestore.service import Firestore

PATIENCE = 20.0
ENVIRONMENT = {
    "GOOGLE_CLOUD_PROJECT": "wire",
    "LOCATION": "local",
    "REMINDER_URL": "http://127.0.0.1:1",
    "REMINDER_AUDIENCE": "reminder",
    "FANOUT_URL": "http://127.0.0.1:1",
    "FANOUT_AUDIENCE": "fanout",
    "TASKS_SERVICE_ACCOUNT": "tasks@wire.iam.gserviceaccount.com",
    "SCHEDULER_SERVICE_ACCOUNT": "scheduler@wire.iam.gserviceaccount.com",
}


@dataclass
class Wire:
    """A running Firestore."""

    loop: asyncio.AbstractEventLoop
    address: str
    clock: Clock
    faults: Faults
    database: Database

    def advance(self, seconds: float) -> None:
        """Move its clock."""
        moving = self.clock.advance(timedelta(seconds=seconds))
        asyncio.run_coroutine_threadsafe(moving, self.loop).result(PATIENCE)

    def use(self, plan: Plan) -> None:
        """From now on be as nasty as this."""
        self.loop.call_soon_threadsafe(self.faults.use, plan)

    def counts(self) -> Mapping[str, int]:
        """RPCs served so far, by name."""
        return {method: count for (_, method), count in self.faults.counts.items()}

    def written(self) -> tuple[int, int]:
        """Documents written so far, and the commits that wrote them: from the stored versions."""
        return asyncio.run_coroutine_threadsafe(self._written(), self.loop).result(PATIENCE)

    async def _written(self) -> tuple[int, int]:
        versions = " UNION ALL ".join(
            f"SELECT updated FROM {table}" for table in ("firestore_documents", "firestore_history")
        )
        query = f"SELECT count(*), count(DISTINCT updated) FROM ({versions})"
        documents, commits = self.database.execute(query).fetchone()
        return documents, commits


@contextmanager
def running() -> Iterator[Wire]:
    """A Firestore in a thread, with its state in memory; the bundle's client talks to it."""
    started: Future[Wire] = Future()
    stop: Future[None] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(started, stop)))
    thread.start()
    try:
        wire = started.result(PATIENCE)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**ENVIRONMENT, "FIRESTORE_EMULATOR_HOST": wire.address}.items():
                patch.setenv(name, value)
            settings.current.cache_clear()
            firestore_service.disconnect()
            yield wire
        firestore_service.disconnect()
        settings.current.cache_clear()
    finally:
        stop.set_result(None)
        thread.join()


async def _serve(started: Future[Wire], stop: Future[None]) -> None:
    database = Database(":memory:")
    clock, faults = Clock(database), Faults()
    service = Firestore(database, clock)
    server = grpc.aio.server()
    serve(server, service, faults, caller="bundle")
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    wire = Wire(asyncio.get_running_loop(), f"127.0.0.1:{port}", clock, faults, database)
    started.set_result(wire)
    await asyncio.wrap_future(stop)
    await server.stop(None)
    database.close()
