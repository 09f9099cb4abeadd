"""Idempotency records in memory: the store of production on a Firestore in memory."""

from typing import Any

from msgspec.structs import replace

from common.cloud.firestore import Create
from common.cloud.memory import MemoryFirestore
from common.idempotency import Job, Limits
from common.idempotency.record import Record, record_id
from common.idempotency.store import COLLECTION, FirestoreStore

LIMITS = Limits(max_attempts=3, budget=50.0, lease=90.0)


def job(key: str = "k", **fields: Any) -> Job:
    """A delivery of some work."""
    return replace(Job(scope="tests", key=key, identity={"n": 1}, payload=b"{}"), **fields)


class MemoryStore(MemoryFirestore):
    """A Firestore in memory that knows which of its documents are records."""

    def record(self, key: str = "k", scope: str = "tests") -> Record:
        """What is stored of this work. Costs a read."""
        found = FirestoreStore().read(record_id(scope, key))
        assert found
        assert found.record
        return found.record

    def corrupt(self, key: str = "k") -> None:
        """There is a document where the record should be, and it is no record."""
        self.commit([Create(path=f"{COLLECTION}/{record_id('tests', key)}", fields={"state": 1})])

    @property
    def effects(self) -> list[str]:
        """The paths of everything written but records, in order."""
        return [path for path in self.written if not path.startswith(f"{COLLECTION}/")]
