"""Whose Cloud Tasks the contract tests talk to: ours, one that is named, or Google's."""

import asyncio
import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import NotFound
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

NAMED = os.environ.get("CLOUD_TASKS_EMULATOR_HOST", "")
REAL = os.environ.get("CONTRACT_PROJECT", "")
LOCATION = os.environ.get("CONTRACT_LOCATION", "europe-west1")
SERVICES = ["ours", *(["named"] if NAMED else []), *(["real"] if REAL else [])]
NOWHERE = "https://contract.invalid"
"""No task of a paused queue is sent there."""


@dataclass
class Service:
    """A client, and queues that nobody else uses."""

    client: tasks_v2.CloudTasksClient
    parent: str
    endpoint: Any = None
    """An HTTP server that the service reaches, as in conftest; the real one reaches none."""
    queues: list[str] = field(default_factory=list)

    @property
    def target(self) -> Any:
        """The endpoint; a test that needs one is skipped where there is none."""
        return self.endpoint or pytest.skip("the service cannot call this machine")

    def name(self) -> str:
        """The name of a queue that is not there yet; deleted afterwards."""
        self.queues.append(f"{self.parent}/queues/contract-{uuid.uuid4().hex}")
        return self.queues[-1]

    def queue(self, **config: Any) -> str:
        """A queue that dispatches."""
        queue = tasks_v2.Queue(name=self.name(), **config)
        return str(self.client.create_queue(parent=self.parent, queue=queue).name)

    def paused(self, **config: Any) -> str:
        """A queue that does not."""
        return str(self.client.pause_queue(name=self.queue(**config)).name)

    def task(self, queue: str, url: str = NOWHERE, **fields: Any) -> Any:
        """Create a task; fields as of Task, but `http` for the other fields of its request."""
        http = {"url": url, **fields.pop("http", {})}
        return self.client.create_task(
            parent=queue, task=tasks_v2.Task(http_request=http, **fields)
        )

    def hits(self, count: int, path: str = "/") -> list[Any]:
        """The requests to a path, once there are that many."""
        requests = f"{count} requests to {path}"
        until(lambda: len(self.target.at(path)) >= count, requests, seconds=30)
        return list(self.target.at(path))

    def emptied(self, queue: str) -> None:
        """Wait until a queue is empty."""
        client = self.client  # a purge takes the real one up to a minute
        until(lambda: not list(client.list_tasks(parent=queue)), "an empty queue", seconds=90)

    def close(self) -> None:
        """Delete the queues."""
        for name in self.queues:
            with contextlib.suppress(NotFound):
                self.client.delete_queue(name=name)


@contextlib.contextmanager
def named(make_target: Any) -> Iterator[Service]:
    """The one that CLOUD_TASKS_EMULATOR_HOST names."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    target = make_target(SimpleNamespace(now=lambda: datetime.now(UTC)))
    asyncio.run_coroutine_threadsafe(target.start(), loop).result(10)
    try:
        with grpc.insecure_channel(NAMED) as channel:
            client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
            yield Service(client, f"projects/contract/locations/{LOCATION}", target)
    finally:
        asyncio.run_coroutine_threadsafe(target.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextlib.contextmanager
def real() -> Iterator[Service]:
    """Google's, in CONTRACT_PROJECT."""
    with tasks_v2.CloudTasksClient() as client:
        yield Service(client, f"projects/{REAL}/locations/{LOCATION}")


def until(true: Callable[[], bool], what: str, *, seconds: float) -> None:
    """Wait, so long at most, until a condition holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)


def soon(seconds: float) -> datetime:
    """So many seconds from now."""
    return datetime.now(UTC) + timedelta(seconds=seconds)
