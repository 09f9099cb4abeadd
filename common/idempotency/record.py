"""The life of one idempotency record as a pure state machine: no I/O, no clock of its own.

The states are drawn in `common.idempotency.delivery`. `decide` takes what a delivery found and what
the delivery asks for, and returns one of the decisions below:

found            │ what a delivery of the same work may do
─────────────────┼──────────────────────────────────────────────────────────────
absent, expired  │ Acquire (a fresh record)
unreadable       │ CorruptRecord; a replay: Acquire (a fresh record)
other fingerprint│ KeyReused; a corrected replay of a dead record without steps: Acquire
done             │ Duplicate, with the stored result
dead             │ DeadAlready; a replay: Acquire, finished steps kept
claimed, leased  │ InProgress
claimed, over    │ Acquire, alone in its process; at the cap, or for `hold`: DeadLetter
waiting          │ Acquire; at the cap: DeadLetter
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

OnUnknownOutcome = Literal["rerun", "hold"]
"""What becomes of an effect that may have happened: `rerun` repeats the effect, `hold` gives the
work up with a dead letter."""

WRITTEN = ""
"""The mark of a step that has no result, because the step consisted of Firestore writes alone."""


class State(StrEnum):
    """Where a record is in its life."""

    CLAIMED = "claimed"
    """A delivery holds the record; its attempt is running, or vanished without a word."""
    WAITING = "waiting"
    """Nobody holds the record; the next delivery may make an attempt."""
    DONE = "done"
    """The work is done, and its result is stored."""
    DEAD = "dead"
    """The work was given up; its dead letter says why."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is stored about one piece of work. All times are the server's.

    A record is never changed. `completed`, `failed` and the other transitions return the record
    that takes its place.
    """

    scope: str
    """The function that does the work."""
    key: str
    """The business key, unique within the scope."""
    fingerprint: str
    """A digest of the work's identity; every transition keeps it."""
    state: State = State.CLAIMED
    owner: str = ""
    """The token of the delivery that wrote the record last."""
    write_id: str = ""
    """Fresh in every write, so that no write is a no-op and every write can be recognised."""
    attempts: int = 1
    """How many attempts have begun, the present one included."""
    lease_seconds: float
    """How long the holder of the claim may write nothing before others take the claim over."""
    retention_seconds: float
    """How long the record is remembered after its last write."""
    steps: Mapping[str, str] = field(default_factory=dict)
    """The finished steps: name to the JSON text of the result, or to WRITTEN."""
    result: str | None = None
    """JSON text of the result, once the work is done."""
    error: str | None = None
    """The last error, as text."""
    waiting_since: datetime | None = None
    """When the work first had to wait for something that had not happened yet."""
    replay_of: str | None = None
    """The id of the dead letter that this work replays."""
    part_of: str | None = None
    """What the work is a part of, if it is counted."""
    first_seen: datetime | None = None
    """The time of the first claim; None until that time was read back."""
    user_id: str | None = None
    """The user whom the work is about, if it is about one."""

    def completed(self, result: str) -> "Record":
        """The work is done; `result` is JSON text."""
        return replace(self, state=State.DONE, result=result, error=None, waiting_since=None)

    def checkpointed(self, steps: Mapping[str, str]) -> "Record":
        """These steps are finished too."""
        return replace(self, steps={**self.steps, **steps})

    def failed(self, error: str) -> "Record":
        """The attempt failed; the next delivery may make another one."""
        return replace(self, state=State.WAITING, error=error)

    def released(self) -> "Record":
        """The attempt was stopped from outside, and does not count."""
        return replace(self, state=State.WAITING, attempts=self.attempts - 1)

    def waiting(self, error: str, now: datetime) -> "Record":
        """What the work needs has not happened yet; the attempt does not count."""
        since = self.waiting_since or now
        return replace(self.released(), error=error, waiting_since=since)

    def dead_lettered(self, error: str) -> "Record":
        """The work is given up."""
        return replace(self, state=State.DEAD, error=error)


@dataclass(frozen=True, kw_only=True)
class Found:
    """A record as a strong read found it."""

    record: Record | None
    """None: a document is there, but its content is no record."""
    update_time: datetime
    """When the document was last written, by the server's clock."""
    read_time: datetime
    """When the document was read, by the server's clock."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a delivery asks for."""

    fresh: Record
    """The record that the delivery would create: its token, fingerprint, lease and retention."""
    max_attempts: int
    """How many attempts may begin before the work is given up."""
    on_unknown_outcome: OnUnknownOutcome = "rerun"


@dataclass(frozen=True, kw_only=True)
class Acquire:
    """Decision: claim the work by writing `record`."""

    record: Record
    fence: datetime | None = None
    """The update time of the record that is replaced; None: there must not be one."""
    is_exclusive: bool = False
    """The last attempt vanished: run with nothing beside the work in the process."""


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """Decision: give the work up by writing `record` together with a dead letter."""

    record: Record
    fence: datetime
    """The update time of the record that is replaced."""
    reason: str
    """The reason that the dead letter names."""


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """Decision: do nothing, because the work is done."""

    result: str
    """JSON text of the stored result."""


