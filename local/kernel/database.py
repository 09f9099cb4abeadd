"""The local cloud's state: one SQLite file, one connection, used from one thread.

A transaction never spans an `await`, so no two services' writes mix. `kill -9` loses nothing that
was committed (write-ahead log); only the machine's own crash can lose the last moments.
"""

import contextlib
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc

from local.kernel.status import Status

WITHOUT_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
"""What SQLite says when the disk takes no more."""
ROOM = 1 << 16
"""Bytes that can be written where there is room."""
MEMORY = ":memory:"
"""Instead of a path: nothing is kept."""
PRIVATE = 0o600
"""The permissions of the file, which holds the values of secrets too."""


class Full(Status):
    """There is no room for what was to be written. Nothing of it was."""

    def __init__(self) -> None:
        super().__init__(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "The disk that holds the local cloud's state is full; nothing was written. Writes are"
            " taken again when there is room.",
        )


class Database:
    """An open state file. Each service makes its own tables with `script`."""

    def __init__(self, path: Path | str) -> None:
        """Open the file, or make it; it is its owner's alone, and so is what SQLite puts beside."""
        if path != MEMORY:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE))
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # Whoever drops it closes it; Python 3.13 warns of connections that nobody has closed.
        weakref.finalize(self, self._connection.close).atexit = False
        self._depth = 0
        self.on_full: Callable[[], None] = lambda: None
        """Called when something was refused for want of room."""
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")
        self.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT)")

    def script(self, sql: str) -> None:
        """Run several statements, for instance `CREATE TABLE IF NOT EXISTS`."""
        self._connection.executescript(sql)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Run one statement; outside `transaction()` it commits by itself. Raises Full."""
        try:
            return self._connection.execute(sql, parameters)
        except sqlite3.OperationalError as error:
            raise self._refusal(error) from error

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        """Run one statement for many rows. Raises Full."""
        try:
            return self._connection.executemany(sql, rows)
        except sqlite3.OperationalError as error:
            raise self._refusal(error) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of the block, or nothing if it raises. A nested one joins the outer.

        Raises Full.
        """
        if self._depth:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite may have rolled it back itself
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self._depth = 0

    def copy_to(self, other: sqlite3.Connection) -> None:
        """Copy everything to another database."""
        self._connection.backup(other)

    def copy_from(self, other: sqlite3.Connection) -> None:
        """Put everything of another database in the place of what is here."""
        other.backup(self._connection)

    def has_room(self) -> bool:
        """Return whether something of some size can be written."""
        try:
            self.put("room", "x" * ROOM)
            self.execute("DELETE FROM meta WHERE key = 'room'")
        except Full:
            return False
        return True

    def get(self, key: str) -> str | None:
        """Return the value kept under a key, or None."""
        row = self.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def put(self, key: str, value: str) -> None:
        """Keep a value under a key; it takes the place of an earlier one."""
        self.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )

    def _refusal(self, error: sqlite3.OperationalError) -> Exception:
        if error.sqlite_errorcode & 0xFF not in WITHOUT_ROOM:
            return error
        self.on_full()
        return Full()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
