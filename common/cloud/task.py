"""A task: an HTTP call that is to be made later, its name and its body."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct, field

from common.errors import PermanentError, TransientError

MAX_BODY = 100_000
"""Bytes; what the client's documentation promises (the service takes ten times that today)."""
FURTHEST = timedelta(days=30)
"""How far ahead a task may be scheduled."""
SHORTEST_DEADLINE, LONGEST_DEADLINE = timedelta(seconds=15), timedelta(minutes=30)
"""How long an attempt of a task may take, at least and at most."""
PARALLEL = 16
"""Creates under way at once when many are enqueued."""

Made = Literal["created", "existed"]
"""What became of a task that was to be created: `existed` if its name has been used."""
MAX_BATCH = 100
"""Tasks of one queue that one call creates, at most."""


class Failed(Struct, frozen=True, kw_only=True):
    """A task of many that was not created."""

    error: PermanentError | TransientError
    """PermanentError: never; TransientError: not now, but it may have been created all the same."""


Result = Made | Failed
"""What became of one task of many."""


class Task(Struct, frozen=True, kw_only=True):
    """An HTTP call to be made later, once."""

    queue: str
    url: str
    body: Mapping[str, Any]
    identity: tuple[str, ...]
    """What makes this task one; hashed into its name."""
    at: datetime | None = None
    """When it is due; None: now."""
    audience: str
    """Of the OIDC token, explicit: the default one breaks on a query string."""
    headers: Mapping[str, str] = field(default_factory=dict)
    deadline: timedelta = timedelta(seconds=60)
    """How long an attempt may take; 15 s to 30 min."""
    encoded: bytes = b""
    """The body as JSON, where whoever makes many tasks has it at hand; else `body` is encoded."""


def name(identity: tuple[str, ...]) -> str:
    """A task id for this identity: a hash, because sequential names slow a queue down."""
    return hashlib.sha256("\0".join(identity).encode()).hexdigest()


def encoded_body(task: Task) -> bytes:
    """The task's body as it is sent. Raises PermanentError for one that is too large."""
    body = task.encoded or json.dumps(task.body).encode()
    if len(body) > MAX_BODY:
        raise PermanentError(f"a task's body has {len(body)} bytes, more than {MAX_BODY}")
    return body
