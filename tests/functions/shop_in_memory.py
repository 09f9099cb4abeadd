"""The shop in this process: its handlers as the triggers call them, with documents in memory."""

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from cloudevents.http import CloudEvent

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore, MemoryTasks
from common.cloud.tasks import Task
from common.errors import TransientError
from common.idempotency import Answer, Call
from common.messaging import transports
from common.messaging.transports import Outgoing
from common.scheduling.resuming import is_one
from common.triggers import pubsub
from common.triggers.events import Event
from functions import reminder
from functions.consumer import EVENTS
from functions.shop import settings

ATTRIBUTES = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//s"}
_numbers = itertools.count(1)


@dataclass
class Provider:
    """The provider of messages: it keeps what it is given, or is down, or its answer is lost."""

    name: str = "provider"
    is_down: bool = False
    loses_answers: bool = False
    messages: list[Outgoing] = field(default_factory=list)

    def deliver(self, message: Outgoing) -> None:
        if self.is_down:
            raise TransientError("the provider is down")
        self.messages.append(message)
        if self.loses_answers:
            raise TransientError("no answer")

    def sent(self) -> list[tuple[str, str]]:
        """Template and address of each message, in order."""
        return [(message.template, message.to) for message in self.messages]


@dataclass
class ShopInMemory:
    """The shop, and all that it has to do with."""

    documents: MemoryFirestore
    queues: MemoryTasks
    provider: Provider
    environment: pytest.MonkeyPatch

    def set(self, **environ: str) -> None:
        """Settings of the shop, from now on."""
        for name, value in environ.items():
            self.environment.setenv(name, value)
        settings.current.cache_clear()

    def user(self, user_id: str = "u-1", **fields: Any) -> None:
        """There is this user."""
        given = {"user_id": user_id, "email": f"{user_id}@example.com", **fields}
        firestore.commit([Merge(path=f"users/{user_id}", fields=given)])

    def deliver(
        self,
        event_type: str,
        user_id: str = "u-1",
        /,
        *,
        event_id: str | None = None,
        occurred_at: str | None = None,
        is_first: bool = True,
        published_at: str | None = None,
        **payload: Any,
    ) -> None:
        """One delivery of an event, by default of a new one; returning acknowledges it."""
        event = {
            "event_id": event_id or f"e-{next(_numbers)}",
            "event_type": event_type,
            "user_id": user_id,
            "occurred_at": occurred_at,
            "payload": payload,
        }
        data = base64.b64encode(json.dumps(event).encode()).decode()
        message = {"data": data, "messageId": "m", "publishTime": published_at}
        body = {"message": message, "deliveryAttempt": 2 - is_first}
        pubsub.receive(CloudEvent(ATTRIBUTES, body), "consumer", EVENTS)

    def replay(self, letter_id: str) -> None:
        """One message that replays a dead letter, without data."""
        message = {"messageId": "m", "attributes": {"replay_of": letter_id}}
        pubsub.receive(CloudEvent(ATTRIBUTES, {"message": message}), "consumer", EVENTS)

    def ring(self, task: Task) -> Answer:
        """The answer of `reminder` to this task, at the time at which it is due."""
        if task.at is not None and task.at > self.documents.now:
            self.documents.advance((task.at - self.documents.now).total_seconds())
        raw = json.dumps(task.body).encode()
        return reminder.ring(Call(body=task.body, raw=raw, task="t", due_at=task.at))

    def go_on(self) -> list[str]:
        """Ring for what was handed over; how each ended."""
        alarms = [task for task in self.queues.take() if is_one(Call(body=task.body, raw=b""))]
        return [self.ring(alarm).status for alarm in alarms]

    def document(self, path: str) -> dict[str, Any]:
        """A document's fields; none if it is not there."""
        return self.documents.documents().get(path, {})

    def messages(self) -> list[str]:
        """The templates of the messages recorded, in alphabetical order."""
        return sorted(it["template"] for it in self.documents.documents("messages").values())

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters."""
        return list(self.documents.documents("dead_letters").values())


@pytest.fixture
def shop_in_memory(
    documents: MemoryFirestore, queues: MemoryTasks, environment: pytest.MonkeyPatch
) -> Iterator[ShopInMemory]:
    """The shop in this process, with nobody in it yet."""
    provider = Provider()
    settings.current.cache_clear()
    with transports.using(provider):
        yield ShopInMemory(documents, queues, provider, environment)
    settings.current.cache_clear()


def event(event_type: str = "order.placed", user_id: str = "u-1", /, **payload: Any) -> Event:
    """An event as a handler gets it, without a time of its own."""
    return Event(
        event_id="e-1",
        event_type=event_type,
        user_id=user_id,
        payload=payload,
        occurred_at=None,
        raw=b"{}",
    )


@dataclass
class Work:
    """As much of the work as the shop's modules need to know."""

    now: datetime
    token: str = "attempt-1"
    scope: str = "consumer"
    key: str = "e-1"

    def before_done(self, name: str, action: Callable[[], None]) -> None:
        """The writes are committed at once."""
        action()

    def later(self, **duration: float) -> datetime:
        """A time after the claim's."""
        return self.now + timedelta(**duration)
