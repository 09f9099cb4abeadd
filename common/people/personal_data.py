"""Where a person's data is: what a bundle declares of its own, and what `common` keeps itself."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

Fields = Mapping[str, Any]


def _nothing(fields: Fields) -> Fields:
    return {}


class Held(Struct, frozen=True, kw_only=True):
    """Documents of a collection that hold data of one person: deleted, or stripped."""

    name: str
    """What a report calls them."""
    collection: Callable[[str], str]
    """From a user's id to the path of the collection: one for all, or one under the user."""
    user_field: str | None = "user_id"
    """The field that names the user; None: every document of the collection is theirs."""
    keeps: Sequence[str] | None = None
    """The fields that stay when all others are removed; None: the document is deleted."""
    sets: Callable[[Fields], Fields] = _nothing
    """From the fields of a document to those that are set anew in what stays."""


class PersonalData(Struct, frozen=True, kw_only=True):
    """What a bundle keeps of its people, declared once, and listed in a table."""

    name: str
    document: Callable[[str], str]
    """From a user's id to the path of the document that is deleted last."""
    addresses: Callable[[str], Sequence[str]]
    """From a user's id to the addresses that are known of them. Raises TransientError."""
    held: Sequence[Held] = ()


def of_everybody(name: str, **more: Any) -> Held:
    """Documents of the collection of this name, which holds those of everybody."""
    return Held(name=name, collection=lambda user_id: name, **more)


def _settled(record: Fields) -> Fields:
    """A record of work without what the work was about; what is under way is settled by that.

    Whoever holds the claim has lost it, and can write nothing any more.
    """
    stripped: dict[str, Any] = {"steps": {}, "error": None}
    if record.get("state") in ("done", "dead"):
        return {**stripped, "result": "null"}
    settled = {"state": "done", "result": '"skipped"', "write_id": secrets.token_hex(16)}
    return {**stripped, **settled}


KEPT_BY_COMMON = (
    # A record that is gone is never rung: its alarm finds nothing to do.
    of_everybody("reminders"),
    of_everybody("sends"),
    of_everybody(
        "messages",
        keeps=(
            "format", "user_id", "template", "state", "transport", "sent_at", "key", "cause",
            "expire_at",
        ),
        sets=lambda message: {"to": None, "subject": "", "text": ""},
    ),
    of_everybody(
        "dead_letters",
        keeps=(
            "format", "source", "reason", "key", "event_id", "event_type", "user_id", "effect",
            "message_id", "published_at", "task", "tick", "attempts", "first_seen", "last_seen",
            "expire_at", "replayed_at",
        ),
        sets=lambda letter: {
            "payload": "",
            "payload_truncated": True,
            "error": "",
            "attributes": {},
            "state": "discarded" if letter.get("state") == "open" else letter.get("state"),
        },
    ),
    of_everybody(
        "idempotency",
        keeps=(
            "format", "scope", "key", "fingerprint", "accepted", "part_of", "state", "owner",
            "write_id", "user_id", "attempts", "vanished", "lease_seconds", "retention_seconds",
            "first_seen", "expire_at",
        ),
        sets=_settled,
    ),
)  # fmt: skip
"""What `common` keeps of a person, by the user's id that each document names. What is stripped
stays as a record that something happened, with ids and nothing else."""
