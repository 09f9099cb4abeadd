"""Jobs: work to be done once, how often it may be tried, and how a delivery of it can end."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from msgspec import Struct, field

from common.cloud import firestore
from common.cloud.firestore import Merge, Write
from common.errors import InProgressError, MalformedError
from common.idempotency import dead_letters
from common.idempotency.origin import Origin
from common.idempotency.record import OnUnknownOutcome, Record, State
from common.idempotency.waits import Dead, Patience
from common.idempotency.work import Outcome, Work

RETENTION = timedelta(days=60)
"""Longer than Cloud Tasks may redeliver (31 days) and than a dead letter of the same key lives."""

Handler = Callable[[Work], Outcome]
"""Does the work. Called again from the start when a document that it read has changed."""


class Limits(Struct, frozen=True, kw_only=True):
    """How often and how long. Times are in seconds: `budget` < function timeout < `lease`."""

    max_attempts: int
    """How many attempts may fail by themselves before the work is given up."""
    budget: float
    """How long one delivery may take, from its beginning."""
    lease: float
    """How long a claim lasts after its last write; then other deliveries may take it over."""
    retention: float = RETENTION.total_seconds()
    """How long the work is remembered after the last write of its record."""
    outage_patience: timedelta = timedelta(days=7)
    """How long somebody outside may be unavailable."""

    @property
    def turn(self) -> float:
        """How long a delivery waits for a process that other work has for itself: to be refused
        costs one of the deliveries that the platform makes."""
        return self.budget / 10

    @property
    def patience(self) -> Patience:
        """How long each reason is waited for."""
        return Patience(attempts=self.max_attempts, outage=self.outage_patience)


class Ended(Struct, frozen=True, kw_only=True):
    """How an attempt ends, for the documents that follow it."""

    state: Literal["done", "waiting", "dead"]
    now: datetime | None
    """The server's time of the record's last write; None: this is its first."""
    result: Any = None
    """What the handler returned, once the work is done."""
    resume_at: datetime | None = None
    """When work that waits is tried again."""
    is_outcome_unknown: bool = False
    """Something that waits may have happened already."""
    was_handed_over: bool = False
    """The work was handed over before this attempt."""
    error: str | None = None
    """Why it waits, or was given up."""


class Deferral(Protocol):
    """Hands over work that cannot be done now: what rings for it later, and its documents."""

    def set_alarm(self, ended: Ended) -> None:
        """Have somebody call again at `ended.resume_at`, before the record says so.

        May raise anything: then whoever looks after overdue work sets the alarm.
        """

    def writes(self, ended: Ended) -> Sequence[Write]:
        """What commits with the end of an attempt. Called again when a document has changed."""


class Job(Struct, frozen=True, kw_only=True):
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
    is_forced: bool = False
    """A correction is taken also where the effect may have happened with the old content."""
    is_first: bool = False
    """Whether the platform, which counts its deliveries, calls this one the first: then the claim
    waits for the first thing that needs it."""
    is_ringing: bool = False
    """Whether this delivery rings for work that was handed over."""
    writes_on_claim: Callable[[], Sequence[Write]] | None = None
    """Preconditioned writes that commit with the claim, which then does not wait. Called for every
    try of the claim."""
    writes_on_wait: Callable[[], Sequence[Write]] = tuple
    """Writes that commit with the end of an attempt after which the work is neither done, dead nor
    handed over. Left out where an effect of the attempt may have happened. Called again when a
    document has changed that the writes were computed from."""
    writes_on_dead_letter: Callable[[], Sequence[Write]] = tuple
    """Writes that commit with the dead letter. Called again when a document has changed that the
    writes were computed from."""
    deferral: Deferral | None = None
    """Where work is handed over that cannot be done now; None: the delivery is refused, and made
    again by whoever makes it."""

    def __post_init__(self) -> None:
        if not self.key:
            raise MalformedError("the work has no key")


class Answer(Struct, frozen=True, kw_only=True):
    """How a delivery ended. Each of these may be acknowledged."""

    status: Literal["done", "duplicate", "dead_lettered", "waiting"]
    """`done` now, done by an earlier delivery (`duplicate`), given up now or earlier, or handed
    over (`waiting`): an alarm will ring for it."""
    result: Any = None
    """The stored result; of `dead_lettered` and `waiting`, the error as text."""


def dead_letter(job: Job, record: Record, name: str, dead: Dead) -> Merge:
    """The write of the dead letter of an effect, or of the work as a whole."""
    return dead_letters.opened(
        record.letter_id(name),
        source=job.scope,
        reason=dead.reason,
        error=dead.error,
        payload=job.payload,
        attempts=record.attempts,
        first_seen=record.first_seen,
        now=firestore.latest_time(),
        key=record.key,
        origin=job.origin,
        effect=name or None,
    )


def answer_of(record: Record) -> Answer:
    """What a settled record answers. Raises InProgressError for a record that is not settled."""
    match record.state:
        case State.DONE:
            return Answer(status="done", result=json.loads(record.result or "null"))
        case State.DEAD:
            return Answer(status="dead_lettered", result=record.error)
    raise InProgressError("this work was given back")