@dataclass(frozen=True, kw_only=True)
class DeadAlready:
    """Decision: do nothing, because an earlier delivery gave the work up."""

    error: str
    """The error that the record names."""


@dataclass(frozen=True, kw_only=True)
class InProgress:
    """Decision: ask again later, because another delivery holds the claim."""

    retry_after: float
    """Seconds until the lease of that claim is over."""


@dataclass(frozen=True, kw_only=True)
class KeyReused:
    """Decision: refuse the delivery, because its key belongs to other work."""


@dataclass(frozen=True, kw_only=True)
class CorruptRecord:
    """Decision: refuse the delivery, because the record does not say whether the work was done."""


Decision = Acquire | DeadLetter | Duplicate | DeadAlready | InProgress | KeyReused | CorruptRecord


# Two clocks, both started by the last write and read by the server:
#
#   update_time             lease over                               expired
#       │◀─── lease_seconds ───▶│                                        │
#       │◀────────────────────── retention_seconds ─────────────────────▶│
#   ────┼───────────────────────┼────────────────────────────────────────┼──▶ read_time
#       │ claimed: in progress  │ claimed: taken over                    │ as if absent
#
# At the very moment of either end the record is still live.


def lease_left(record: Record, found: Found) -> float:
    """Seconds until the holder's lease is over; negative once the lease is over."""
    return record.lease_seconds - _age(found)


def is_expired(record: Record, found: Found) -> bool:
    """Whether the record is remembered no longer, even if its document is still there."""
    return _age(found) > record.retention_seconds


def decide(found: Found | None, request: Request) -> Decision:
    """What a delivery with this request may do about what it found (None: no record)."""
    if found is None:
        return Acquire(record=request.fresh)
    if found.record is None:
        if request.fresh.replay_of is None:
            return CorruptRecord()
        return Acquire(record=request.fresh, fence=found.update_time)
    if is_expired(found.record, found):
        return Acquire(record=request.fresh, fence=found.update_time)
    return _decide_live(found.record, found, request)


def _decide_live(record: Record, found: Found, request: Request) -> Decision:
    if record.fingerprint != request.fresh.fingerprint and not _is_correction(record, request):
        return KeyReused()
    match record.state:
        case State.DONE:
            return Duplicate(result=record.result or "null")
        case State.DEAD:
            return _decide_dead(record, found, request)
        case State.CLAIMED:
            return _decide_claimed(record, found, request)
        case State.WAITING:
            return _decide_waiting(record, found, request)


def _is_correction(record: Record, request: Request) -> bool:
    # A replay may bring a corrected payload as long as no step was done with the old one.
    is_replay = record.state is State.DEAD and request.fresh.replay_of is not None
    return is_replay and not record.steps


def _decide_dead(record: Record, found: Found, request: Request) -> Decision:
    if request.fresh.replay_of is None:
        return DeadAlready(error=record.error or "")
    fresh = replace(request.fresh, steps=record.steps, first_seen=record.first_seen, attempts=1)
    return Acquire(record=fresh, fence=found.update_time)


def _decide_claimed(record: Record, found: Found, request: Request) -> Decision:
    left = lease_left(record, found)
    if left >= 0:
        return InProgress(retry_after=left)
    if request.on_unknown_outcome == "hold":
        error = "an attempt vanished midway; whether its effect happened is not known"
        return _dead_letter(record, found, request, "unknown_outcome", error)
    if record.attempts >= request.max_attempts:
        error = f"the last of {record.attempts} attempts vanished"
        return _dead_letter(record, found, request, "vanished", error)
    taken = _take_over(record, request)
    return Acquire(record=taken, fence=found.update_time, is_exclusive=True)


def _decide_waiting(record: Record, found: Found, request: Request) -> Decision:
    if record.attempts >= request.max_attempts:
        error = record.error or "no attempt is left"
        return _dead_letter(record, found, request, "attempts_used_up", error)
    return Acquire(record=_take_over(record, request), fence=found.update_time)


def _take_over(record: Record, request: Request) -> Record:
    return replace(_signed(record, request), state=State.CLAIMED, attempts=record.attempts + 1)


def _dead_letter(
    record: Record, found: Found, request: Request, reason: str, error: str
) -> DeadLetter:
    record = _signed(record, request).dead_lettered(error)
    return DeadLetter(record=record, fence=found.update_time, reason=reason)


def _signed(record: Record, request: Request) -> Record:
    # The key of a record that was read may be cut; the delivery that asks has the whole key.
    return replace(
        record,
        key=request.fresh.key,
        owner=request.fresh.owner,
        write_id=request.fresh.write_id,
        lease_seconds=request.fresh.lease_seconds,
        retention_seconds=request.fresh.retention_seconds,
        replay_of=request.fresh.replay_of or record.replay_of,
    )


def _age(found: Found) -> float:
    return (found.read_time - found.update_time).total_seconds()
