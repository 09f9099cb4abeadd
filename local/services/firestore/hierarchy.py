"""Which collections there are, by number, and what is under what.

A collection keeps its number when it is emptied; whether it is there at all is asked of its
documents.
"""

from collections.abc import Iterator
from typing import Any

from local.kernel.database import Database
from local.services.firestore.paths import AFTER, Collection, first_segment
from local.services.firestore.stored import Scope

MAX_REMEMBERED = 10_000

SCHEMA = """
CREATE TABLE IF NOT EXISTS firestore_collections (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, parent BLOB NOT NULL);
"""


class Hierarchy:
    """The collections of every database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers: dict[bytes, int] = {}
        self._new: list[bytes] = []
        database.script(SCHEMA)

    def number(self, collection: Collection) -> int:
        """A collection's number; 0 if it never had a document."""
        number = self._numbers.get(collection.key)
        if number is None:
            row = self._database.execute(
                "SELECT id FROM firestore_collections WHERE path = ?", (collection.key,)
            ).fetchone()
            number = self._remember(collection, row[0] if row else 0)
        return number

    def make(self, collection: Collection) -> int:
        """A collection's number, given now if it has none; `keep` or `forget` it afterwards."""
        number = self.number(collection)
        if not number:
            cursor = self._database.execute(
                "INSERT INTO firestore_collections (path, parent) VALUES (?, ?)",
                (collection.key, collection.parent),
            )
            number = self._remember(collection, int(cursor.lastrowid or 0))
            self._new.append(collection.key)
        return number

    def keep(self) -> None:
        """The transaction that made collections was committed."""
        self._new.clear()

    def forget(self) -> None:
        """The transaction that made collections was rolled back."""
        for key in self._new:
            self._numbers.pop(key, None)
        self._new.clear()

    def where(self, scope: Scope, table: str) -> tuple[str, str, tuple[Any, ...]]:
        """The FROM, the WHERE and its parameters that select a scope's rows `d` of a table."""
        if scope.collection is not None:
            return f"{table} d", "d.collection = ?", (self.number(scope.collection),)
        if scope.group:
            return f"{table} d", "d.grp = ?", (scope.group,)
        source = f"firestore_collections c CROSS JOIN {table} d ON d.collection = c.id"
        where, bounds = "c.path >= ? AND c.path < ?", (scope.parent, scope.parent + AFTER)
        if scope.children_only:
            return source, f"{where} AND c.parent = ?", (*bounds, scope.parent)
        return source, where, bounds

    def collections_under(self, parent: bytes, after: bytes) -> Iterator[bytes]:
        """Keys behind `after` of all collections there ever were directly under a parent."""
        while key := self._next_child(parent, after):
            after = key + AFTER
            yield key

    def missing(self, collection: Collection, low: bytes, high: bytes, count: int) -> list[bytes]:
        """Keys between low and high of documents that are not there but have some under them."""
        found: list[bytes] = []
        while len(found) < count and (key := self._next_child(collection.key, low)):
            if key >= high:
                break
            low = key + AFTER
            if self.is_inhabited(key) and not self._exists(collection, key):
                found.append(key)
        return found

    def is_inhabited(self, key: bytes) -> bool:
        """Whether there is any document under a key."""
        sql = (
            "SELECT 1 FROM firestore_collections c WHERE c.path >= ? AND c.path < ? AND EXISTS"
            " (SELECT 1 FROM firestore_documents d WHERE d.collection = c.id) LIMIT 1"
        )
        return self._database.execute(sql, (key, key + AFTER)).fetchone() is not None

    def _remember(self, collection: Collection, number: int) -> int:
        if len(self._numbers) > MAX_REMEMBERED:
            self._numbers.clear()
        self._numbers[collection.key] = number
        return number

    def _next_child(self, parent: bytes, after: bytes) -> bytes | None:
        """The key one segment below a parent of the first collection path behind `after`."""
        row = self._database.execute(
            "SELECT path FROM firestore_collections WHERE path > ? AND path < ?"
            " ORDER BY path LIMIT 1",
            (max(after, parent), parent + AFTER),
        ).fetchone()
        return row[0][: len(parent) + first_segment(row[0][len(parent) :])[1]] if row else None

    def _exists(self, collection: Collection, key: bytes) -> bool:
        row = self._database.execute(
            "SELECT 1 FROM firestore_documents WHERE collection = ? AND path = ?",
            (self.number(collection), key),
        ).fetchone()
        return row is not None
