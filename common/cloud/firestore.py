"""Firestore: the one client, reads with their server time, and writes that commit together.

Every foreign exception is translated here: a failed precondition is `RefusedError`, what the server
will never take is `PermanentError`, anything else is `TransientError` (and, for a commit,
ambiguous: the writes may have been applied).

What the functions here read and write is kept by a `Backend`. That is Google's service, through the
client of this process, unless a test says otherwise:

    from common.cloud import firestore
    from common.cloud.firestore import Merge
    from common.cloud.memory import MemoryFirestore

    with firestore.using(MemoryFirestore()) as memory:
        firestore.commit([Merge(path="patients/ada", fields={"is_due": True})])
        assert memory.documents("patients") == {"patients/ada": {"is_due": True}}
"""

import functools
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar
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
"""The value of a field that an Update or a Merge removes."""
SERVER_TIMESTAMP = firestore.SERVER_TIMESTAMP
"""The value of a field that becomes the commit's time, to the millisecond."""
Increment = firestore.Increment
"""The value of a field that a number is added to: `Increment(1)`."""

_RETRIED = (google.ServiceUnavailable, google.TooManyRequests, google.Aborted)
_RETRY = Retry(
    predicate=lambda error: isinstance(error, _RETRIED),
    initial=0.1,
    maximum=2.0,
    multiplier=1.5,
    timeout=RPC_TIMEOUT,
)
_REFUSED = (google.AlreadyExists, google.FailedPrecondition, google.NotFound)
# The client trips over an update of a field and of another field inside of it: AttributeError.
_NEVER = (google.InvalidArgument, AttributeError, TypeError, ValueError)
_making = threading.Lock()


@functools.cache
def _make_client() -> firestore.Client:
    config = settings.current()
    project, database = config.google_cloud_project, config.firestore_database
    return firestore.Client(project=project, database=database)


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


Filter = tuple[str, str, Any]
"""A condition of a query: field, operator (`==`, `<`, `<=`, `>`, `>=`, `in`, …), value."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """Documents of a collection in the order of their ids, or of the one range-filtered field."""

    collection: str
    filters: Sequence[Filter] = ()
    limit: int | None = None
    """The largest number of documents."""
    after: str | None = None
    """A document id: only documents that come after it (in the order of ids only)."""
    first: str | None = None
    """A document id: only it and what comes after it (in the order of ids only)."""
    before: str | None = None
    """A document id: only documents that come before it (in the order of ids only)."""
    fields: Sequence[str] | None = None
    """Which fields are read; None: all."""


class Backend(Protocol):
    """Keeps documents: Google's service, or a stand-in for the service.

    Each method may raise TransientError (not now) and PermanentError (never).
    """

    def read_all(self, paths: Sequence[str]) -> list[Snapshot]:
        """A strong read of several documents, in the order of the paths."""

    def commit(self, writes: Sequence[Write]) -> datetime:
        """Apply all the writes, or none; the commit's time. Raises RefusedError too."""

    def query(self, query: "Query") -> Iterator[Snapshot]:
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
    return [_seen(snapshot) for snapshot in _backend.read_all(paths)]


def commit(writes: Sequence[Write]) -> datetime:
    """Apply all the writes, or none. Returns the commit's time, by the server's clock.

    Raises RefusedError (a precondition did not hold), PermanentError (the server will never take
    them), TransientError (whether the writes were applied is not known).
    """
    return _remember(_backend.commit(writes))


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
    yield from map(_seen, _backend.query(asked))


def count(collection: str, *filters: Filter) -> int:
    """How many documents of a collection pass the filters: one read for each 1,000 of them.

    Raises PermanentError and TransientError, like `query`.
    """
    return _backend.count(collection, filters)


def cuts(collection: str, parts: int) -> list[str]:
    """The document ids that cut a collection into at most so many parts of about one size.

    Each id is the first of its part; the part before the first id has none. There may be fewer cuts
    than asked for, and none where the server cannot tell. Raises TransientError, like `query`.
    """
    return _backend.cuts(collection, parts)


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


