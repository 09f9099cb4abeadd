"""Indexes that make themselves: a query over many documents leaves one behind for the next.

An index belongs to a collection or a collection group and to a shape of query: the fields compared
by equality, then the fields it is ordered by. An entry is one byte string,

    equal values · values in order · key

so the results of a query of that shape lie together and in order, and a cursor is a place between
them. From its first row on an index is kept up to date by every commit; it is used once all
documents that were there before are in it too.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local.kernel import background
from local.kernel.database import Database
from local.services.firestore import fields as field_paths
from local.services.firestore import values
from local.services.firestore.documents import Documents
from local.services.firestore.fields import FieldPath
from local.services.firestore.orders import Order, position
from local.services.firestore.paths import AFTER, Path, first_segment, segment
from local.services.firestore.queries import Query
from local.services.firestore.stored import Change, Scope, Stored

CHUNK = 200
"""Documents put into a new index at once, between which others get their turn."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS firestore_indexes (
    id INTEGER PRIMARY KEY, home BLOB NOT NULL, grp TEXT NOT NULL, shape TEXT NOT NULL,
    ready INTEGER NOT NULL, UNIQUE (home, grp, shape));
CREATE TABLE IF NOT EXISTS firestore_entries (
    idx INTEGER NOT NULL, entry BLOB NOT NULL, path BLOB NOT NULL,
    PRIMARY KEY (idx, entry)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Shape:
    """What an index is good for."""

    home: bytes
    """The key of the collection; of a group: of the database."""
    group: str
    """Empty: the collection itself."""
    equal: tuple[FieldPath, ...]
    orders: tuple[Order, ...]

    def entry(self, fields: Any, key: bytes) -> bytes | None:
        """A document's entry; None: it has none, for want of one of the fields."""
        place = position(self.orders, fields, key)
        found = [field_paths.get(fields, path) for path in self.equal]
        if place is None or None in found:
            return None
        return b"".join(map(values.encode, found)) + place

    def text(self) -> str:
        """The shape without its home, as stored."""
        return json.dumps([self.equal, [(o.path, o.descending) for o in self.orders]])


@dataclass(eq=False)
class Index:
    """One index."""

    id: int
    shape: Shape
    is_ready: bool
    building: asyncio.Task[None] | None = None


def shape_of(query: Query) -> Shape | None:
    """The shape of a query; None: an index is no use to it."""
    scope = query.scope
    if scope.collection is None and not scope.group:
        return None
    equal = tuple(sorted(query.equal))
    if query.is_by_name and not equal:
        return None
    if scope.collection is not None:
        return Shape(scope.collection.key, "", equal, query.orders)
    return Shape(_home(scope.parent), scope.group, equal, query.orders)


def _home(key: bytes) -> bytes:
    """The beginning of a key that stands for its database."""
    return key[: first_segment(key)[1]]


class Indexes:
    """All indexes there are."""

    def __init__(self, database: Database, documents: Documents) -> None:
        self._database = database
        self._documents = documents
        self._by_home: dict[tuple[bytes, str], list[Index]] = {}
        self._by_shape: dict[Shape, Index] = {}
        database.script(SCHEMA)
        self._load()
        documents.watchers.append(self._watch)

    def find(self, shape: Shape) -> Index | None:
        """The index for a shape, if it is ready."""
        index = self._by_shape.get(shape)
        return index if index and index.is_ready else None

    def start(self, shape: Shape, scope: Scope) -> asyncio.Task[None] | None:
        """Begin to build the index for a shape; None: it is ready."""
        index = self._by_shape.get(shape) or self._add(shape)
        if index.is_ready:
            return None
        if index.building is None or index.building.done():
            index.building = background.begin(self._build(index, _whole(shape, scope)))
        return index.building

    def page(
        self, index: Index, query: Query, low: bytes, count: int, at: int
    ) -> list[tuple[bytes, Stored]]:
        """Up to `count` entries from `low` on, as of a time, whatever else the query asks.

        They come with their positions: what the query's cursors are compared with.
        """
        prefix = query.equal_values()
        first = prefix + max(low, query.low)
        last = prefix + query.high if query.high else prefix + AFTER
        rows = self._rows(index, query.scope, first, last, count, at)
        page = [(entry[len(prefix) :], stored) for entry, stored in rows]
        if not self._documents.is_present(at):
            page = self._with_past(page, query, low, count, at)
        return page

    def _rows(
        self, index: Index, scope: Scope, first: bytes, last: bytes, count: int, at: int
    ) -> list[tuple[bytes, Stored]]:
        _, where, parameters = self._documents.hierarchy.where(scope, "firestore_documents")
        rows = self._database.execute(
            "SELECT e.entry, d.path, d.created, d.updated, d.data FROM firestore_entries e"
            f" CROSS JOIN firestore_documents d ON {where} AND d.path = e.path"
            " WHERE e.idx = ? AND e.entry >= ? AND e.entry < ? AND d.updated <= ?"
            " AND d.path >= ? AND d.path < ? ORDER BY e.entry LIMIT ?",
            (*parameters, index.id, first, last, at, *scope.bounds, count),
        )
        return [(entry, Stored(*stored)) for entry, *stored in rows]

    def _with_past(
        self, page: list[tuple[bytes, Stored]], query: Query, low: bytes, count: int, at: int
    ) -> list[tuple[bytes, Stored]]:
        past = self._documents.history.changed_since(query.scope, at, *query.scope.bounds)
        for stored in past:
            place = query.place(stored.fields(), stored.key)
            if place is not None and place >= low:
                page.append((place, stored))
        page.sort()
        return page[:count]

    def _load(self) -> None:
        rows = self._database.execute("SELECT id, home, grp, shape, ready FROM firestore_indexes")
        for number, home, group, text, ready in rows.fetchall():
            if ready:
                equal, orders = json.loads(text)
                shape = Shape(
                    home,
                    group,
                    tuple(map(tuple, equal)),
                    tuple(Order(tuple(path), descending) for path, descending in orders),
                )
                self._register(Index(number, shape, is_ready=True))
            else:
                self._database.execute("DELETE FROM firestore_entries WHERE idx = ?", (number,))
                self._database.execute("DELETE FROM firestore_indexes WHERE id = ?", (number,))

    def _register(self, index: Index) -> None:
        self._by_shape[index.shape] = index
        self._by_home.setdefault((index.shape.home, index.shape.group), []).append(index)

    def _add(self, shape: Shape) -> Index:
        cursor = self._database.execute(
            "INSERT INTO firestore_indexes (home, grp, shape, ready) VALUES (?, ?, ?, 0)",
            (shape.home, shape.group, shape.text()),
        )
        index = Index(int(cursor.lastrowid or 0), shape, is_ready=False)
        self._register(index)
        return index

    async def _build(self, index: Index, scope: Scope) -> None:
        low, high = scope.bounds
        while True:
            at = self._documents.read_time()
            page = self._documents.page(scope, low, high, count=CHUNK, backwards=False, at=at)
            with self._database.transaction():
                for stored in page:
                    self._put(index, index.shape.entry(stored.fields(), stored.key), stored.key)
                if len(page) < CHUNK:
                    self._database.execute(
                        "UPDATE firestore_indexes SET ready = 1 WHERE id = ?", (index.id,)
                    )
            if len(page) < CHUNK:
                index.is_ready = True
                return
            low = page[-1].key + b"\0"
            await asyncio.sleep(0)

    def _watch(self, changes: Sequence[Change], now: int) -> None:
        if not self._by_home:
            return
        for change in changes:
            for index in self._of(change.path):
                self._update(index, change)

    def _of(self, path: Path) -> list[Index]:
        collection = path.collection
        own = self._by_home.get((collection.key, ""), [])
        return own + self._by_home.get((segment(collection.database), collection.group), [])

    def _update(self, index: Index, change: Change) -> None:
        key, shape = change.path.key, index.shape
        before = shape.entry(change.before.fields(), key) if change.before else None
        after = shape.entry(change.fields, key) if change.after else None
        if before == after:
            return
        if before is not None:
            self._database.execute(
                "DELETE FROM firestore_entries WHERE idx = ? AND entry = ?", (index.id, before)
            )
        self._put(index, after, key)

    def _put(self, index: Index, entry: bytes | None, key: bytes) -> None:
        if entry is not None:
            self._database.execute(
                "INSERT OR REPLACE INTO firestore_entries VALUES (?, ?, ?)", (index.id, entry, key)
            )


def _whole(shape: Shape, scope: Scope) -> Scope:
    """All the documents that an index is about."""
    return Scope(shape.home, None, shape.group) if shape.group else scope
