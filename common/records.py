"""Idempotency records in Firestore: three operations, each with the server's time.

`idempotency/{sha256(scope, NUL, key)}`, so a key of any shape is a legal id and no two collide.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from google.cloud.firestore import SERVER_TIMESTAMP

from common import documents
from common.claims import Found, Record, State
from common.documents import Write
from common.errors import PermanentError

COLLECTION = "idempotency"
SHOWN_KEY = 500
"""Characters of a key kept readable in the record."""


def record_id(scope: str, key: str) -> str:
    """The id of the record of this work."""
    return hashlib.sha256(f"{scope}\0{key}".encode()).hexdigest()


class Store(Protocol):
    """Where records live. Errors of a write: RefusedError, or TransientError (perhaps applied)."""

    def read(self, record_id: str) -> Found | None:
        """The record, by a strong read."""

    def create(self, record: Record, effects: Sequence[Write]) -> datetime:
        """Create it together with the effects; the commit's time. Refused if it exists."""

    def replace(self, record: Record, fence: datetime, effects: Sequence[Write]) -> datetime:
        """Overwrite it, provided it was last written at `fence`, together with the effects."""


class FirestoreStore:
    """The store in production."""

    def read(self, record_id: str) -> Found | None:
        snapshot = documents.read(f"{COLLECTION}/{record_id}")
        if snapshot.update_time is None:
            return None
        return Found(
            record=_decode(snapshot.data),
            update_time=snapshot.update_time,
            read_time=snapshot.read_time,
        )

    def create(self, record: Record, effects: Sequence[Write]) -> datetime:
        write = documents.Create(path=_path(record), fields=_encode(record))
        return documents.commit([write, *effects])

    def replace(self, record: Record, fence: datetime, effects: Sequence[Write]) -> datetime:
        fields = _encode(record)
        write = documents.Update(path=_path(record), fields=fields, update_time=fence)
        return documents.commit([write, *effects])


def _encode(record: Record) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "scope": record.scope,
        "key": record.key[:SHOWN_KEY],
        "fingerprint": record.fingerprint,
        "state": record.state.value,
        "owner": record.owner,
        "write_id": record.write_id,
        "attempts": record.attempts,
        "lease_seconds": record.lease_seconds,
        "retention_seconds": record.retention_seconds,
        "steps": {
            _step_field(name): {"name": name, "result": result}
            for name, result in record.steps.items()
        },
        "result": record.result,
        "error": record.error,
        "waiting_since": record.waiting_since,
        "replay_of": record.replay_of,
        "first_seen": record.first_seen or SERVER_TIMESTAMP,
    }
    if (latest := documents.latest_time()) is not None:
        # Only for the TTL collector; what has expired is decided by the server's clock.
        fields["expire_at"] = latest + timedelta(seconds=record.retention_seconds)
    return fields


def _path(record: Record) -> str:
    return f"{COLLECTION}/{record_id(record.scope, record.key)}"


def _step_field(name: str) -> str:
    # A dot in a name must not become a path.
    return f"s{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _decode(data: Any) -> Record:
    try:
        return _record(data)
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise PermanentError(f"the idempotency record is corrupt: {error!r}") from error


def _record(data: Any) -> Record:
    return Record(
        scope=data["scope"],
        key=data["key"],
        fingerprint=data["fingerprint"],
        state=State(data["state"]),
        owner=data["owner"],
        write_id=data["write_id"],
        attempts=data["attempts"],
        lease_seconds=data["lease_seconds"],
        retention_seconds=data["retention_seconds"],
        steps={step["name"]: step["result"] for step in data["steps"].values()},
        result=data["result"],
        error=data["error"],
        waiting_since=data["waiting_since"],
        replay_of=data["replay_of"],
        first_seen=data["first_seen"],
    )
