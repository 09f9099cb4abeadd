"""Pub/Sub: an event published on a topic, over REST, so that no further library is needed.

A handler publishes with `work.publish(topic, event)`: whoever consumes the event once has it once,
because its `event_id` is the same in every attempt.

    from common.cloud import pubsub
    from common.cloud.memory import MemoryTopics

    with pubsub.using(MemoryTopics()) as memory:
        pubsub.publish("shipments", {"event_id": "e-1", "event_type": "shipment.sent"})
        assert memory.events("shipments") == [{"event_id": "e-1", "event_type": "shipment.sent"}]
"""

import base64
import functools
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import google.auth
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from common.cloud import identity
from common.errors import PermanentError, UnavailableError
from common.process import logs, settings

MAX_EVENT = 10_000_000
"""Bytes; Pub/Sub takes 10 MB in a message."""
TIMEOUT = (5.0, 20.0)
"""Seconds to connect, and for the answer."""
SERVICE = "https://pubsub.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/pubsub"
_NEVER = 400
"""The status of what Pub/Sub will never take. A topic or a right may be missing for a while."""

Event = Mapping[str, Any]


class Backend(Protocol):
    """Takes messages: Google's service, or a stand-in for the service."""

    def publish(self, topic: str, data: bytes) -> None:
        """Publish a message. Raises PermanentError (never) and UnavailableError (not now; it may
        have been published all the same)."""


def publish(topic: str, event: Event) -> None:
    """Publish an event as JSON on a topic of this project.

    Raises PermanentError for an event that Pub/Sub will never take, UnavailableError when it cannot
    be published now (it may have been published all the same).
    """
    try:
        data = json.dumps(event).encode()
    except (TypeError, ValueError) as error:
        raise PermanentError(f"an event for {topic} is no JSON: {error}") from error
    if len(data) > MAX_EVENT:
        raise PermanentError(f"an event for {topic} has {len(data)} bytes, more than {MAX_EVENT}")
    _backend.publish(topic, data)
    logs.info("published", f"an event on {topic}", topic=topic)


AnyBackend = TypeVar("AnyBackend", bound=Backend)


@contextmanager
def using(backend: AnyBackend) -> Iterator[AnyBackend]:
    """For a test: events are published by another backend, inside the `with` block."""
    global _backend
    with _switching:
        earlier, _backend = _backend, backend
    try:
        yield backend
    finally:
        with _switching:
            _backend = earlier


class PubSub:
    """The service, or another one at PUBSUB_EMULATOR_HOST."""

    def publish(self, topic: str, data: bytes) -> None:
        """See `Backend`."""
        config = settings.current()
        path = f"/v1/projects/{config.google_cloud_project}/topics/{topic}:publish"
        body = {"messages": [{"data": base64.b64encode(data).decode()}]}
        try:
            session, base = _session()
            reply = session.post(base + path, json=body, timeout=TIMEOUT, allow_redirects=False)
        except (requests.RequestException, GoogleAuthError) as error:
            raise UnavailableError(f"cannot publish on {topic}: {type(error).__name__}") from error
        if reply.status_code == _NEVER:
            raise PermanentError(f"cannot publish on {topic}: {reply.text[:200]}")
        if reply.status_code != 200:
            raise UnavailableError(f"cannot publish on {topic}: {reply.status_code}")


@functools.cache
def _made() -> tuple[requests.Session, str]:
    host = settings.current().pubsub_emulator_host
    if host is not None:
        return requests.Session(), f"http://{host}"
    found = identity.credentials() or google.auth.default(scopes=[SCOPE])[0]
    return AuthorizedSession(found), SERVICE


def _session() -> tuple[requests.Session, str]:
    with _switching:
        return _made()


_switching = threading.Lock()
_backend: Backend = PubSub()
