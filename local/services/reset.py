"""What a reset forgets: everything that happened. What is deployed or set up stays."""

from local.kernel.database import Database

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
