"""A call as a trigger hands it on: plain values, whichever web framework took it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from common.idempotency import fields
from common.idempotency.origin import Origin


class Call(Struct, frozen=True, kw_only=True):
    """A checked call to a function, with a JSON object in its body."""

    body: Mapping[str, Any]
    raw: bytes
    """The body as received."""
    task: str | None = None
    """The name of the Cloud Tasks task, which correlates the log entries of its attempts."""
    due_at: datetime | None = None
    """When the task was due."""
    tick: str | None = None
    """The time (RFC 3339) of the Cloud Scheduler tick that this call is a firing of."""
    replay_of: str | None = None
    """The dead letter that this call replays."""

    is_first: bool = False
    """Whether Cloud Tasks, which counts its tries, calls this one the first."""
    tries: int = 0
    """How often Cloud Tasks has tried before, in vain; 0 for whoever else calls."""
    is_ringing: bool = False
    """Whether the call rings for work that was handed over."""

    @property
    def origin(self) -> Origin:
        """Where the call came from, for a dead letter."""
        user_id = self.body.get("user_id")
        return Origin(
            user_id=user_id if isinstance(user_id, str) else None, task=self.task, tick=self.tick
        )

    def text(self, name: str) -> str:
        """A required string of the body. Raises MalformedError."""
        return fields.text(self.body, name)

    def optional_text(self, name: str) -> str | None:
        """A string of the body, or None where it is absent or null. Raises MalformedError."""
        return None if self.body.get(name) is None else self.text(name)

    def whole(self, name: str) -> int:
        """A required whole number of the body. Raises MalformedError."""
        return fields.whole(self.body, name)
