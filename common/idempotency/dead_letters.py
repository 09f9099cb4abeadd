"""What could not be processed, kept with its payload, its error and its attempts.

open ──replayed and completed──▶ replayed
  └───── an operator's choice ──▶ discarded
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import asdict

from common.cloud import firestore
from common.cloud.firestore import SERVER_TIMESTAMP, Create, Increment, Merge
from common.errors import PermanentError, RefusedError
from common.idempotency.fingerprint import fingerprint
from common.idempotency.origin import Origin, Received
from common.idempotency.waits import MAX_ERROR, word
from common.process import logs

COLLECTION = "dead_letters"
RETENTION = timedelta(days=45)
"""How long a dead letter is kept after its last change."""
MAX_PAYLOAD = 900_000
"""Bytes of a payload that are kept; a document holds 1 MiB."""
FORMAT = 1
"""The format of a dead letter. Older ones have none."""
AGAIN = ("reason", "error", "last_seen", "state", "expire_at")
"""What is written anew of the dead letter of an input that comes again."""


def opened(
    dead_letter_id: str,
    *,
    source: str,
    reason: str,
    error: str,
    payload: bytes,
    attempts: int,
    now: datetime | None,
    first_seen: datetime | None = None,
    key: str | None = None,
    origin: Origin | None = None,
    effect: str | None = None,
) -> Merge:
    """The write that opens a dead letter, or opens it again, whatever its state.

    `source` is the function that gave the work up, `reason` is one word for why, `error` the text
    of the last error (cut to MAX_ERROR characters), `payload` what was received (cut to MAX_PAYLOAD
    bytes), `attempts` how often the work was tried, `first_seen` when it was first claimed (None:
    now), `key` its business key, `origin` what its delivery said of it, `effect` the one effect of
    the work that was given up (None: the whole work). `now` is a server time, if one is known:
    RETENTION after it the collector removes the dead letter.
    """
    fields: dict[str, Any] = {
        "format": FORMAT,
        "source": source,
        "reason": reason,
        "error": logs.masked(error[:MAX_ERROR]),
        "attempts": attempts,
        "first_seen": first_seen or SERVER_TIMESTAMP,
        "last_seen": SERVER_TIMESTAMP,
        "state": "open",
        "key": key[:MAX_ERROR] if key else None,
        "effect": effect,
        **_origin(origin or Origin()),
        **_payload(payload),
    }
    if now is not None:
        fields["expire_at"] = now + RETENTION
    return Merge(path=path_of(dead_letter_id), fields=fields)


def record_refused(*, source: str, error: PermanentError, received: Received) -> None:
    """Open the dead letter of input that is refused before it has a record: malformed, for example.

    One input of one function (`source`) has one dead letter, however often and under whatever
    message id the input comes; the letter's `attempts` count how often. Raises TransientError when
    the dead letter cannot be written now: then the delivery must not be acknowledged.
    """
    dead_letter_id = received.dead_letter or _id_of(source, received)
    path = path_of(dead_letter_id)
    if firestore.latest_time() is None:
        # This is the letter's only write: without a server time it would never be collected.
        firestore.read(path)
    write = opened(
        dead_letter_id,
        source=source,
        reason=word(error),
        error=str(error),
        payload=received.payload,
        attempts=1,
        now=firestore.latest_time(),
        origin=received.origin,
    )
    try:
        firestore.commit([Create(path=path, fields=write.fields)])
    except RefusedError:
        fields = {name: write.fields[name] for name in AGAIN if name in write.fields}
        firestore.commit([Merge(path=path, fields={**fields, "attempts": Increment(1)})])
    logs.error("dead_lettered", str(error), dead_letter=dead_letter_id)


def replayed(dead_letter_id: str) -> Merge:
    """The write that marks a dead letter as replayed, for the commit that completes the replay."""
    fields: dict[str, Any] = {"state": "replayed", "replayed_at": SERVER_TIMESTAMP}
    if (now := firestore.latest_time()) is not None:
        fields["expire_at"] = now + RETENTION
    return Merge(path=path_of(dead_letter_id), fields=fields)


def path_of(dead_letter_id: str) -> str:
    """Where a dead letter is."""
    return f"{COLLECTION}/{dead_letter_id}"


def _id_of(source: str, received: Received) -> str:
    if received.identity is None:
        return hashlib.sha256(f"{source}\0".encode() + received.payload).hexdigest()
    return hashlib.sha256(f"{source}\0{fingerprint(received.identity)}".encode()).hexdigest()


def _origin(origin: Origin) -> dict[str, Any]:
    return {**asdict(origin), "attributes": firestore.storable_fields(origin.attributes)}


def _payload(payload: bytes) -> dict[str, Any]:
    kept = payload[:MAX_PAYLOAD]
    fields: dict[str, Any] = {"payload": _text(kept), "payload_truncated": len(kept) < len(payload)}
    if fields["payload_truncated"]:
        fields["payload_sha256"] = hashlib.sha256(payload).hexdigest()
    return fields


def _text(payload: bytes) -> str | bytes:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        # A cut in the middle of a character is ours, not the sender's.
        if len(payload) == MAX_PAYLOAD and error.start > MAX_PAYLOAD - 4:
            return payload[: error.start].decode()
        return payload
