"""Idempotency records in Firestore: three operations, each with the server's time.

The record of a piece of work is the document `idempotency/{sha256(scope, NUL, key)}`. So a key of
any shape has a legal document id, and the records of different work never collide.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec.structs import asdict

from common.cloud import firestore
from common.cloud.firestore import DELETE_FIELD, SERVER_TIMESTAMP, Write
from common.errors import ResultNotStorableError
from common.idempotency.decision import Found
from common.idempotency.record import WHOLE, Record, State, record_id
from common.idempotency.waits import Dead, Owed
from common.process import logs

COLLECTION = "idempotency"
FORMAT = 2
"""Of the records that are written; those of format 1, which say no format, can be read."""
SHOWN_KEY = 500
"""Characters of a key kept readable in the record."""
MAX_RESULTS = 900_000
"""Bytes of all results in one record; a document holds 1 MiB, and its error must still fit."""


class Store(Protocol):
    """Where records live. `effects` are Firestore writes that commit together with a record.

    A write returns the commit's time, and raises RefusedError (a precondition did not hold, perhaps
    because an earlier try of the same write was applied), PermanentError (the record or an effect
    can never be stored), or TransientError (perhaps applied, perhaps later).
    """

    def read(self, record_id: str) -> Found | None:
        """The record with this id, by a strong read; None: there is none. Raises TransientError."""

    def time(self, record_id: str) -> datetime:
        """The server's time, by a strong read. Raises TransientError."""

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

    def time(self, record_id: str) -> datetime:
        """See `Store`."""
        return firestore.read(f"{COLLECTION}/{record_id}").read_time

    def create(self, record: Record, effects: Sequence[Write]) -> datetime:
        """See `Store`."""
        if record.state is State.DONE and firestore.latest_time() is None:
            # This is the record's only write: without a server time it would never be collected.
            firestore.read(_path(record))
        write = firestore.Create(path=_path(record), fields=_encode(record))
        return firestore.commit([write, *effects])

    def replace(self, record: Record, fence: datetime, effects: Sequence[Write]) -> datetime:
        """See `Store`."""
        fields = _changed(record)
        write = firestore.Update(path=_path(record), fields=fields, update_time=fence)
        return firestore.commit([write, *effects])


def _check_size(record: Record) -> None:
    names = sum(len(name.encode()) for name in record.steps)
    # JSON text is ASCII: a character is a byte.
    size = names + sum(map(len, record.steps.values())) + len(record.result or "")
    if size > MAX_RESULTS:
        raise ResultNotStorableError(f"the results have {size} bytes, more than {MAX_RESULTS}")


def _encode(record: Record) -> dict[str, Any]:
    """The fields of a new record; of those in EMPTY only what there is."""
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
        "steps": _by_field(record.steps, _step),
        "first_seen": record.first_seen or SERVER_TIMESTAMP,
    }
    for name, encode in EMPTY.items():
        if value := getattr(record, name):
            fields[name] = encode(value)
    if (latest := firestore.latest_time()) is not None:
        # Only for the TTL collector; what has expired is decided by the server's clock.
        fields["expire_at"] = latest + timedelta(seconds=record.retention_seconds)
    return fields


def _changed(record: Record) -> dict[str, Any]:
    """The fields of a record that takes the place of another."""
    return {**_NOTHING, **_encode(record)}


def _path(record: Record) -> str:
    return f"{COLLECTION}/{record_id(record.scope, record.key)}"


def _by_field(items: Mapping[str, Any], fields_of: Callable[[Any], dict[str, Any]]) -> Any:
    return {_field(name): {"name": name, **fields_of(it)} for name, it in items.items()}


def _step(result: str) -> dict[str, Any]:
    return {"result": result}


@functools.lru_cache(maxsize=1024)
def _field(name: str) -> str:
    # A dot in a name must not become a path.
    return f"s{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _decode(path: str, data: Mapping[str, Any]) -> Record | None:
    try:
        return _record(data)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        logs.error("failed", f"{path} is corrupt: {error!r}")
        return None


def _record(data: Mapping[str, Any]) -> Record:
    if "format" not in data:
        data = {**data, **_of_the_first_format(data)}
    return Record(
        scope=_is(str, data["scope"]),
        key=_is(str, data["key"]),
        fingerprint=_is(str, data["fingerprint"]),
        accepted=tuple(_is(str, it) for it in data.get("accepted", ())),
        state=State(data["state"]),
        owner=_is(str, data["owner"]),
        write_id=_is(str, data["write_id"]),
        attempts=_is(int, data["attempts"]),
        vanished=_is(int, data.get("vanished", 0)),
        lease_seconds=float(data["lease_seconds"]),
        retention_seconds=float(data["retention_seconds"]),
        steps={_is(str, it["name"]): _is(str, it["result"]) for it in data["steps"].values()},
        begun=frozenset(_is(str, it) for it in data.get("begun", ())),
        owed=_by_name(Owed, data.get("owed")),
        dead=_by_name(Dead, data.get("dead")),
        replays=_texts(data.get("replays"), "of"),
        salts=_texts(data.get("salts"), "salt"),
        resume_at=_is(datetime | None, data.get("resume_at")),
        result=_json(data.get("result")),
        error=_is(str | None, data.get("error")),
        part_of=_is(str | None, data.get("part_of")),
        first_seen=_is(datetime | None, data.get("first_seen")),
        user_id=_is(str | None, data.get("user_id")),
        about=tuple(_is(str, it) for it in data.get("about", ())),
    )


def _of_the_first_format(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a record of the first format says of the work as a whole, as this one says it."""
    dead = Dead(reason="permanent", error=str(data.get("error") or ""))
    of = data.get("replay_of")
    is_replayed = of is not None and data["state"] not in ("done", "dead")
    return {
        "dead": {"whole": {"name": WHOLE, **asdict(dead)}} if data["state"] == "dead" else {},
        "replays": {"whole": {"name": WHOLE, "of": of}} if is_replayed else {},
    }


def _by_name(type_: Any, kept: Mapping[str, Any] | None) -> dict[str, Any]:
    items = [dict(it) for it in (kept or {}).values()]
    return {_is(str, it.pop("name")): type_(**it) for it in items}


def _texts(kept: Mapping[str, Any] | None, field: str) -> dict[str, str]:
    return {_is(str, it["name"]): _is(str, it[field]) for it in (kept or {}).values()}


def _json(text: Any) -> str | None:
    if text is not None:
        json.loads(text)
    return _is(str | None, text)  # type: ignore[no-any-return]


def _is(expected: Any, value: Any) -> Any:
    if not isinstance(value, expected):
        raise TypeError(f"{value!r:.100} is no {expected}")
    return value


EMPTY: dict[str, Callable[[Any], Any]] = {
    "accepted": list,
    "vanished": int,
    "begun": sorted,
    "owed": lambda owed: _by_field(owed, asdict),
    "dead": lambda dead: _by_field(dead, asdict),
    "replays": lambda replays: _by_field(replays, lambda letter: {"of": letter}),
    "salts": lambda salts: _by_field(salts, lambda salt: {"salt": salt}),
    "resume_at": lambda time: time,
    "result": str,
    "error": str,
    "user_id": str,
    "part_of": str,
    "about": list,
}
"""What most records have nothing of, and how it is stored: then the field is not there."""
_NOTHING = dict.fromkeys(EMPTY, DELETE_FIELD)
