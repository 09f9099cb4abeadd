"""Time to live: the collector that deletes documents some time after they expired."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.moments import micros, moment
from local.services.firestore import fields as field_paths
from local.services.firestore import mutations
from local.services.firestore.documents import Documents
from local.services.firestore.fields import FieldPath
from local.services.firestore.messages import Write
from local.services.firestore.paths import AFTER, name_of, segment
from local.services.firestore.stored import Change, Scope

LAG_US = 12 * 3600 * 1_000_000
"""From expiry to deletion. The platform says: within 24 hours, and visible until then."""
LAST_US = 250_000_000_000 * 1_000_000
"""What expires later than the year 9892 does not expire."""
BATCH = 200
NAME = "expiry"
"""To the clock."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS firestore_ttl (
    database TEXT NOT NULL, grp TEXT NOT NULL, field TEXT NOT NULL, PRIMARY KEY (database, grp));
CREATE TABLE IF NOT EXISTS firestore_expiry (
    path BLOB PRIMARY KEY, due INTEGER NOT NULL, grp TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS firestore_expiry_by_due ON firestore_expiry (due, path);
"""


class Expiry:
    """Knows which documents are to be deleted when. A source of the clock."""

    def __init__(self, database: Database, clock: Clock, documents: Documents) -> None:
        self._database = database
        self._clock = clock
        self._documents = documents
        database.script(SCHEMA)
        rows = database.execute("SELECT database, grp, field FROM firestore_ttl")
        self._fields = {(home, group): field_paths.parse(text) for home, group, text in rows}
        self._next: int | None = None
        """The due time the collector waits for."""
        self._is_stale = True
        """Whether that has to be looked up: something was written since."""
        documents.watchers.append(self._watch)
        clock.register(self)

    def set_field(self, home: str, group: str, field: str | None) -> None:
        """Documents of a collection group expire by this timestamp field; None: they do not."""
        with self._database.transaction():
            self._forget(home, group)
            if field is not None:
                path = field_paths.parse(field)
                self._database.execute(
                    "INSERT INTO firestore_ttl VALUES (?, ?, ?)", (home, group, field)
                )
                self._fields[home, group] = path
                self._remember_all(home, group, path)
        self._clock.changed(NAME)

    def next_due(self) -> datetime | None:
        """When the collector has something to delete."""
        if self._is_stale:
            sql = "SELECT min(due) FROM firestore_expiry"
            self._next = self._database.execute(sql).fetchone()[0]
            self._is_stale = False
        return None if self._next is None else moment(self._next)

    async def run(self) -> None:
        """Delete what is due, until cancelled."""
        while True:
            due = self.next_due()
            if due is not None and due <= self._clock.now():
                with self._clock.busy():
                    self._collect(micros(self._clock.now()))
                    await asyncio.sleep(0)
            else:
                await self._clock.wait_until(due, NAME)

    def _collect(self, now: int) -> None:
        rows = self._database.execute(
            "SELECT path, due FROM firestore_expiry WHERE due <= ? ORDER BY due LIMIT ?",
            (now, BATCH),
        ).fetchall()
        self._documents.commit(mutations.parse([Write(delete=name_of(key)) for key, _ in rows]))

    def _watch(self, changes: Sequence[Change], now: int) -> None:
        if not self._fields:
            return
        for change in changes:
            collection = change.path.collection
            path = self._fields.get((collection.database, collection.group))
            if path is not None:
                self._update(change, path, now)

    def _update(self, change: Change, path: FieldPath, now: int) -> None:
        due = _due(change.fields, path, now) if change.after else None
        self._is_stale = True
        if due is None:
            self._database.execute(
                "DELETE FROM firestore_expiry WHERE path = ?", (change.path.key,)
            )
        else:
            self._put(change.path.key, due, change.path.collection.group)

    def _put(self, key: bytes, due: int, group: str) -> None:
        self._database.execute(
            "INSERT INTO firestore_expiry VALUES (?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET due = excluded.due",
            (key, due, group),
        )
        self._is_stale = True
        if self._next is None or due < self._next:
            self._next = due
            self._clock.changed(NAME)

    def _forget(self, home: str, group: str) -> None:
        self._fields.pop((home, group), None)
        self._is_stale = True
        self._database.execute(
            "DELETE FROM firestore_ttl WHERE database = ? AND grp = ?", (home, group)
        )
        low = segment(home)
        self._database.execute(
            "DELETE FROM firestore_expiry WHERE grp = ? AND path >= ? AND path < ?",
            (group, low, low + AFTER),
        )

    def _remember_all(self, home: str, group: str, path: FieldPath) -> None:
        now = micros(self._clock.now())
        for stored in self._documents.all_of(Scope(segment(home), None, group)):
            due = _due(stored.fields(), path, now)
            if due is not None:
                self._put(stored.key, due, group)


def _due(fields: Any, path: FieldPath, now: int) -> int | None:
    """When a document with these fields is to be deleted."""
    value = field_paths.get(fields, path)
    if value is None or value.WhichOneof("value_type") != "timestamp_value":
        return None
    expires = value.timestamp_value.seconds * 1_000_000 + value.timestamp_value.nanos // 1000
    return int(max(expires, now)) + LAG_US if expires < LAST_US else None
