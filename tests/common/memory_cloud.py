"""Firestore and Cloud Tasks in memory, and deliveries as the functions' triggers make them."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from common import idempotency
from common.cloud import firestore, tasks
from common.cloud.firestore import Write
from common.cloud.memory import MemoryFirestore, MemoryTasks
from common.cloud.tasks import Task
from common.idempotency import Answer, Call, Job, Outcome, Work
from common.idempotency.origin import Received
from common.process import settings
from common.triggers import boundary
from common.triggers.boundary import Ending
from tests.common.process.test_settings import ENVIRON


@dataclass
class Cloud:
    """What the code under test talks to."""

    firestore: MemoryFirestore
    tasks: MemoryTasks

    @property
    def now(self) -> datetime:
        """The server's time."""
        return self.firestore.now

    def advance(self, **time: float) -> None:
        """Time passes, given as a timedelta is."""
        self.firestore.advance(timedelta(**time).total_seconds())

    def document(self, path: str) -> Mapping[str, Any]:
        """The fields of a document; none of one that is not there."""
        return self.firestore.documents().get(path, {})

    def handle(self, write: Callable[[Work], list[Write]], key: str = "event") -> Answer:
        """An event comes, whose handler writes this."""
        job = Job(scope="consumer", key=key, identity=key, payload=b"{}")
        return idempotency.run(job, lambda work: Outcome(result="handled", writes=write(work)))

    def call(self, function: Callable[[Call], Answer], body: Any, **headers: Any) -> Ending:
        """One call of a function over HTTP; `headers` are the fields of a Call."""
        call = Call(body=body, raw=json.dumps(body).encode(), **headers)
        return boundary.attend(
            "function", lambda: Received(payload=call.raw), lambda: function(call)
        )

    def deliver(self, function: Callable[[Call], Answer], task: Task, **headers: Any) -> Ending:
        """One delivery of a task; `headers` are other fields of a Call."""
        name = tasks.name(task.identity)
        return self.call(function, task.body, task=name, due_at=task.at, **headers)


@contextmanager
def cloud_in_memory() -> Iterator[Cloud]:
    """An empty cloud, for the length of the block."""
    with pytest.MonkeyPatch.context() as patch:
        audiences = {"REMINDER_AUDIENCE": "reminder", "FANOUT_AUDIENCE": "fanout"}
        for name, value in {**ENVIRON, **audiences}.items():
            patch.setenv(name, value)
        settings.current.cache_clear()
        memory = MemoryFirestore()
        with firestore.using(memory), tasks.using(MemoryTasks(now=lambda: memory.now)) as queue:
            yield Cloud(memory, queue)
    settings.current.cache_clear()
