"""Firestore in memory: documents in a dictionary, and a clock that the test moves.

Differs from the service in this:

- no indexes: a query that needs a composite index, which nobody has made, is answered
- values are what `common.cloud.firestore` exports and Python has; geo points, references to
  documents, vectors and the other transforms are refused
- which filters may be combined, and how large a commit may be, is not checked
"""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from common.cloud.firestore import (
    MAX_ID_BYTES,
    Absent,
    Create,
    Delete,
    Filter,
    Query,
    Snapshot,
    Update,
    Write,
    is_by_id,
)
from common.cloud.memory import fields, queries
from common.cloud.memory.mishaps import Mishap, befalling
from common.cloud.writes import Fields
from common.errors import PermanentError, RefusedError, TransientError, UnavailableError

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
"""When the clock begins, unless the test says otherwise."""


class _Document(Struct, frozen=True):
    """A stored document; neither it nor its fields are ever changed."""

    fields: Fields
    update_time: datetime


class MemoryFirestore:
    """A `Backend` of `common.cloud.firestore` for tests: see `firestore.using`.

    A commit checks every precondition and applies all writes or none, and takes one microsecond;
    otherwise time passes when the test says so (`advance`).
    """

    def __init__(self, now: datetime = EPOCH) -> None:
        self.now = now
        """The server's clock."""
        self.mishaps: list[Mishap] = []
        """What befalls the next commits, one mishap each; when the list is empty, nothing."""
        self.failing_reads = 0
        """How many of the next reads and queries fail with TransientError."""
        self.is_unreachable = False
        """Whether every call fails with UnavailableError."""
        self.commits = 0
        """How many commits were tried."""
        self.reads = 0
        """How many reads and queries were tried."""
        self.written: list[str] = []
        """The path of every write that was applied, in order."""
        self._documents: dict[str, _Document] = {}
        self._lock = threading.RLock()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self.now += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        """Seconds on a monotonic clock of a process whose time passes as the server's does."""
        return self.now.timestamp()

    def documents(self, collection: str | None = None) -> dict[str, dict[str, Any]]:
        """The fields of the documents directly in a collection, or of all documents, by path."""
        with self._lock:
            return {
                path: fields.copied(document.fields)
                for path, document in sorted(self._documents.items())
                if collection is None or path.rpartition("/")[0] == collection
            }

    def clear(self) -> None:
        """Remove all documents."""
        with self._lock:
            self._documents.clear()

    # Backend

    def read_all(self, paths: Sequence[str]) -> list[Snapshot]:
        """See `Backend`."""
        with self._lock:
            self._read()
            for path in paths:
                _check_path(path)
            return [self._snapshot(path) for path in paths]

    def commit(self, writes: Sequence[Write]) -> datetime:
        """See `Backend`."""
        with self._lock:
            self.commits += 1
            self._reach()
            with befalling(self.mishaps):
                try:
                    return self._apply(writes)
                except (TypeError, ValueError) as error:
                    raise PermanentError(f"these writes can never be stored: {error}") from error

    def query(self, query: Query) -> Iterator[Snapshot]:
        """See `Backend`. The documents are those of the moment of the call."""
        with self._lock:
            self._read()
            found = self._found(query.collection, query.filters)
            if is_by_id(query.filters):
                found = [name for name in found if _is_between(name, query)]
            snapshots = [
                _selected(self._snapshot(f"{query.collection}/{name}"), query.fields)
                for name in islice(found, query.limit)
            ]
        return iter(snapshots)

    def count(self, collection: str, filters: Sequence[Filter]) -> int:
        """See `Backend`."""
        with self._lock:
            self._read()
            return len(self._found(collection, filters))

    def cuts(self, collection: str, parts: int) -> list[str]:
        """See `Backend`."""
        with self._lock:
            self._read()
            found = self._found(collection, ())
        size = max(1, -(-len(found) // parts))
        return found[size::size]

    def _found(self, collection: str, filters: Sequence[Filter]) -> list[str]:
        _check_path(f"{collection}/x")
        try:
            return queries.selected(self._in(collection), filters)
        except (TypeError, ValueError) as error:
            raise PermanentError(f"{collection} can never be asked this: {error}") from error

    def _read(self) -> None:
        self.reads += 1
        self._reach()
        if self.failing_reads:
            self.failing_reads -= 1
            raise TransientError("a read failed")

    def _reach(self) -> None:
        if self.is_unreachable:
            raise UnavailableError("Firestore cannot be reached")

    def _in(self, collection: str) -> dict[str, Fields]:
        split = ((path.rpartition("/"), it) for path, it in self._documents.items())
        return {name: it.fields for (parent, _, name), it in split if parent == collection}

    def _snapshot(self, path: str) -> Snapshot:
        found = self._documents.get(path)
        return Snapshot(
            path=path,
            data=fields.copied(found.fields) if found else {},
            update_time=found.update_time if found else None,
            read_time=fields.timestamp(self.now),
        )

    def _apply(self, writes: Sequence[Write]) -> datetime:
        _check_together(writes)
        changes = [None if isinstance(it, Delete | Absent) else fields.stored(it) for it in writes]
        time = fields.timestamp(self.now + MICROSECOND)
        after: dict[str, Fields | None] = {}
        for write, change in zip(writes, changes, strict=True):
            before = self._documents.get(write.path)
            present = after.get(write.path, before.fields if before else None)
            _check_precondition(write, present, before)
            after[write.path] = fields.apply(change, present, time) if change else None
        for path, present in after.items():
            if present is not None:
                fields.check_size(path, present)
        for path, present in after.items():
            self._store(path, present, time)
        self.written += [it.path for it in writes if not isinstance(it, Absent)]
        self.now += MICROSECOND
        return time

    def _store(self, path: str, present: Fields | None, time: datetime) -> None:
        before = self._documents.get(path)
        if present is None:
            self._documents.pop(path, None)
        elif before is None or not fields.is_same(before.fields, present):
            # What changes nothing leaves the update time as it was.
            self._documents[path] = _Document(present, time)


def _is_between(name: str, query: Query) -> bool:
    # Texts are compared by code points, which is the order of their UTF-8 bytes.
    is_behind = name > query.after if query.after is not None else name >= (query.first or "")
    return is_behind and (query.before is None or name < query.before)


def _selected(found: Snapshot, names: Sequence[str] | None) -> Snapshot:
    if names is None:
        return found
    return replace(found, data={it: found.data[it] for it in names if it in found.data})


def _check_precondition(write: Write, present: Fields | None, before: _Document | None) -> None:
    """What the write requires of the document, the earlier writes of the commit included."""
    if isinstance(write, Create | Absent) and present is not None:
        raise RefusedError(f"{write.path} exists already")
    version = _version(write)
    if version is not None and (before is None or before.update_time != version):
        if before is not None and version > before.update_time:
            raise PermanentError(f"{write.path} was never written at {version}")
        raise RefusedError(f"{write.path} was not last written at {version}")


def _version(write: Write) -> datetime | None:
    """When the document of a write must have been written last."""
    return write.update_time if isinstance(write, Update | Delete) else None


def _check_together(writes: Sequence[Write]) -> None:
    """Refuse writes of one document whose preconditions can never hold together."""
    first: dict[str, Write] = {}
    last: dict[str, Write] = {}
    for write in writes:
        _check_path(write.path)
        if (earlier := last.get(write.path)) is not None:
            _check_pair(first[write.path], earlier, write)
        first.setdefault(write.path, write)
        last[write.path] = write


def _check_pair(first: Write, earlier: Write, later: Write) -> None:
    is_gone = isinstance(earlier, Delete | Absent)
    if isinstance(later, Create | Absent) and not is_gone:
        raise PermanentError(f"{later.path} is written, then created, in one commit")
    version = _version(later)
    if version is None:
        return
    if (is_gone and not isinstance(later, Delete)) or version != _version(first):
        raise PermanentError(f"{later.path} is written by two writes that exclude each other")


def _check_path(path: str) -> None:
    names = path.split("/")
    if len(names) % 2:
        raise PermanentError(f"{path!r:.200} is no path of a document")
    for name in names:
        is_reserved = len(name) > 4 and name.startswith("__") and name.endswith("__")
        if not 0 < len(name.encode()) <= MAX_ID_BYTES or name in (".", "..") or is_reserved:
            raise PermanentError(f"{name!r:.100} is no id")
