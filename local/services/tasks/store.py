"""Queues and tasks in SQLite. Memory does not grow with the tasks: only what is due is read.

`due_us` is when a waiting task may start; NULL while an attempt of it runs. A row that is NULL when
the file is opened belongs to an attempt nobody waits for any more: it is due again.
"""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from local.kernel import moments
from local.kernel.database import Database
from local.services.tasks.task import RETENTION, Task

TOMBSTONE = moments.HOUR
"""How long a gone task's name stays taken: the shortest the platform promises."""
QUEUE_TOMBSTONE = 7 * moments.DAY

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, config BLOB, policy BLOB
);
CREATE TABLE IF NOT EXISTS tasks_queue_tombstone (name TEXT PRIMARY KEY, until_us INTEGER);
CREATE TABLE IF NOT EXISTS tasks_task (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER, name TEXT, spec BLOB, create_us INTEGER,
    schedule_us INTEGER, dispatches INTEGER, responses INTEGER, executions INTEGER,
    first_us INTEGER, attempt_eta_us INTEGER, attempt_us INTEGER, answer_us INTEGER,
    previous INTEGER, code INTEGER, detail TEXT, due_us INTEGER
);
CREATE UNIQUE INDEX IF NOT EXISTS tasks_by_name ON tasks_task (queue, name);
CREATE INDEX IF NOT EXISTS tasks_by_due ON tasks_task (queue, due_us);
CREATE TABLE IF NOT EXISTS tasks_tombstone (
    queue INTEGER, name TEXT, until_us INTEGER, PRIMARY KEY (queue, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tasks_tombstones_by_end ON tasks_tombstone (until_us);
"""

_COLUMNS = tuple(field.name for field in fields(Task))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM tasks_task"
_INSERT = (
    f"INSERT INTO tasks_task ({', '.join(_COLUMNS)}, due_us) "
    f"VALUES ({', '.join('?' * (len(_COLUMNS) + 1))})"
)
_CHANGING = tuple(c for c in _COLUMNS if c not in ("id", "queue", "name", "spec", "create_us"))
_UPDATE = (
    f"UPDATE tasks_task SET {', '.join(f'{c} = ?' for c in _CHANGING)}, due_us = ? WHERE id = ?"
)


class Store:
    """The tables. Its methods are statements; whoever needs several to be one opens a transaction.

    Moments and durations in microseconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.transaction = database.transaction
        self._oldest: int | None = None
        self._is_oldest_known = False
        database.script(_SCHEMA)
        # Queue by queue, because the index is.
        database.execute(
            "UPDATE tasks_task SET due_us = schedule_us "
            "WHERE queue IN (SELECT id FROM tasks_queue) AND due_us IS NULL"
        )

    # Queues

    def queues(self) -> list[tuple[int, str, bytes]]:
        """Every queue: id, name, configuration."""
        return self._database.execute("SELECT id, name, config FROM tasks_queue").fetchall()

    def add_queue(self, name: str, config: bytes) -> int:
        """Store a new queue and return its id."""
        cursor = self._database.execute(
            "INSERT INTO tasks_queue (name, config) VALUES (?, ?)", (name, config)
        )
        return int(cursor.lastrowid or 0)

    def set_config(self, queue: int, config: bytes) -> None:
        """Replace a queue's configuration."""
        self._database.execute("UPDATE tasks_queue SET config = ? WHERE id = ?", (config, queue))

    def policy(self, queue: int) -> bytes:
        """A queue's IAM policy, serialized; empty if none was set."""
        sql = "SELECT policy FROM tasks_queue WHERE id = ?"
        return self._database.execute(sql, (queue,)).fetchone()[0] or b""

    def set_policy(self, queue: int, policy: bytes) -> None:
        """Replace a queue's IAM policy."""
        self._database.execute("UPDATE tasks_queue SET policy = ? WHERE id = ?", (policy, queue))

    def remove_queue(self, queue: int, name: str, now: int) -> None:
        """Remove a queue with its tasks; its name stays taken for a while."""
        self._is_oldest_known = False
        with self.transaction():
            self._database.execute("DELETE FROM tasks_task WHERE queue = ?", (queue,))
            self._database.execute("DELETE FROM tasks_queue WHERE id = ?", (queue,))
            self._database.execute(
                "INSERT OR REPLACE INTO tasks_queue_tombstone VALUES (?, ?)",
                (name, now + QUEUE_TOMBSTONE),
            )

    def queue_gone(self, name: str, now: int) -> bool:
        """Whether a queue of that name was deleted too recently."""
        sql = "SELECT 1 FROM tasks_queue_tombstone WHERE name = ? AND until_us > ?"
        return self._database.execute(sql, (name, now)).fetchone() is not None

    # Tasks

    def add(self, task: Task) -> None:
        """Store a new task, due at its schedule time, and give it its id."""
        self._is_oldest_known = self._is_oldest_known and self._oldest is not None
        values = (None, *(getattr(task, name) for name in _COLUMNS[1:]), task.schedule_us)
        task.id = int(self._database.execute(_INSERT, values).lastrowid or 0)

    def exists(self, queue: int, name: str) -> bool:
        """Whether the task is there."""
        sql = "SELECT 1 FROM tasks_task WHERE queue = ? AND name = ?"
        return self._database.execute(sql, (queue, name)).fetchone() is not None

    def gone(self, queue: int, name: str, now: int) -> bool:
        """Whether a task of that name was there recently."""
        sql = "SELECT 1 FROM tasks_tombstone WHERE queue = ? AND name = ? AND until_us > ?"
        return self._database.execute(sql, (queue, name, now)).fetchone() is not None

    def find(self, queue: int, name: str) -> Task | None:
        """A task by its short id."""
        sql = f"{_SELECT} WHERE queue = ? AND name = ?"
        row = self._database.execute(sql, (queue, name)).fetchone()
        return Task(*row) if row else None

    def get(self, id_: int) -> Task | None:
        """A task by its row."""
        row = self._database.execute(f"{_SELECT} WHERE id = ?", (id_,)).fetchone()
        return Task(*row) if row else None

    def page(self, queue: int, after: str, limit: int) -> list[Task]:
        """Tasks in the order of their ids, after the given one."""
        sql = f"{_SELECT} WHERE queue = ? AND name > ? ORDER BY name LIMIT ?"
        return [Task(*row) for row in self._database.execute(sql, (queue, after, limit))]

    def due(self, queue: int, now: int, limit: int) -> list[Task]:
        """Waiting tasks whose time has come, earliest first."""
        sql = f"{_SELECT} WHERE queue = ? AND due_us <= ? ORDER BY due_us, id LIMIT ?"
        return [Task(*row) for row in self._database.execute(sql, (queue, now, limit))]

    def first_due(self, queue: int) -> int | None:
        """When the earliest waiting task of a queue is due."""
        sql = "SELECT due_us FROM tasks_task WHERE queue = ? AND due_us > 0 ORDER BY due_us LIMIT 1"
        row = self._database.execute(sql, (queue,)).fetchone()
        return row[0] if row else None

    def running(self, tasks: Iterable[Task]) -> None:
        """Store tasks of which an attempt has started."""
        self._database.executemany(_UPDATE, [_changes(task, None) for task in tasks])

    def waiting(self, tasks: Iterable[Task]) -> None:
        """Store tasks that wait for their schedule time; one that was removed stays removed."""
        self._database.executemany(_UPDATE, [_changes(task, task.schedule_us) for task in tasks])

    def remove(self, ids: Iterable[int], now: int) -> int:
        """Remove tasks, keep their names taken for a while, and return how many there were."""
        keys = [(id_,) for id_ in ids]
        self._is_oldest_known = False
        self._database.executemany(
            "INSERT OR REPLACE INTO tasks_tombstone "
            f"SELECT queue, name, {now + TOMBSTONE} FROM tasks_task WHERE id = ?",
            keys,
        )
        return self._database.executemany("DELETE FROM tasks_task WHERE id = ?", keys).rowcount

    def purge(self, queue: int, now: int) -> None:
        """Remove all tasks of a queue."""
        self._is_oldest_known = False
        self._database.execute(
            "INSERT OR REPLACE INTO tasks_tombstone SELECT queue, name, ? FROM tasks_task "
            "WHERE queue = ?",
            (now + TOMBSTONE, queue),
        )
        self._database.execute("DELETE FROM tasks_task WHERE queue = ?", (queue,))

    def next_expiry(self) -> int | None:
        """When the oldest task is too old: 31 days after its creation, at a full second."""
        if not self._is_oldest_known:
            sql = "SELECT create_us FROM tasks_task ORDER BY id LIMIT 1"
            row = self._database.execute(sql).fetchone()
            self._oldest, self._is_oldest_known = row[0] if row else None, True
        if self._oldest is None:
            return None
        return -(-self._oldest // moments.SECOND) * moments.SECOND + RETENTION

    def too_old(self, now: int, limit: int) -> list[int]:
        """Ids of tasks past the retention."""
        rows = self._database.execute(
            "SELECT id, create_us FROM tasks_task ORDER BY id LIMIT ?", (limit,)
        )
        return [id_ for id_, created in rows if created + RETENTION <= now]

    def count(self, queue: int) -> int:
        """How many tasks a queue holds."""
        sql = "SELECT count(*) FROM tasks_task WHERE queue = ?"
        return int(self._database.execute(sql, (queue,)).fetchone()[0])

    def forget(self, now: int) -> None:
        """Drop the tombstones that are over."""
        self._database.execute("DELETE FROM tasks_tombstone WHERE until_us <= ?", (now,))

    def clear(self) -> None:
        """Drop every task and tombstone, as no call of the platform does."""
        self._is_oldest_known = False
        with self.transaction():
            for table in ("tasks_task", "tasks_tombstone", "tasks_queue_tombstone"):
                self._database.execute(f"DELETE FROM {table}")


def _changes(task: Task, due: int | None) -> tuple[Any, ...]:
    return (*(getattr(task, name) for name in _CHANGING), due, task.id)
