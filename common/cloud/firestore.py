"""Firestore: the one client, reads with their server time, and writes that commit together.

Every foreign exception is translated here: a failed precondition is `RefusedError`, a write the
server will never take is `PermanentError`, anything else is `TransientError` (and, for a commit,
ambiguous: it may have been applied).
"""

import functools
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from google.api_core import exceptions as google
from google.api_core.retry import Retry
from google.cloud import firestore
from google.cloud.firestore_v1.base_document import DocumentSnapshot
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.field_path import FieldPath

from common.errors import PermanentError, RefusedError, TransientError
from common.process import settings

RPC_TIMEOUT = 10.0
"""Seconds for one commit or read, the client library's own retries included (its default is 60)."""

MAX_ID_BYTES = 1500
"""Longest document id, https://firebase.google.com/docs/firestore/quotas."""

DELETE_FIELD = firestore.DELETE_FIELD
Increment = firestore.Increment

_RETRIED = (google.ServiceUnavailable, google.TooManyRequests, google.Aborted)
_RETRY = Retry(
    predicate=lambda error: isinstance(error, _RETRIED),
    initial=0.1,
    maximum=2.0,
    multiplier=1.5,
    timeout=RPC_TIMEOUT,
)
_REFUSED = (google.AlreadyExists, google.FailedPrecondition, google.NotFound)
_NEVER = (google.InvalidArgument, TypeError, ValueError)
_making = threading.Lock()
_latest: datetime | None = None


@functools.cache
def _make_client() -> firestore.Client:
    at = settings.current()
    return firestore.Client(project=at.google_cloud_project, database=at.firestore_database)


def client() -> firestore.Client:
    """The process's client: made at first use, because gRPC does not survive a fork."""
    with _making:
        return _make_client()


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A document as a strong read found it."""

    path: str
    data: Mapping[str, Any]
    """Its fields; empty for a document that does not exist."""
    update_time: datetime | None
    """When it was last written, by the server's clock; None: it does not exist."""
    read_time: datetime
    """When it was read, by the server's clock."""

    @property
    def exists(self) -> bool:
        """Whether there is such a document."""
        return self.update_time is not None

    def write(self, fields: Mapping[str, Any]) -> "Write":
        """Set these fields, provided the document is still as it was read."""
        if self.update_time is None:
            return Create(path=self.path, fields=fields)
        return Update(path=self.path, fields=fields, update_time=self.update_time)


@dataclass(frozen=True, kw_only=True)
class Create:
    """Create the document; refused if it exists."""

    path: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Update:
    """Set fields (by name, or dotted path); refused unless last written at `update_time`."""

    path: str
    fields: Mapping[str, Any]
    update_time: datetime


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Set these fields and leave the others, whether the document exists or not."""

    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Delete:
    """Delete the document if it exists."""

    path: str


Write = Create | Update | Merge | Delete


def read(path: str) -> Snapshot:
    """One document. Raises TransientError when it cannot be read now."""
    return next(iter(read_all([path])))


def read_all(paths: Sequence[str]) -> list[Snapshot]:
    """Several documents, in the order of the paths."""
    at = client()
    try:
        found = at.get_all([at.document(p) for p in paths], retry=_RETRY, timeout=RPC_TIMEOUT)
        by_path = {snapshot.reference.path: _snapshot(snapshot) for snapshot in found}
    except google.GoogleAPIError as error:
        raise TransientError(f"cannot read {', '.join(paths)}: {error}") from error
    return [by_path[path] for path in paths]


def commit(writes: Sequence[Write]) -> datetime:
    """Apply all the writes, or none. Returns the commit's time, by the server's clock.

    Raises RefusedError (a precondition did not hold), PermanentError (the server will never take
    them), TransientError (whether it was applied is not known).
    """
    batch = client().batch()
    try:
        for write in writes:
            _add(batch, write)
        batch.commit(retry=_RETRY, timeout=RPC_TIMEOUT)
    except _REFUSED as error:
        raise RefusedError(str(error)) from error
    except _NEVER as error:
        raise PermanentError(f"these writes can never be stored: {error}") from error
    except google.GoogleAPIError as error:
        raise TransientError(f"a commit failed: {error}") from error
    return _remember(batch.commit_time)


def latest_time() -> datetime | None:
    """The latest server time this process has seen; only ever for a collector's `expire_at`."""
    return _latest


