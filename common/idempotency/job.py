"""Jobs: work to be done once, how often it may be tried, and how a delivery of it can end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from common.cloud import firestore
from common.cloud.firestore import Write
from common.errors import MalformedError
from common.idempotency import dead_letters
from common.idempotency.origin import Origin
from common.idempotency.record import OnUnknownOutcome, Record
from common.idempotency.store import record_id
from common.idempotency.work import Outcome, Work

RETENTION = timedelta(days=60)
"""Longer than Cloud Tasks may redeliver (31 days) and than a dead letter of the same key lives."""

Handler = Callable[[Work], Outcome]
"""Does the work. Called again from the start when a document that it read has changed."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How often and how long. Times are in seconds: `budget` < function timeout < `lease`."""

    max_attempts: int
    """How many attempts may fail before the work is given up."""
    budget: float
    """How long one delivery may take, from its beginning."""
    lease: float
    """How long a claim lasts after its last write; then other deliveries may take it over."""
    retention: float = RETENTION.total_seconds()
    """How long the work is remembered after the last write of its record."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work to be done once: its key, identity, payload and policy."""

    scope: str
    """The function that does the work. The same key in another scope is other work."""
    key: str
    """The business key, not empty: deliveries with the same key are deliveries of one work."""
    identity: Any
    """The JSON value that makes up the work. A delivery that brings another identity under the same
    key is refused with KeyReusedError."""
    payload: bytes
    """What was received, for the dead letter."""
    origin: Origin = field(default_factory=Origin)
    """Where it came from, for the dead letter."""
    part_of: str | None = None
    """What the work is a part of, for `counts.of_parts`."""
    on_unknown_outcome: OnUnknownOutcome = "rerun"
    """What becomes of an effect of which nobody can know whether it happened: `rerun` repeats the
    effect; `hold`, for effects that cost money, gives the work up with a dead letter."""
    replay_of: str | None = None
    """The id of the dead letter that this delivery replays."""
    fast_path: Callable[[], Outcome | None] | None = None
    """What can be done in one commit, without a claim. The function reads and returns Firestore
    writes, and does nothing else; None means that this time the handler is needed. Called only if
    `is_first`."""
    is_first: bool = False
    """Whether the platform, which counts its deliveries, calls this one the first."""
    writes_on_claim: Callable[[], Sequence[Write]] = tuple
    """Preconditioned writes that commit with the claim. Called for every try of the claim."""
    writes_on_wait: Callable[[], Sequence[Write]] = tuple
    """Writes that commit with the end of an attempt after which the work is neither done nor dead.
    Left out where an effect of the attempt may have happened. Called again when a document has
    changed that the writes were computed from."""
    writes_on_dead_letter: Callable[[], Sequence[Write]] = tuple
    """Writes that commit with the dead letter. Called again when a document has changed that the
    writes were computed from."""

    def __post_init__(self) -> None:
        if not self.key:
            raise MalformedError("the work has no key")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a delivery ended. Each of these may be acknowledged."""

    status: Literal["done", "duplicate", "dead_lettered"]
    """`done` now, done by an earlier delivery (`duplicate`), or given up now or earlier."""
    result: Any = None
    """The stored result; of `dead_lettered`, the error as text."""


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
        origin=job.origin,
    )
    return [dead_letter, *job.writes_on_dead_letter()]
