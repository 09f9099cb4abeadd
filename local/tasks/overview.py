"""What waits in every queue, for those who look on: counted by the database, not listed."""

from datetime import UTC, datetime
from typing import Any

from google.cloud.tasks_v2 import types

from local.database import Database

_QUEUES = """
SELECT q.name, q.config, count(t.id), count(t.id) - count(t.due_us), min(t.due_us)
FROM tasks_queue q LEFT JOIN tasks_task t ON t.queue = q.id GROUP BY q.id ORDER BY q.name
"""


def overview(database: Database) -> list[dict[str, Any]]:
    """Per queue: `name`, `state`, `tasks`, `running`, `next_due` (RFC 3339 or None)."""
    return [
        {
            "name": name,
            "state": types.Queue.State(types.Queue.pb().FromString(config).state).name,
            "tasks": tasks,
            "running": running,
            "next_due": _moment(due) if due is not None else None,
        }
        for name, config, tasks, running, due in database.execute(_QUEUES)
    ]


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat()
