"""What documents were: versions that were replaced or deleted, for reads of the past hour."""

from local.kernel.database import Database
from local.services.firestore.hierarchy import Hierarchy
from local.services.firestore.paths import Path
from local.services.firestore.stored import Scope, Stored

HOUR_US = 3600 * 1_000_000
MAX_VERSIONS = 100_000
"""Versions kept; reads reach back an hour or to the oldest of these."""
PRUNE_EVERY = 256
"""Commits between two looks for versions that nobody may read any more."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS firestore_history (
    id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, grp TEXT NOT NULL, path BLOB NOT NULL,
    created INTEGER NOT NULL, updated INTEGER NOT NULL, data BLOB NOT NULL,
    until INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS firestore_history_by_group ON firestore_history (grp, until);
"""


class History:
    """Versions of documents that are no more, each with the time until when it was."""

    def __init__(self, database: Database, hierarchy: Hierarchy) -> None:
        self._database = database
        self._hierarchy = hierarchy
        self._horizon = int(database.get("firestore.horizon") or 0)
        self._commits = 0
        database.script(SCHEMA)

    def oldest(self, now: int) -> int:
        """Reads as of an earlier time are not possible."""
        return max(now - HOUR_US, self._horizon)

    def remember(self, path: Path, collection: int, before: Stored, until: int) -> None:
        """A version is replaced or deleted."""
        self._database.execute(
            "INSERT INTO firestore_history (collection, grp, path, created, updated, data, until)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (collection, path.collection.group, *before, until),
        )

    def get(self, path: Path, at: int) -> Stored | None:
        """The version of a document, changed since, as of a time."""
        row = self._database.execute(
            "SELECT path, created, updated, data FROM firestore_history"
            " WHERE grp = ? AND until > ? AND updated <= ? AND collection = ? AND path = ?",
            (path.collection.group, at, at, self._hierarchy.number(path.collection), path.key),
        ).fetchone()
        return Stored._make(row) if row else None

    def changed_since(
        self,
        scope: Scope,
        at: int,
        low: bytes,
        high: bytes,
        *,
        count: int = -1,
        backwards: bool = False,
    ) -> list[Stored]:
        """Versions as of a time of documents between two keys that changed since, by key.

        `count`: no more than so many; -1: all.
        """
        source, where, parameters = self._hierarchy.where(scope, "firestore_history")
        if scope.collection is not None:
            where, parameters = f"d.grp = ? AND {where}", (scope.collection.group, *parameters)
        rows = self._database.execute(
            f"SELECT d.path, d.created, d.updated, d.data FROM {source} WHERE {where}"
            " AND d.until > ? AND d.updated <= ? AND d.path >= ? AND d.path < ?"
            f" ORDER BY d.path {'DESC' if backwards else 'ASC'} LIMIT ?",
            (*parameters, at, at, low, high, count),
        )
        return [Stored._make(row) for row in rows]

    def committed(self, now: int) -> None:
        """After every commit: forget what is too old, now and then."""
        self._commits += 1
        if self._commits % PRUNE_EVERY == 0:
            self._prune(now - HOUR_US)

    def _prune(self, before: int) -> None:
        sql = "SELECT id, until, (SELECT max(id) FROM firestore_history) FROM firestore_history"
        row = self._database.execute(f"{sql} ORDER BY id LIMIT 1").fetchone()
        if row is None or (row[1] > before and row[2] - row[0] < MAX_VERSIONS):
            return
        last, self._horizon = self._database.execute(
            "SELECT max(id), max(until) FROM firestore_history"
            " WHERE id < ? AND (until <= ? OR id <= ?)",
            (row[0] + 8 * PRUNE_EVERY, before, row[2] - MAX_VERSIONS),
        ).fetchone()
        with self._database.transaction():
            self._database.put("firestore.horizon", str(self._horizon))
            self._database.execute("DELETE FROM firestore_history WHERE id <= ?", (last,))
