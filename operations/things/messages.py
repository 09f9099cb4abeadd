"""Messages that were sent, or recorded in place of sending."""

from datetime import datetime
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Filter, Snapshot
from operations.errors import NotFoundError

COLLECTION = "messages"
BODY = ("text", "html", "expire_at")
"""Fields that only the message itself shows."""


def listed(
    *,
    user_id: str | None = None,
    cause: str | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """The messages to a user, caused by something, or sent since then; those sent last first."""
    if user_id is not None or cause is not None:
        pairs = (("user_id", user_id), ("cause", cause))
        conditions: list[Filter] = [(name, "==", it) for name, it in pairs if it is not None]
    else:
        conditions = [("sent_at", ">", since)] if since is not None else []
    rows = [row(found) for found in firestore.query(COLLECTION, *conditions, limit=limit)]
    return sorted(rows, key=lambda it: str(it.get("sent_at")), reverse=True)


def row(found: Snapshot) -> dict[str, Any]:
    """A message in a list: all but what it says."""
    kept = {name: value for name, value in found.data.items() if name not in BODY}
    return {"id": id_of(found), "state": kept.pop("state", None), **kept}


def get(message_id: str) -> Snapshot:
    """One message. Raises NotFoundError."""
    found = firestore.read(f"{COLLECTION}/{message_id}") if "/" not in message_id else None
    if found is None or not found.exists:
        raise NotFoundError(f"there is no message {message_id}")
    return found


def id_of(found: Snapshot) -> str:
    """The id of a message."""
    return found.path.rpartition("/")[2]
