"""Idempotency records in Firestore: three operations, each with the server's time.

The record of a piece of work is the document `idempotency/{sha256(scope, NUL, key)}`. So a key of
any shape has a legal document id, and the records of different work never collide.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from common.cloud import firestore
from common.cloud.firestore import SERVER_TIMESTAMP, Write
from common.errors import ResultNotStorableError
from common.idempotency.record import Found, Record, State
from common.process import logs

COLLECTION = "idempotency"
FORMAT = 1
"""Of the records that are written; older ones have none."""
SHOWN_KEY = 500
"""Characters of a key kept readable in the record."""
MAX_RESULTS = 900_000
"""Bytes of all results in one record; a document holds 1 MiB, and its error must still fit."""


def record_id(scope: str, key: str) -> str:
    """The id of the record, and of the dead letter, of this work."""
    return hashlib.sha256(f"{scope}\0{key}".encode()).hexdigest()


class Store(Protocol):
    """Where records live. `effects` are Firestore writes that commit together with a record.

    A write returns the commit's time, and raises RefusedError (a precondition did not hold, perhaps
    because an earlier try of the same write was applied), PermanentError (the record or an effect
    can never be stored), or TransientError (perhaps applied, perhaps later).
    """

    def read(self, record_id: str) -> Found | None:
        """The record with this id, by a strong read; None: there is none. Raises TransientError."""

    def create(self, record: Record, effects: Sequence[Write]) -> datetime:
        """Create the record. Refused if there is one already."""

    def replace(self, record: Record, fence: datetime, effects: Sequence[Write]) -> datetime:
        """Overwrite the record. Refused unless it was last written at `fence`."""


class FirestoreStore:
    """The store in production: the collection `idempotency`, through `common.cloud.firestore`."""

    def read(self, record_id: str) -> Found | None:
        """See `Store`."""
        snapshot = firestore.read(f"{COLLECTION}/{record_id}")
        if snapshot.update_time is None:
            return None
        return Found(
            record=_decode(snapshot.path, snapshot.data),
            update_time=snapshot.update_time,
            read_time=snapshot.read_time,
        )

    def create(self, record: Record, effects: Sequence[Write]) -> datetime:
        """See `Store`."""
        if record.state is State.DONE and firestore.latest_time() is None:
            # This is the record's only write: without a server time it would never be collected.
            firestore.read(_path(record))
        write = firestore.Create(path=_path(record), fields=_encode(record))
        return firestore.commit([write, *effects])

    def replace(self, record: Record, fence: datetime, effects: Sequence[Write]) -> datetime:
        """See `Store`."""
        fields = _encode(record)
        write = firestore.Update(path=_path(record), fields=fields, update_time=fence)
        return firestore.commit([write, *effects])


def _check_size(record: Record) -> None:
    names = sum(len(name.encode()) for name in record.steps)
    # JSON text is ASCII: a character is a byte.
    size = names + sum(map(len, record.steps.values())) + len(record.result or "")
    if size > MAX_RESULTS:
        raise ResultNotStorableError(f"the results have {size} bytes, more than {MAX_RESULTS}")


def _encode(record: Record) -> dict[str, Any]:
    _check_size(record)
    fields: dict[str, Any] = {
        "format": FORMAT,
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
        "user_id": record.user_id,
        "first_seen": record.first_seen or SERVER_TIMESTAMP,
    }
    if record.part_of is not None:
        fields["part_of"] = record.part_of
    if (latest := firestore.latest_time()) is not None:
        # Only for the TTL collector; what has expired is decided by the server's clock.
        fields["expire_at"] = latest + timedelta(seconds=record.retention_seconds)
    return fields


def _path(record: Record) -> str:
    return f"{COLLECTION}/{record_id(record.scope, record.key)}"


def _step_field(name: str) -> str:
    # A dot in a name must not become a path.
    return f"s{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _decode(path: str, data: Mapping[str, Any]) -> Record | None:
    try:
        return _record(data)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        logs.error("failed", f"{path} is corrupt: {error!r}")
        return None


def _record(data: Mapping[str, Any]) -> Record:
    return Record(
        scope=_is(str, data["scope"]),
        key=_is(str, data["key"]),
        fingerprint=_is(str, data["fingerprint"]),
        state=State(data["state"]),
        owner=_is(str, data["owner"]),
        write_id=_is(str, data["write_id"]),
        attempts=_is(int, data["attempts"]),
        lease_seconds=float(data["lease_seconds"]),
        retention_seconds=float(data["retention_seconds"]),
        steps={_is(str, step["name"]): _is(str, step["result"]) for step in data["steps"].values()},
        result=_json(data.get("result")),
        error=_is(str | None, data.get("error")),
        waiting_since=_is(datetime | None, data.get("waiting_since")),
        replay_of=_is(str | None, data.get("replay_of")),
        part_of=_is(str | None, data.get("part_of")),
        first_seen=_is(datetime | None, data.get("first_seen")),
        user_id=_is(str | None, data.get("user_id")),
    )


def _json(text: Any) -> str | None:
    if text is not None:
        json.loads(text)
    return _is(str | None, text)  # type: ignore[no-any-return]


def _is(expected: Any, value: Any) -> Any:
    if not isinstance(value, expected):
        raise TypeError(f"{value!r:.100} is no {expected}")
    return value
