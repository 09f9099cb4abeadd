"""Where input came from: what a delivery says of it, for whoever looks for it later.

A dead letter keeps this beside the payload, so that a refused input is found by the ids that could
be read, and can be replayed as it came.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, field


class Origin(Struct, frozen=True, kw_only=True):
    """What is known of an input beside its payload; what is not known is None."""

    event_id: str | None = None
    event_type: str | None = None
    user_id: str | None = None
    """The user whom the input is about."""
    about: Sequence[str] = ()
    """Other ids that it is about, of an order for example."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The attributes of the Pub/Sub message."""
    message_id: str | None = None
    """The id of the Pub/Sub message; a producer that publishes again gets another."""
    published_at: datetime | None = None
    """When the message was first published."""
    task: str | None = None
    """The name of the Cloud Tasks task."""
    tick: str | None = None
    """The time (RFC 3339) of the Cloud Scheduler tick."""


class Received(Struct, frozen=True, kw_only=True):
    """One input as received, for the dead letter of what is refused before it has a record."""

    payload: bytes
    origin: Origin = field(default_factory=Origin)
    identity: Any = None
    """The JSON value that makes the input this one, whatever else differs in a repeat; None: its
    payload does."""
    dead_letter: str | None = None
    """The id of the dead letter that the input replays, if that is its own."""
