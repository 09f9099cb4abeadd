"""A store in memory: its own clock, and mishaps on demand."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from common.cloud.firestore import Write
from common.errors import PermanentError, RefusedError, TransientError
from common.idempotency import Job, Limits
from common.idempotency.record import Found, Record
from common.idempotency.store import record_id

LIMITS = Limits(max_attempts=3, budget=50.0, lease=90.0)


def job(key: str = "k", **fields: Any) -> Job:
    """A delivery of some work."""
    return replace(Job(scope="tests", key=key, identity={"n": 1}, payload=b"{}"), **fields)


class MemoryStore:
    """Keeps records as Firestore does. `mishaps` befall the next writes, one each:

    `error` (not applied), `lost` (applied, its reply lost), `echo` (applied, refused to the second
    try), `conflict` (refused by an effect), `permanent`, `none`.
    """

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.records: dict[str, tuple[Record | None, datetime]] = {}
        self.effects: list[str] = []
        """The paths that were written with records."""
        self.mishaps: list[str] = []
        self.failing_reads = 0
        self.writes = self.reads = 0
        self._lock = threading.Lock()

    def advance(self, seconds: float) -> None:
        """Time passes, here and for whoever asks `monotonic`."""
        self.now += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        """Local time, which passes as the server's does."""
        return self.now.timestamp()

    def record(self, key: str = "k", scope: str = "tests") -> Record:
        """What is stored."""
        found, _ = self.records[record_id(scope, key)]
        assert found is not None
        return found

    def corrupt(self, key: str = "k") -> None:
        """Make a record unreadable."""
        self.records[record_id("tests", key)] = (None, self.now)

    def read(self, record_id: str) -> Found | None:
        self.reads += 1
        if self.failing_reads:
            self.failing_reads -= 1
            raise TransientError("a read failed")
        if record_id not in self.records:
            return None
        record, at = self.records[record_id]
        return Found(record=record, update_time=at, read_time=self.now)

    def create(self, record: Record, effects: Sequence[Write]) -> datetime:
        return self._write(record, None, effects)

    def replace(self, record: Record, fence: datetime, effects: Sequence[Write]) -> datetime:
        return self._write(record, fence, effects)

    def _write(self, record: Record, fence: datetime | None, effects: Sequence[Write]) -> datetime:
        with self._lock:
            self.writes += 1
            mishap = self.mishaps.pop(0) if self.mishaps else "none"
            if mishap == "error":
                raise TransientError("a write failed")
            if mishap == "permanent":
                raise PermanentError("this can never be stored")
            where = record_id(record.scope, record.key)
            if self.records.get(where, (None, None))[1] != fence or mishap == "conflict":
                raise RefusedError
            self.now += timedelta(microseconds=1)
            self.records[where] = (record, self.now)
            self.effects += [effect.path for effect in effects]
            if mishap == "lost":
                raise TransientError("a reply was lost")
            if mishap == "echo":
                raise RefusedError
            return self.now
