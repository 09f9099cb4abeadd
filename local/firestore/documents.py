"""Where documents live: rows in SQLite, changed by atomic commits, readable as of the past hour.

    firestore_documents   what is: one row a document, in the order of its key
    firestore_history     what was: every version that was replaced or deleted, until when

A read as of T takes the rows not changed since T, and of the others the version that T fell into.
Times are integers: microseconds since 1970. A message is stored with its map keys sorted, so equal
documents are equal bytes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from local.clock import MICROSECOND, Clock
from local.database import Database
from local.firestore import limits, writes
from local.firestore.messages import Document
from local.firestore.paths import AFTER, Collection, Path, first_segment, segment
from local.firestore.refusals import contention, failed_precondition, invalid
from local.firestore.writes import Outcome, State

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_US = 3600 * 1_000_000
MAX_HISTORY = 100_000
"""Versions kept; reads reach back an hour or to the oldest of these."""
PRUNE_EVERY = 256
"""Commits between two looks for history that nobody may read any more."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS firestore_collections (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS firestore_documents (
    collection INTEGER NOT NULL, grp TEXT NOT NULL, path BLOB NOT NULL,
    created INTEGER NOT NULL, updated INTEGER NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS firestore_by_collection
    ON firestore_documents (collection, path);
CREATE INDEX IF NOT EXISTS firestore_by_group ON firestore_documents (grp, path);
CREATE TABLE IF NOT EXISTS firestore_history (
    id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, grp TEXT NOT NULL, path BLOB NOT NULL,
    created INTEGER NOT NULL, updated INTEGER NOT NULL, data BLOB NOT NULL,
    until INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS firestore_history_by_group ON firestore_history (grp, until);
"""


class Stored(NamedTuple):
    """A document as it is stored."""

    key: bytes
    created: int
    updated: int
    data: bytes

    def document(self) -> Any:
        """The Document message, times included."""
        document = Document.FromString(self.data)
        set_time(document.create_time, self.created)
        set_time(document.update_time, self.updated)
        return document


class Change(NamedTuple):
    """What a commit did to one document."""

    path: Path
    before: Stored | None
    after: Stored | None
    fields: Any
    """The fields of `after`; None where it was deleted."""


@dataclass(frozen=True)
class Scope:
    """Which documents a scan looks at."""

    parent: bytes
    """The key of the document, or of the database, they are under."""
    collection: Collection | None
    """The one collection; None: see group."""
    group: str = ""
    """All collections of this name under the parent; empty: all collections whatsoever."""

    def contains(self, path: Path) -> bool:
        """Whether a document is among them."""
        if self.collection is not None:
            return path.collection.key == self.collection.key
        return path.key.startswith(self.parent) and self.group in ("", path.collection.group)


def micros(moment: datetime) -> int:
    """A moment in microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def moment(us: int) -> datetime:
    """The inverse of `micros`."""
    return EPOCH + timedelta(microseconds=us)


def set_time(stamp: Any, us: int) -> None:
    """Fill a Timestamp message."""
    stamp.seconds, rest = divmod(us, 1_000_000)
    stamp.nanos = rest * 1000


class Documents:
    """The documents of every database. Everything here happens at once: nothing awaits."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._collections: dict[str, int] = {}
        self._new_collections: list[str] = []
        self._last_commit = micros(clock.read_time())
        self._commits = 0
        self._horizon = int(database.get("firestore.horizon") or 0)
        self.watchers: list[Callable[[Sequence[Change], int], None]] = []
        """Called with the changes and the time of every commit, inside its transaction."""
        database.script(SCHEMA)

    def read_time(self) -> int:
        """A time at which everything committed so far is seen, and nothing that comes later."""
        return micros(self._clock.read_time())

    def now(self) -> int:
        """The clock's time."""
        return micros(self._clock.now())

    def oldest_read_time(self) -> int:
        """Reads as of an earlier time are not possible."""
        return max(self.now() - HOUR_US, self._horizon)

    def checked_read_time(self, stamp: Any) -> int:
        """A caller's `read_time` (a Timestamp message). Raises Status."""
        if stamp.nanos % 1000:
            raise invalid("timestamp cannot have more than microseconds precision")
        at = int(stamp.seconds * 1_000_000 + stamp.nanos // 1000)
        if at > self.read_time():
            raise invalid("The requested 'read_time' cannot be in the future.")
        if at < self.oldest_read_time():
            raise failed_precondition("The requested snapshot version is too old.")
        return at

    def get(self, path: Path, at: int | None = None) -> Stored | None:
        """A document as of a time; None: as it is."""
        collection = self._collection(path.collection)
        if collection is None:
            return None
        row = self._database.execute(
            "SELECT path, created, updated, data FROM firestore_documents"
            " WHERE collection = ? AND path = ?",
            (collection, path.key),
        ).fetchone()
        if at is None or at >= self._last_commit or (row and row[2] <= at):
            return Stored._make(row) if row else None
        return self._past(path, collection, at)

    def commit(
        self, given: Sequence[Any], expected: Mapping[Path, int] | None = None
    ) -> tuple[list[Outcome], int]:
        """Apply writes (Write messages), all or none; their outcomes and the commit's time.

        `expected`: documents and the update times (0: missing) they must still have, or ABORTED.
        Raises Status.
        """
        try:
            with self._database.transaction():
                now = micros(self._clock.commit_time())
                self._verify(expected or {})
                states: dict[bytes, State] = {}
                outcomes = [self._apply(write, states, now) for write in given]
                changes = [c for s in states.values() if (c := self._store(s, now)) is not None]
                for watcher in self.watchers:
                    watcher(changes, now)
        except BaseException:
            self._forget_new_collections()
            raise
        self._new_collections.clear()
        self._last_commit = now
        self._prune_now_and_then(now)
        return outcomes, now

    def page(
        self, scope: Scope, low: bytes, high: bytes, *, count: int, backwards: bool, at: int
    ) -> list[Stored]:
        """Up to `count` documents with low <= key < high as of a time, in the order of keys."""
        low, high = max(low, scope.parent), min(high, scope.parent + AFTER)
        source, where, parameters = self._where(scope, "firestore_documents")
        live = self._select(source, where, (*parameters, low, high), count, backwards, at)
        if at >= self._last_commit:
            return live
        rows = live + self._past_page(scope, low, high, count, backwards, at)
        rows.sort(reverse=backwards)
        return rows[:count]

    def collection_ids(self, parent: bytes, after: bytes, count: int) -> list[bytes]:
        """Keys of up to `count` collections directly under a parent with anything in them."""
        found: list[bytes] = []
        while len(found) < count and (key := self._next_child(parent, after)):
            after = key + AFTER
            if self._is_inhabited(key):
                found.append(key)
        return found

    def missing(self, collection: Collection, low: bytes, high: bytes, count: int) -> list[bytes]:
        """Keys between low and high of documents that are not there but have some under them."""
        found: list[bytes] = []
        while len(found) < count and (key := self._next_child(collection.key, low)):
            if key >= high:
                break
            low = key + AFTER
            if self._is_inhabited(key) and not self._exists(collection, key):
                found.append(key)
        return found

    def all_of_group(self, home: str, group: str) -> Iterator[Stored]:
        """Every document of a collection group, in the order of keys."""
        scope = Scope(segment(home), None, group)
        low, high = scope.parent, scope.parent + AFTER
        while page := self.page(scope, low, high, count=500, backwards=False, at=self.read_time()):
            yield from page
            low = page[-1].key + b"\0"

    def cut(self, scope: Scope, most: int, at_least: int) -> list[bytes]:
        """Keys at which to cut a scope into parts of about one size, of so many documents."""
        source, where, parameters = self._where(scope, "firestore_documents")
        bounds = f"FROM {source} WHERE {where} AND d.path >= ? AND d.path < ?"
        parameters = (*parameters, scope.parent, scope.parent + AFTER)
        total = self._database.execute(f"SELECT count(*) {bounds}", parameters).fetchone()[0]
        step = max(total // (most + 1), at_least)
        rows = self._database.execute(
            f"SELECT path FROM (SELECT d.path, row_number() OVER (ORDER BY d.path) - 1 AS place"
            f" {bounds}) WHERE place % ? = 0 AND place > 0 ORDER BY path LIMIT ?",
            (*parameters, step, most),
        )
        return [row[0] for row in rows]

    def has_more_than(self, scope: Scope, count: int) -> bool:
        """Whether there are more documents than this to look at."""
        source, where, parameters = self._where(scope, "firestore_documents")
        sql = f"SELECT 1 FROM {source} WHERE {where} AND d.path >= ? AND d.path < ? LIMIT ?"
        bounds = (scope.parent, scope.parent + AFTER, count + 1)
        return len(self._database.execute(sql, (*parameters, *bounds)).fetchall()) > count

    def _apply(self, write: Any, states: dict[bytes, State], now: int) -> Outcome:
        path = writes.target(write)
        state = states.get(path.key)
        if state is None:
            state = states[path.key] = self._load(path)
        return writes.apply(write, state, now)

    def _load(self, path: Path) -> State:
        stored = self.get(path)
        if stored is None:
            return State(path, 0, 0, b"", None)
        current = Document.FromString(stored.data)
        return State(path, stored.created, stored.updated, stored.data, current)

    def _verify(self, expected: Mapping[Path, int]) -> None:
        for path, updated in expected.items():
            stored = self.get(path)
            if (stored.updated if stored else 0) != updated:
                raise contention()

    def _store(self, state: State, now: int) -> Change | None:
        path, before = state.path, None
        if state.before:
            before = Stored(path.key, state.created, state.updated, state.before)
        if state.current is None:
            return self._delete(path, before, now) if before else None
        data = state.current.SerializeToString(deterministic=True)
        if data == state.before:
            return None
        limits.check_size(path.name, data, state.current.fields)
        state.updated = now
        after = Stored(path.key, state.created or now, now, data)
        if before:
            self._replace(path, before, after)
        else:
            self._insert(path, after)
        return Change(path, before, after, state.current.fields)

    def _insert(self, path: Path, after: Stored) -> None:
        self._database.execute(
            "INSERT INTO firestore_documents (collection, grp, path, created, updated, data)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (self._make_collection(path.collection), path.collection.group, *after),
        )

    def _replace(self, path: Path, before: Stored, after: Stored) -> None:
        collection = self._make_collection(path.collection)
        self._remember(path, collection, before, after.updated)
        self._database.execute(
            "UPDATE firestore_documents SET created = ?, updated = ?, data = ?"
            " WHERE collection = ? AND path = ?",
            (after.created, after.updated, after.data, collection, path.key),
        )

    def _delete(self, path: Path, before: Stored, now: int) -> Change:
        collection = self._make_collection(path.collection)
        self._remember(path, collection, before, now)
        self._database.execute(
            "DELETE FROM firestore_documents WHERE collection = ? AND path = ?",
            (collection, path.key),
        )
        return Change(path, before, None, None)

    def _remember(self, path: Path, collection: int, before: Stored, until: int) -> None:
        self._database.execute(
            "INSERT INTO firestore_history (collection, grp, path, created, updated, data, until)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (collection, path.collection.group, *before, until),
        )

    def _collection(self, collection: Collection) -> int | None:
        number = self._collections.get(collection.name)
        if number is None:
            row = self._database.execute(
                "SELECT id FROM firestore_collections WHERE path = ?", (collection.key,)
            ).fetchone()
            if row is None:
                return None
            if len(self._collections) > 10_000:
                self._collections.clear()
            number = self._collections[collection.name] = row[0]
        return number

    def _make_collection(self, collection: Collection) -> int:
        number = self._collection(collection)
        if number is None:
            cursor = self._database.execute(
                "INSERT INTO firestore_collections (path, name) VALUES (?, ?)",
                (collection.key, collection.name),
            )
            number = self._collections[collection.name] = int(cursor.lastrowid or 0)
            self._new_collections.append(collection.name)
        return number

    def _forget_new_collections(self) -> None:
        for name in self._new_collections:
            self._collections.pop(name, None)
        self._new_collections.clear()

    def _where(self, scope: Scope, table: str) -> tuple[str, str, tuple[Any, ...]]:
        if scope.collection is not None:
            return f"{table} d", "d.collection = ?", (self._collection(scope.collection) or 0,)
        if scope.group:
            return f"{table} d", "d.grp = ?", (scope.group,)
        source = f"firestore_collections c CROSS JOIN {table} d ON d.collection = c.id"
        return source, "c.path >= ? AND c.path < ?", (scope.parent, scope.parent + AFTER)

    def _select(
        self,
        source: str,
        where: str,
        parameters: tuple[Any, ...],
        count: int,
        backwards: bool,
        at: int,
    ) -> list[Stored]:
        rows = self._database.execute(
            f"SELECT d.path, d.created, d.updated, d.data FROM {source}"
            f" WHERE {where} AND d.path >= ? AND d.path < ? AND d.updated <= ?"
            f" ORDER BY d.path {'DESC' if backwards else 'ASC'} LIMIT ?",
            (*parameters, at, count),
        )
        return [Stored._make(row) for row in rows]

    def _past_page(
        self, scope: Scope, low: bytes, high: bytes, count: int, backwards: bool, at: int
    ) -> list[Stored]:
        source, where, parameters = self._where(scope, "firestore_history")
        if scope.collection is not None:
            where, parameters = f"d.grp = ? AND {where}", (scope.collection.group, *parameters)
        where += " AND d.until > ?"
        return self._select(source, where, (*parameters, at, low, high), count, backwards, at)

    def _past(self, path: Path, collection: int, at: int) -> Stored | None:
        row = self._database.execute(
            "SELECT path, created, updated, data FROM firestore_history"
            " WHERE grp = ? AND until > ? AND updated <= ? AND collection = ? AND path = ?",
            (path.collection.group, at, at, collection, path.key),
        ).fetchone()
        return Stored._make(row) if row else None

    def _next_child(self, parent: bytes, after: bytes) -> bytes | None:
        """The key one segment below a parent of the first collection path behind `after`."""
        row = self._database.execute(
            "SELECT path FROM firestore_collections WHERE path > ? AND path < ?"
            " ORDER BY path LIMIT 1",
            (max(after, parent), parent + AFTER),
        ).fetchone()
        return _child(parent, row[0]) if row else None

    def _is_inhabited(self, key: bytes) -> bool:
        sql = (
            "SELECT 1 FROM firestore_collections c WHERE c.path >= ? AND c.path < ? AND EXISTS"
            " (SELECT 1 FROM firestore_documents d WHERE d.collection = c.id) LIMIT 1"
        )
        return self._database.execute(sql, (key, key + AFTER)).fetchone() is not None

    def _exists(self, collection: Collection, key: bytes) -> bool:
        row = self._database.execute(
            "SELECT 1 FROM firestore_documents WHERE collection = ? AND path = ?",
            (self._collection(collection) or 0, key),
        ).fetchone()
        return row is not None

    def _prune_now_and_then(self, now: int) -> None:
        self._commits += 1
        if self._commits % PRUNE_EVERY == 0:
            self._prune(now - HOUR_US)

    def _prune(self, before: int) -> None:
        sql = "SELECT id, until, (SELECT max(id) FROM firestore_history) FROM firestore_history"
        row = self._database.execute(f"{sql} ORDER BY id LIMIT 1").fetchone()
        if row is None or (row[1] > before and row[2] - row[0] < MAX_HISTORY):
            return
        last, self._horizon = self._database.execute(
            "SELECT max(id), max(until) FROM firestore_history"
            " WHERE id < ? AND (until <= ? OR id <= ?)",
            (row[0] + 8 * PRUNE_EVERY, before, row[2] - MAX_HISTORY),
        ).fetchone()
        with self._database.transaction():
            self._database.put("firestore.horizon", str(self._horizon))
            self._database.execute("DELETE FROM firestore_history WHERE id <= ?", (last,))


def _child(parent: bytes, key: bytes) -> bytes:
    return key[: len(parent) + first_segment(key[len(parent) :])[1]]
