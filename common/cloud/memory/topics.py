"""Pub/Sub in memory: what was published, by topic."""

import json
import threading
from typing import Any

from common.errors import UnavailableError


class MemoryTopics:
    """A `Backend` of `common.cloud.pubsub` for tests: see `pubsub.using`. Nothing is delivered."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        """Topic and data of each message, in order."""
        self.lost = 0
        """How many of the next messages are published and raise UnavailableError all the same."""
        self.is_unreachable = False
        """Whether every call fails with UnavailableError."""
        self._lock = threading.Lock()

    def events(self, topic: str) -> list[dict[str, Any]]:
        """The events published on a topic."""
        return [json.loads(data) for name, data in self.published if name == topic]

    def publish(self, topic: str, data: bytes) -> None:
        """See `Backend`."""
        with self._lock:
            if self.is_unreachable:
                raise UnavailableError("Pub/Sub cannot be reached")
            self.published.append((topic, data))
            if self.lost:
                self.lost -= 1
                raise UnavailableError("the reply of Pub/Sub was lost")
