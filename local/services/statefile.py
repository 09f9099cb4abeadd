"""A state file as a whole: what a reset forgets, a copy of it, and another in its place."""

import contextlib
import os
import sqlite3
from pathlib import Path

from local.kernel.database import PRIVATE, Database

FORGOTTEN = (
    "firestore_documents",
    "firestore_history",
    "firestore_collections",
    "firestore_indexes",
    "firestore_entries",
    "firestore_expiry",
    "tasks_task",
    "tasks_tombstone",
    "tasks_queue_tombstone",
    "tasks_operation",
    "pubsub_backlog",
    "scheduler_runs",
)
"""The tables that are emptied."""
KEPT = (
    "meta",
    "firestore_ttl",
    "tasks_queue",
    "pubsub_topics",
    "pubsub_subscriptions",
    "scheduler_jobs",
    "functions",
    "resources",
    "secret_versions",
)
"""The tables of what is deployed or set up."""
MOMENTS = ("clock.offset_us", "clock.last_commit", "firestore.horizon")
"""What `meta` keeps of the time; its ports and its signing key stay."""


def forget(database: Database) -> None:
    """Empty a state file of everything that happened, while no service has it open."""
    with database.transaction():
        for table in FORGOTTEN:
            database.execute(f"DELETE FROM {table}")
        database.execute("UPDATE scheduler_jobs SET tick = NULL")
        for key in MOMENTS:
            database.execute("DELETE FROM meta WHERE key = ?", (key,))


OURS = ("port.http", "port.grpc", "identity.key")
"""What `meta` keeps of the cloud that runs, whatever state is put in its place."""


def export(database: Database, path: Path) -> None:
    """Write a copy of the state to a file, readable by its owner alone. Raises OSError."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE))
    with contextlib.closing(sqlite3.connect(path)) as copy:
        database.copy_to(copy)


def check(path: Path) -> None:
    """Refuse with ValueError what is no exported state; raises OSError if there is no file."""
    path.stat()
    try:
        with _opened(path) as copy:
            rows = copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    except sqlite3.Error as error:
        raise ValueError(f"{path} is no exported state: {error}") from error
    if not {"meta", "firestore_documents"} <= {name for (name,) in rows}:
        raise ValueError(f"{path} is no exported state")


def replace(database: Database, path: Path) -> None:
    """Put an exported state in the place of this one, while no service has it open."""
    kept = {key: database.get(key) for key in OURS}
    with _opened(path) as copy:
        database.copy_from(copy)
    for key, value in kept.items():
        if value is not None:
            database.put(key, value)


def _opened(path: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True))
