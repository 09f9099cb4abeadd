"""The functions of the bundle in the test's own process, with Firestore and Cloud Tasks in memory.

A test of a handler takes milliseconds: `publish` an event, `advance` the clock, `tick` a campaign,
then look at `documents` and `messages`. What only sockets can show, such as a killed process, is
for `local.testing`.
"""

import base64
import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from werkzeug.exceptions import HTTPException

from common.cloud.memory import MemoryFirestore, MemoryTasks
from common.cloud.tasks import Task
from common.idempotency import Call
from common.idempotency.origin import Received
from common.process import settings
from common.triggers import boundary
from functions.consumer import consumer
from functions.fanout import start
from functions.reminder import ring
from functions.shop import settings as shop

PAUSE = timedelta(minutes=1)
"""Between two attempts at a task that was not acknowledged."""


class Bundle:
    """The three functions, whoever calls them, and what they have written."""

    def __init__(self, firestore: MemoryFirestore, tasks: MemoryTasks) -> None:
        self.firestore = firestore
        self.tasks = tasks
        self._waiting: list[tuple[datetime, Task]] = []

    def publish(
        self, event_type: str, user_id: str, *, event_id: str | None = None, **payload: Any
    ) -> int:
        """Deliver an event to `consumer`; returns the status that Pub/Sub sees."""
        event = {
            "event_id": event_id or uuid.uuid4().hex,
            "event_type": event_type,
            "user_id": user_id,
            "payload": payload,
        }
        message = {"data": base64.b64encode(json.dumps(event).encode()).decode(), "messageId": "1"}
        attributes = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//test"}
        try:
            consumer(CloudEvent(attributes, {"message": message}))
        except HTTPException as refusal:
            return refusal.code or 500
        return 200

    def advance(self, **duration: float) -> None:
        """Let time pass (`days=2`) and deliver what falls due on the way, in its order."""
        end = self.firestore.now + timedelta(**duration)
        while (due := self._next()) and due[0] <= end:
            self._move_to(due[0])
            self._waiting.remove(due)
            self._deliver(due[1])
        self._move_to(end)

    def tick(self, campaign: str, at: datetime | None = None) -> int:
        """Fire a campaign (now, or as the tick of `at`), and deliver its tasks that are due now.

        Returns the status that Cloud Scheduler sees.
        """
        tick = (at or self.firestore.now).isoformat()
        code = self._call("fanout", start, {"campaign": campaign}, tick=tick)
        self.advance(seconds=0)
        return code

    def call(self, function: str, body: Any, **how: Any) -> int:
        """One call of `reminder` or `fanout`; returns the status that the caller sees."""
        return self._call(function, {"reminder": ring, "fanout": start}[function], body, **how)

    def documents(self, collection: str) -> list[dict[str, Any]]:
        """The fields of the documents in a collection."""
        return list(self.firestore.documents(collection).values())

    def messages(self, user_id: str) -> list[str]:
        """The templates of the messages to a user, oldest first."""
        found = [it for it in self.documents("messages") if it["user_id"] == user_id]
        return [it["template"] for it in sorted(found, key=lambda it: it["sent_at"])]

    def _next(self) -> tuple[datetime, Task] | None:
        now = self.firestore.now
        self._waiting += [(task.at or now, task) for task in self.tasks.take()]
        return min(self._waiting, key=lambda due: due[0], default=None)

    def _move_to(self, time: datetime) -> None:
        seconds = (time - self.firestore.now).total_seconds()
        self.firestore.advance(max(seconds, 0))

    def _deliver(self, task: Task) -> None:
        config = settings.current()
        functions = {config.reminder_url: ("reminder", ring), config.fanout_url: ("fanout", start)}
        code = self._call(*functions[task.url], task.body, due_at=task.at)
        if code != 200:
            self._waiting.append((self.firestore.now + PAUSE, task))

    def _call(self, function: str, handle: Any, body: Any, **how: Any) -> int:
        raw = json.dumps(body).encode()
        call = Call(body=json.loads(raw), raw=raw, **how)
        return boundary.attend(function, lambda: Received(payload=raw), lambda: handle(call)).code


@pytest.fixture
def bundle(
    documents: MemoryFirestore, queues: MemoryTasks, environment: pytest.MonkeyPatch
) -> Iterator[Bundle]:
    """The three functions, with nothing written yet; the settings a test sets are read later."""
    shop.current.cache_clear()
    yield Bundle(documents, queues)
    shop.current.cache_clear()