class _Google:
    """The service, through this process's client."""

    def read_all(self, paths: Sequence[str]) -> list[Snapshot]:
        database = client()
        try:
            references = [database.document(path) for path in paths]
            found = database.get_all(references, retry=_RETRY, timeout=RPC_TIMEOUT)
            by_path = {snapshot.reference.path: _snapshot(snapshot) for snapshot in found}
        except _NEVER as error:
            raise PermanentError(f"{', '.join(paths)} can never be read: {error}") from error
        except google.GoogleAPIError as error:
            raise TransientError(f"cannot read {', '.join(paths)}: {error}") from error
        return [by_path[path] for path in paths]

    def commit(self, writes: Sequence[Write]) -> datetime:
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
        time: datetime = batch.commit_time
        return time

    def query(self, query: Query) -> Iterator[Snapshot]:
        with _asking(query.collection):
            for snapshot in _query(query).stream(timeout=RPC_TIMEOUT):
                yield _snapshot(snapshot)

    def count(self, collection: str, filters: Sequence[Filter]) -> int:
        with _asking(collection):
            asked = _query(Query(collection=collection, filters=filters)).count()
            return int(asked.get(retry=_RETRY, timeout=RPC_TIMEOUT)[0][0].value)

    def cuts(self, collection: str, parts: int) -> list[str]:
        name = collection.rpartition("/")[2]
        with _asking(collection):
            group = client().collection_group(name)
            found = group.get_partitions(parts - 1, retry=_RETRY, timeout=RPC_TIMEOUT)
            references = [part.start_at for part in found if part.start_at is not None]
        # Other collections of the same name are cut too, elsewhere.
        return sorted(it.id for it in references if it.path.rpartition("/")[0] == collection)


@contextmanager
def _asking(collection: str) -> Iterator[None]:
    """The errors of a query, translated."""
    try:
        yield
    except _NEVER as error:
        raise PermanentError(f"{collection} can never be asked this: {error}") from error
    except google.GoogleAPIError as error:
        raise TransientError(f"cannot query {collection}: {error}") from error


def _add(batch: firestore.WriteBatch, write: Write) -> None:
    database = client()
    reference = database.document(write.path)
    match write:
        case Create():
            batch.create(reference, dict(write.fields))
        case Update():
            fence = database.write_option(last_update_time=write.update_time)
            batch.update(reference, dict(write.fields), option=fence)
        case Merge():
            batch.set(reference, dict(write.fields), merge=True)
        case Delete():
            batch.delete(reference)


def _query(query: Query) -> firestore.Query:
    collection = client().collection(query.collection)
    found: firestore.Query = collection
    for name, operator, value in query.filters:
        found = found.where(filter=FieldFilter(name, operator, value))
    if query.fields is not None:
        found = found.select(query.fields)
    if is_by_id(query.filters):
        found = _between(found.order_by(FieldPath.document_id()), query)
    return found if query.limit is None else found.limit(query.limit)


def _between(found: firestore.Query, query: Query) -> firestore.Query:
    def at(name: str) -> dict[str, Any]:
        return {"__name__": client().document(f"{query.collection}/{name}")}

    if query.after is not None:
        found = found.start_after(at(query.after))
    elif query.first is not None:
        found = found.start_at(at(query.first))
    return found if query.before is None else found.end_before(at(query.before))


def is_by_id(filters: Sequence[Filter]) -> bool:
    """Whether a query with these filters returns documents in the order of their ids."""
    return all(operator == "==" for _, operator, _ in filters)


def _snapshot(found: DocumentSnapshot) -> Snapshot:
    return Snapshot(
        path=found.reference.path,
        data=found.to_dict() or {},
        update_time=found.update_time,
        read_time=found.read_time,
    )


def _seen(snapshot: Snapshot) -> Snapshot:
    _remember(snapshot.read_time)
    return snapshot


def _remember(time: datetime) -> datetime:
    global _latest
    _latest = time
    return time


_switching = threading.Lock()
_backend: Backend = _Google()
_latest: datetime | None = None
