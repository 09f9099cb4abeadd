"""Firestore: reads with their server time, and writes that commit together.

    firestore ──▶ Backend ──┬── firestore_service ── encoding, calls ──▶ Google's service
                            └── memory (a test)

What the functions here read and write is kept by a `Backend`. That is Google's service, through the
client of this process, unless a test says otherwise:

    from common.cloud import firestore
    from common.cloud.firestore import Merge
    from common.cloud.memory import MemoryFirestore

    with firestore.using(MemoryFirestore()) as memory:
        firestore.commit([Merge(path="patients/ada", fields={"is_due": True})])
        assert memory.documents("patients") == {"patients/ada": {"is_due": True}}
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote

from common.cloud.reads import Filter, Query, Snapshot, is_by_id
from common.cloud.writes import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    Absent,
    Create,
    Delete,
    Increment,
    Merge,
    Update,
    Write,
)

__all__ = [
    "DELETE_FIELD",
    "MAX_ID_BYTES",
    "SERVER_TIMESTAMP",
    "Absent",
    "AnyBackend",
    "Backend",
    "Create",
    "Delete",
    "Filter",
    "Increment",
    "Merge",
    "Query",
    "Snapshot",
    "Update",
    "Write",
    "commit",
    "count",
    "cuts",
    "document_id",
    "is_by_id",
    "last_read",
    "latest_time",
    "original_name",
    "pages",
    "prepare",
    "query",
    "read",
    "read_all",
    "storable",
    "storable_fields",
    "using",
]

MAX_ID_BYTES = 1500
"""Longest document id, https://firebase.google.com/docs/firestore/quotas."""


class Backend(Protocol):
    """Keeps documents: Google's service, or a stand-in for the service.

    Each method may raise TransientError (not now) and PermanentError (never).
    """

    def read_all(self, paths: Sequence[str]) -> list[Snapshot]:
        """A strong read of several documents, in the order of the paths."""

    def commit(self, writes: Sequence[Write]) -> datetime:
        """Apply all the writes, or none; the commit's time. Raises RefusedError too."""

    def query(self, query: Query) -> Iterator[Snapshot]:
        """The documents that `query` describes."""

    def count(self, collection: str, filters: Sequence[Filter]) -> int:
        """How many documents of the collection pass the filters."""

    def cuts(self, collection: str, parts: int) -> list[str]:
        """The ids that `cuts` describes."""


def read(path: str) -> Snapshot:
    """One document, by a strong read.

    Raises TransientError when the document cannot be read now, PermanentError for what is no path.
    """
    return next(iter(read_all([path])))


def read_all(paths: Sequence[str]) -> list[Snapshot]:
    """Several documents, in the order of the paths. Raises TransientError, like `read`."""
    return [_seen(snapshot) for snapshot in _in_use().read_all(paths)]


def last_read() -> datetime | None:
    """The server's time of what this thread has read last; None: it has read nothing yet."""
    return getattr(_thread, "read_time", None)


def commit(writes: Sequence[Write]) -> datetime:
    """Apply all the writes, or none. Returns the commit's time, by the server's clock.

    Raises RefusedError (a precondition did not hold), PermanentError (the server will never take
    them), TransientError (whether the writes were applied is not known).
    """
    return _remember(_in_use().commit(writes))


def latest_time() -> datetime | None:
    """The latest server time this process has seen; only ever for a collector's `expire_at`."""
    return _latest


def query(
    collection: str,
    *filters: Filter,
    limit: int | None = None,
    after: str | None = None,
    first: str | None = None,
    before: str | None = None,
    fields: Sequence[str] | None = None,
) -> Iterator[Snapshot]:
    """The documents of a `Query`; `filters` are (field, operator, value).

    While the documents are iterated over, raises PermanentError for a query that no server answers,
    and TransientError when the query cannot be answered now.
    """
    asked = Query(
        collection=collection,
        filters=filters,
        limit=limit,
        after=after,
        first=first,
        before=before,
        fields=fields,
    )
    yield from map(_seen, _in_use().query(asked))


def pages(collection: str, *filters: Filter, size: int) -> Iterator[list[Snapshot]]:
    """The documents that pass the filters, in the order of their ids, `size` at a time.

    Each page is a query of its own, so that between two of them there is time to change what was
    found, or to ask somebody. Raises what `query` raises.
    """
    after: str | None = None
    while True:
        page = list(query(collection, *filters, limit=size, after=after))
        if page:
            yield page
        if len(page) < size:
            return
        after = page[-1].path.rpartition("/")[2]


def count(collection: str, *filters: Filter) -> int:
    """How many documents of a collection pass the filters: one read for each 1,000 of them.

    Raises PermanentError and TransientError, like `query`.
    """
    return _in_use().count(collection, filters)


def cuts(collection: str, parts: int) -> list[str]:
    """The document ids that cut a collection into at most so many parts of about one size.

    Each id is the first of its part; the part before the first id has none. There may be fewer cuts
    than asked for, and none where the server cannot tell. Raises TransientError, like `query`.
    """
    return _in_use().cuts(collection, parts)


AnyBackend = TypeVar("AnyBackend", bound=Backend)


@contextmanager
def using(backend: AnyBackend) -> Iterator[AnyBackend]:
    """For a test: all functions of this module use another backend, inside the `with` block.

    The backend takes the place of Google's service for all threads of the process, and what was
    known of the time of the server before is forgotten for as long.
    """
    global _backend, _latest
    with _switching:
        earlier, _backend, _latest = (_backend, _latest), backend, None
    try:
        yield backend
    finally:
        with _switching:
            _backend, _latest = earlier


def prepare() -> None:
    """Import what the service needs: at the start of a process, not at its first event.

    No connection is made, because gRPC does not survive a fork.
    """
    from common.cloud import firestore_service  # noqa: F401


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
    """A JSON object as a document's fields; those without a legal name are together in `more`.

    A field of the payload's own that is named `more` is among them then.
    """
    more = {name: value for name, value in payload.items() if not _is_field_name(name)}
    if more and "more" in payload:
        more["more"] = payload["more"]
    fields = {name: storable(value) for name, value in payload.items() if name not in more}
    return {**fields, "more": json.dumps(more)} if more else fields


def _is_field_name(name: str) -> bool:
    reserved = name.startswith("__") and name.endswith("__")
    return 0 < len(name.encode()) <= MAX_ID_BYTES and not reserved


def _in_use() -> Backend:
    return _service() if _backend is None else _backend


def _service() -> Backend:
    # Google's client takes a second to import, which a test in memory does not have to wait for.
    from common.cloud import firestore_service

    return firestore_service.connected()


def _seen(snapshot: Snapshot) -> Snapshot:
    _thread.read_time = _remember(snapshot.read_time)
    return snapshot


def _remember(time: datetime) -> datetime:
    global _latest
    _latest = time
    return time


_thread = threading.local()
_switching = threading.Lock()
_backend: Backend | None = None
"""What `using` has put in the place of the service."""
_latest: datetime | None = None
