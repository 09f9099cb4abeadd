"""The local cloud's state: one SQLite file, one connection, used from one thread.

A transaction never spans an `await`, so no two services' writes mix. `kill -9` loses nothing that
was committed (write-ahead log); only the machine's own crash can lose the last moments.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEMORY = ":memory:"
"""Instead of a path: nothing is kept."""
PRIVATE = 0o600
"""The permissions of the file, which holds the values of secrets too."""


class Database:
    """An open state file. Each service makes its own tables with `script`."""

    def __init__(self, path: Path | str) -> None:
        """Open the file, or make it; it is its owner's alone, and so is what SQLite puts beside."""
        if path != MEMORY:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE))
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._depth = 0
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")
        self.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT)")

    def script(self, sql: str) -> None:
        """Run several statements, for instance `CREATE TABLE IF NOT EXISTS`."""
        self._connection.executescript(sql)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Run one statement; outside `transaction()` it commits by itself."""
        return self._connection.execute(sql, parameters)

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        """Run one statement for many rows."""
        return self._connection.executemany(sql, rows)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of the block, or nothing if it raises. A nested one joins the outer."""
        if self._depth:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        else:
            self._connection.execute("COMMIT")
        finally:
            self._depth = 0

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

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