def query(
    collection: str,
    *filters: tuple[str, str, Any],
    limit: int | None = None,
    after: str | None = None,
) -> Iterator[Snapshot]:
    """Documents of a collection in the order of their ids, or of the one range-filtered field.

    `filters` are (field, operator, value); `after` is the id to go on behind (id order only).
    """
    at = client()
    found = at.collection(collection)
    for name, operator, value in filters:
        found = found.where(filter=FieldFilter(name, operator, value))
    if all(operator == "==" for _, operator, _ in filters):
        found = found.order_by(FieldPath.document_id())
        if after is not None:
            found = found.start_after({"__name__": at.document(f"{collection}/{after}")})
    if limit is not None:
        found = found.limit(limit)
    try:
        for snapshot in found.stream(timeout=RPC_TIMEOUT):
            yield _snapshot(snapshot)
    except google.GoogleAPIError as error:
        raise TransientError(f"cannot query {collection}: {error}") from error


def document_id(name: str) -> str:
    """The document id for any non-empty string: itself where that is legal, without collisions.

    `%` introduces what had to be changed, so it never stands for itself: `a/b` is `a%2Fb`, `..` is
    `%2E.`, `__x__` is `%5F_x__`, and what is too long is `%sha256-…`.
    """
    escaped = name.replace("%", "%25").replace("/", "%2F")
    if escaped in (".", "..") or (escaped.startswith("__") and escaped.endswith("__")):
        escaped = f"%{ord(escaped[0]):02X}{escaped[1:]}"
    if len(escaped.encode()) > MAX_ID_BYTES:
        return f"%sha256-{hashlib.sha256(name.encode()).hexdigest()}"
    return escaped


def original_name(document_id: str) -> str | None:
    """The name that `document_id` made this id from; None for one that was too long to keep."""
    return None if document_id.startswith("%sha256-") else unquote(document_id)


def storable(value: Any, depth: int = 10) -> Any:
    """A JSON value as Firestore can hold it; what it cannot hold as such becomes its JSON text.

    Firestore has no lists in lists, no integers beyond 64 bits, no empty or `__x__` field names.
    """
    if depth and isinstance(value, dict) and all(map(_is_field_name, value)):
        return {name: storable(item, depth - 1) for name, item in value.items()}
    if depth and isinstance(value, list) and not any(isinstance(item, list) for item in value):
        return [storable(item, depth - 1) for item in value]
    if isinstance(value, dict | list) or (type(value) is int and not -(2**63) <= value < 2**63):
        return json.dumps(value)
    return value


def storable_fields(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object as a document's fields; those without a legal name are together in `more`."""
    fields = {name: storable(value) for name, value in payload.items() if _is_field_name(name)}
    more = {name: value for name, value in payload.items() if not _is_field_name(name)}
    return {**fields, "more": json.dumps(more)} if more else fields


def _is_field_name(name: str) -> bool:
    reserved = name.startswith("__") and name.endswith("__")
    return 0 < len(name.encode()) <= MAX_ID_BYTES and not reserved


def _add(batch: firestore.WriteBatch, write: Write) -> None:
    at = client()
    reference = at.document(write.path)
    match write:
        case Create():
            batch.create(reference, dict(write.fields))
        case Update():
            fence = at.write_option(last_update_time=write.update_time)
            batch.update(reference, dict(write.fields), option=fence)
        case Merge():
            batch.set(reference, dict(write.fields), merge=True)
        case Delete():
            batch.delete(reference)


def _remember(time: datetime) -> datetime:
    global _latest
    _latest = time
    return time


def _snapshot(found: DocumentSnapshot) -> Snapshot:
    return Snapshot(
        path=found.reference.path,
        data=found.to_dict() or {},
        update_time=found.update_time,
        read_time=_remember(found.read_time),
    )
