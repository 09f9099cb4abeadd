"""Jobs: one delivery of one piece of work, how often it may be tried, and how it can end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from common.cloud import firestore
from common.cloud.firestore import Write
from common.errors import MalformedError
from common.idempotency import dead_letters
from common.idempotency.record import OnUnknownOutcome, Record
from common.idempotency.store import record_id
from common.idempotency.work import Outcome, Work

RETENTION = timedelta(days=60)
"""Longer than Cloud Tasks may redeliver (31 days) and than a dead letter of the same key lives."""

Handler = Callable[[Work], Outcome]
"""Does the work. Called again from the start when a document it read has changed meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How often and how long, in seconds: `budget` < function timeout < `lease`."""

    max_attempts: int
    budget: float
    lease: float
    retention: float = RETENTION.total_seconds()


@dataclass(frozen=True, kw_only=True)
class Job:
    """One delivery of one piece of work."""

    scope: str
    """The function that does it."""
    key: str
    """The business key; the same key is the same work."""
    identity: Any
    """The JSON value that makes up the work; another one under the same key is refused."""
    payload: bytes
    """As received, for the dead letter."""
    on_unknown_outcome: OnUnknownOutcome = "rerun"
    """What becomes of an effect of which we cannot know whether it happened: done again, or, where
    a repeat costs money, dead-lettered (`hold`)."""
    replay_of: str | None = None
    """The dead letter that this delivery replays."""
    fast_path: Callable[[], Outcome | None] | None = None
    """What can be done in one commit, without a claim: it reads and declares Firestore writes, and
    does nothing else. None: this time it takes the handler. Only tried if `is_first`."""
    is_first: bool = False
    """The platform counts its deliveries, and says that this is the first."""
    writes_on_claim: Callable[[], Sequence[Write]] = tuple
    """Preconditioned writes that commit with the claim; called again whenever it is retried."""
    writes_on_dead_letter: Callable[[], Sequence[Write]] = tuple
    """Writes that commit with giving up; called again whenever that is retried."""

    def __post_init__(self) -> None:
        if not self.key:
            raise MalformedError("the work has no key")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a delivery ended; all of these may be acknowledged."""

    status: Literal["done", "duplicate", "dead_lettered"]
    result: Any = None


def dead_letter_writes(job: Job, record: Record, reason: str) -> list[Write]:
    """The writes that go with a dead record: its dead letter, and what the job adds."""
    dead_letter = dead_letters.opened(
        record_id(job.scope, job.key),
        source=job.scope,
        reason=reason,
        error=record.error or "",
        payload=job.payload,
        attempts=record.attempts,
        first_seen=record.first_seen,
        now=firestore.latest_time(),
        key=record.key,
    )
    return [dead_letter, *job.writes_on_dead_letter()]
