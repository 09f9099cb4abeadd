"""What something costs: calls, documents and dollars, from the local cloud's own books."""

import contextlib
import sqlite3
from dataclasses import dataclass, fields

from local.kernel.state import Folder
from local.testing import LocalCloud

# Dollars per million in us-central1, beyond the free tiers.
READ, WRITE, DELETE = 0.30, 0.90, 0.10  # documents: https://cloud.google.com/firestore/pricing
TASK = 0.40  # of each create and each attempt: https://cloud.google.com/tasks/pricing
REQUEST = 0.40  # of a function: https://cloud.google.com/run/pricing
CPU, MEMORY = 24.0, 2.5  # a second of one vCPU, of one GiB; the same page
PUBSUB = 40 / 2**40 * 1e6  # a byte, of 1000 at least: https://cloud.google.com/pubsub/pricing

BILLED = 0.1
"""Seconds: what a request is rounded up to. Alone on its instance; 8 at once share this."""
VCPU, GIB = 1.0, 0.5
"""Of consumer, as in `deploy.sh`."""
SMALL = 1000
"""Bytes a message counts as, when it is published and when it is pushed."""
READS = ("Firestore.BatchGetDocuments", "Firestore.GetDocument", "Firestore.RunQuery")


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What was used, in all or by one event."""

    rpcs: float
    """Calls to Firestore and Cloud Tasks."""
    commits: float
    writes: float
    """Documents written: each is a version in the database."""
    reads: float
    """Calls that read; each of the shop's reads one document."""
    expiring: float
    """Documents created that the TTL collector deletes one day."""
    tasks: float
    """Tasks created. Each costs one attempt too."""

    def dollars(self) -> float:
        """Per million events: delivery, one function call of at most 100 ms, and the above."""
        call = REQUEST + BILLED * (VCPU * CPU + GIB * MEMORY)
        documents = self.reads * READ + self.writes * WRITE + self.expiring * DELETE
        return 2 * SMALL * PUBSUB + call + documents + 2 * TASK * self.tasks


def so_far(cloud: LocalCloud) -> Spent:
    """What has been used since the cloud was made."""
    calls = cloud.status()["calls"]
    writes, expiring = _documents(cloud)
    return Spent(
        rpcs=sum(calls.values()),
        commits=calls.get("Firestore.Commit", 0),
        writes=writes,
        reads=sum(calls.get(name, 0) for name in READS),
        expiring=expiring,
        tasks=calls.get("CloudTasks.CreateTask", 0),
    )


def each(after: Spent, before: Spent, count: int) -> Spent:
    """What one of so many used in between."""
    names = [field.name for field in fields(Spent)]
    used = {name: (getattr(after, name) - getattr(before, name)) / count for name in names}
    return Spent(**used)


def _documents(cloud: LocalCloud) -> tuple[int, int]:
    """Versions there are and were, and documents there are with a time to expire at."""
    with contextlib.closing(sqlite3.connect(Folder(cloud.path).database)) as database:
        row = database.execute(
            "SELECT (SELECT count(*) FROM firestore_documents)"
            " + (SELECT count(*) FROM firestore_history),"
            " (SELECT count(*) FROM firestore_documents"
            "  WHERE instr(data, CAST('expire_at' AS BLOB)))"
        ).fetchone()
    return row[0], row[1]
