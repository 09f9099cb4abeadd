"""Where documents live: rows in SQLite, changed by atomic commits, readable as of the past hour.

A read as of T takes the rows not changed since T, and of the others the version in the history
that T falls into. Times are integers: microseconds since 1970.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.moments import micros
from local.kernel.refusals import failed_precondition, invalid
from local.services.firestore import limits, writes
from local.services.firestore.hierarchy import Hierarchy
from local.services.firestore.history import History
from local.services.firestore.messages import Document
from local.services.firestore.mutations import Mutation
from local.services.firestore.paths import Path
from local.services.firestore.refusals import contention
from local.services.firestore.stored import Change, Scope, Stored
from local.services.firestore.writes import Outcome, State

SCHEMA = """
CREATE TABLE IF NOT EXISTS firestore_documents (
    collection INTEGER NOT NULL, grp TEXT NOT NULL, path BLOB NOT NULL,
    created INTEGER NOT NULL, updated INTEGER NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS firestore_by_collection
    ON firestore_documents (collection, path);
CREATE INDEX IF NOT EXISTS firestore_by_group ON firestore_documents (grp, path);
"""
CHUNK = 500
"""Rows read at once where all are wanted."""

Watcher = Callable[[Sequence[Change], int], None]


class Documents:
    """The documents of every database. Everything here happens at once: nothing awaits."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.hierarchy = Hierarchy(database)
        self.history = History(database, self.hierarchy)
        self._last_commit = micros(clock.read_time())
        self.watchers: list[Watcher] = []
        """Called with the changes and the time of every commit, inside its transaction."""
        self.listeners: list[Watcher] = []
        """The same, once it is committed."""
        database.script(SCHEMA)

    def read_time(self) -> int:
        """A time at which everything committed so far is seen, and nothing that comes later."""
        return micros(self._clock.read_time())

    def now(self) -> int:
        """The clock's time."""
        return micros(self._clock.now())

    def checked_read_time(self, stamp: Any) -> int:
        """A caller's `read_time` (a Timestamp message). Raises Status."""
        if stamp.nanos % 1000:
            raise invalid("timestamp cannot have more than microseconds precision")
        at = int(stamp.seconds * 1_000_000 + stamp.nanos // 1000)
        if at > self.read_time():
            raise invalid("The requested 'read_time' cannot be in the future.")
        if at < self.history.oldest(self.now()):
            raise failed_precondition("The requested snapshot version is too old.")
        return at

    def can_be_read(self, at: int) -> bool:
        """Whether the documents as of a time are still known, and that time has come."""
        return self.history.oldest(self.now()) <= at <= self.read_time()

    def is_present(self, at: int) -> bool:
        """Whether nothing was committed since a time."""
        return at >= self._last_commit

    def get(self, path: Path, at: int | None = None) -> Stored | None:
        """A document as of a time; None: as it is."""
        row = self._database.execute(
            "SELECT path, created, updated, data FROM firestore_documents"
            " WHERE collection = ? AND path = ?",
            (self.hierarchy.number(path.collection), path.key),
        ).fetchone()
        if at is None or at >= self._last_commit or (row and row[2] <= at):
            return Stored._make(row) if row else None
        return self.history.get(path, at)

    def commit(
        self, mutations: Sequence[Mutation], expected: Mapping[Path, int] | None = None
    ) -> tuple[list[Outcome], int]:
        """Apply mutations, all or none; their outcomes and the commit's time.

        `expected`: documents and the update times (0: missing) they must still have, or ABORTED.
        Raises Status.
        """
        try:
            with self._database.transaction():
                now = micros(self._clock.commit_time())
                self._verify(expected or {})
                states: dict[bytes, State] = {}
                outcomes = [self._apply(mutation, states, now) for mutation in mutations]
                changes = [c for s in states.values() if (c := self._store(s, now)) is not None]
                for watcher in self.watchers:
                    watcher(changes, now)
        except BaseException:
            self.hierarchy.forget()
            raise
        self.hierarchy.keep()
        self._last_commit = now
        self.history.committed(now)
        for listener in self.listeners:
            listener(changes, now)
        return outcomes, now

    def page(
        self, scope: Scope, low: bytes, high: bytes, *, count: int, backwards: bool, at: int
    ) -> list[Stored]:
        """Up to `count` documents with low <= key < high as of a time, in the order of keys."""
        bounds = scope.bounds
        low, high = max(low, bounds[0]), min(high, bounds[1])
        source, where, parameters = self.hierarchy.where(scope, "firestore_documents")
        rows = self._database.execute(
            f"SELECT d.path, d.created, d.updated, d.data FROM {source}"
            f" WHERE {where} AND d.path >= ? AND d.path < ? AND d.updated <= ?"
            f" ORDER BY d.path {'DESC' if backwards else 'ASC'} LIMIT ?",
            (*parameters, low, high, at, count),
        )
        page = [Stored._make(row) for row in rows]
        if not self.is_present(at):
            page += self.history.changed_since(
                scope, at, low, high, count=count, backwards=backwards
            )
            page.sort(reverse=backwards)
        return page[:count]

    def all_of(self, scope: Scope) -> Iterator[Stored]:
        """Every document of a scope as it is, in the order of keys."""
        low, high = scope.bounds
        while True:
            at = self.read_time()
            page = self.page(scope, low, high, count=CHUNK, backwards=False, at=at)
            yield from page
            if len(page) < CHUNK:
                return
            low = page[-1].key + b"\0"

    def collections_under(self, parent: bytes, after: bytes, at: int) -> Iterator[bytes]:
        """Keys behind `after` of collections directly under a parent with anything in them."""
        for key in self.hierarchy.collections_under(parent, after):
            if self._was_inhabited(key, at):
                yield key

    def count(self, scope: Scope, up_to: int | None = None) -> int:
        """How many documents a scope has, counting no further than a number."""
        sql, parameters = self._rows(scope)
        sql = f"SELECT count(*) FROM (SELECT 1 {sql} LIMIT ?)"
        limit = -1 if up_to is None else up_to
        return int(self._database.execute(sql, (*parameters, limit)).fetchone()[0])

    def cut(self, scope: Scope, most: int, at_least: int) -> list[bytes]:
        """Up to `most` keys that cut a scope into parts of one size, `at_least` documents each."""
        step = max(self.count(scope) // (most + 1), at_least)
        sql, parameters = self._rows(scope)
        rows = self._database.execute(
            "SELECT path FROM"
            f" (SELECT d.path, row_number() OVER (ORDER BY d.path) - 1 AS place {sql})"
            " WHERE place > 0 AND place % ? = 0 ORDER BY path LIMIT ?",
            (*parameters, step, most),
        )
        return [row[0] for row in rows]

    def _rows(self, scope: Scope) -> tuple[str, tuple[Any, ...]]:
        source, where, parameters = self.hierarchy.where(scope, "firestore_documents")
        sql = f"FROM {source} WHERE {where} AND d.path >= ? AND d.path < ?"
        return sql, (*parameters, *scope.bounds)

    def _was_inhabited(self, key: bytes, at: int) -> bool:
        if self.is_present(at):
            return self.hierarchy.is_inhabited(key)
        scope = Scope(key, None)
        return bool(self.page(scope, *scope.bounds, count=1, backwards=False, at=at))

    def _apply(self, mutation: Mutation, states: dict[bytes, State], now: int) -> Outcome:
        key = mutation.path.key
        state = states.get(key)
        if state is None:
            state = states[key] = self._load(mutation.path)
        return writes.apply(mutation, state, now)

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
            (self.hierarchy.make(path.collection), path.collection.group, *after),
        )

    def _replace(self, path: Path, before: Stored, after: Stored) -> None:
        collection = self.hierarchy.number(path.collection)
        self.history.remember(path, collection, before, after.updated)
        self._database.execute(
            "UPDATE firestore_documents SET updated = ?, data = ?"
            " WHERE collection = ? AND path = ?",
            (after.updated, after.data, collection, path.key),
        )

    def _delete(self, path: Path, before: Stored, now: int) -> Change:
        collection = self.hierarchy.number(path.collection)
        self.history.remember(path, collection, before, now)
        self._database.execute(
            "DELETE FROM firestore_documents WHERE collection = ? AND path = ?",
            (collection, path.key),
        )
        return Change(path, before, None, None)
