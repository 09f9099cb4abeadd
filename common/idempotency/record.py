"""The life of one idempotency record as a pure state machine: no I/O, no clock of its own.

Its states are drawn in `common.idempotency`.

found            │ what a delivery of the same work may do
─────────────────┼──────────────────────────────────────────────────────────────
absent, expired  │ Take (a fresh record)
unreadable       │ Corrupt; a replay: Take (a fresh record)
other fingerprint│ Reused; a corrected replay of a dead record without steps: Take
done             │ Duplicate, with the stored result
dead             │ Dead; a replay: Take, finished steps kept
claimed, leased  │ Busy
claimed, over    │ Take, alone in its process; at the cap, or for `hold`: GiveUp
waiting          │ Take; at the cap: GiveUp
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

OnUnknownOutcome = Literal["rerun", "hold"]
"""What becomes of an attempt that vanished midway: run again, or dead-lettered as unknown."""

WRITTEN = ""
"""The mark of a step that has no result: its Firestore effects are what it did."""


class State(StrEnum):
    """Where a record is in its life."""

    CLAIMED = "claimed"
    WAITING = "waiting"
    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One piece of work. Times are the server's."""

    scope: str
    """The function that does the work."""
    key: str
    """The business key, unique within the scope."""
    fingerprint: str
    """What identifies the work; kept through every transition."""
    state: State = State.CLAIMED
    owner: str = ""
    """The token of the delivery that wrote it last."""
    write_id: str = ""
    """Fresh in every write, so that none is a no-op and each can be recognised."""
    attempts: int = 1
    """Attempts begun, this one included."""
    lease_seconds: float
    """How long its holder may be silent, as the holder wrote it."""
    retention_seconds: float
    """How long it is remembered after its last write."""
    steps: Mapping[str, str] = field(default_factory=dict)
    """Finished steps: name to JSON text of the result, or WRITTEN."""
    result: str | None = None
    """JSON text of the result, once done."""
    error: str | None = None
    waiting_since: datetime | None = None
    """When it first had to wait for something that had not happened yet."""
    replay_of: str | None = None
    """The dead letter whose replay this is."""
    first_seen: datetime | None = None
    """The time of its first claim; None until that was read back."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A record as a strong read found it."""

    record: Record | None
    """None: there is one, but it cannot be read as one."""
    update_time: datetime
    read_time: datetime


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a delivery brings."""

    fresh: Record
    """The record it would create: its token, fingerprint, lease and retention."""
    max_attempts: int
    on_unknown_outcome: OnUnknownOutcome = "rerun"


@dataclass(frozen=True, kw_only=True)
class Take:
    """Write this record; `fence` is the update time it replaces (None: it must not exist)."""

    record: Record
    fence: datetime | None = None
    alone: bool = False
    """The last attempt vanished: run with nothing beside it in the process."""


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """Write this dead record, with its dead letter."""

    record: Record
    fence: datetime
    reason: str
    """For the dead letter."""


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """It is done."""

    result: str


@dataclass(frozen=True, kw_only=True)
class Dead:
    """It was given up earlier."""

    error: str


@dataclass(frozen=True, kw_only=True)
class Busy:
    """Another delivery holds it; its lease ends in `retry_after` seconds."""

    retry_after: float


@dataclass(frozen=True, kw_only=True)
class Reused:
    """The key belongs to other work."""


@dataclass(frozen=True, kw_only=True)
class Corrupt:
    """Whether the work was done cannot be read."""


Decision = Take | GiveUp | Duplicate | Dead | Busy | Reused | Corrupt


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
    """Seconds until the holder's lease is over; negative once it is."""
    return record.lease_seconds - _age(found)


def is_expired(record: Record, found: Found) -> bool:
    """Whether the record is remembered no longer, deleted or not."""
    return _age(found) > record.retention_seconds


def decide(found: Found | None, ask: Ask) -> Decision:
    """What this delivery may do about what was found."""
    if found is None:
        return Take(record=ask.fresh)
    if found.record is None:
        is_replay = ask.fresh.replay_of is not None
        return Take(record=ask.fresh, fence=found.update_time) if is_replay else Corrupt()
    if is_expired(found.record, found):
        return Take(record=ask.fresh, fence=found.update_time)
    return _decide_live(found.record, found, ask)


def _decide_live(record: Record, found: Found, ask: Ask) -> Decision:
    if record.fingerprint != ask.fresh.fingerprint and not _is_correction(record, ask):
        return Reused()
    match record.state:
        case State.DONE:
            return Duplicate(result=record.result or "null")
        case State.DEAD:
            return _decide_dead(record, found, ask)
        case State.CLAIMED:
            return _decide_claimed(record, found, ask)
        case State.WAITING:
            return _decide_waiting(record, found, ask)


def _is_correction(record: Record, ask: Ask) -> bool:
    # A replay may bring a corrected payload as long as no step was done with the old one.
    is_replay = record.state is State.DEAD and ask.fresh.replay_of is not None
    return is_replay and not record.steps


def _decide_dead(record: Record, found: Found, ask: Ask) -> Decision:
    if ask.fresh.replay_of is None:
        return Dead(error=record.error or "")
    fresh = replace(ask.fresh, steps=record.steps, first_seen=record.first_seen, attempts=1)
    return Take(record=fresh, fence=found.update_time)


def _decide_claimed(record: Record, found: Found, ask: Ask) -> Decision:
    left = lease_left(record, found)
    if left >= 0:
        return Busy(retry_after=left)
    if ask.on_unknown_outcome == "hold":
        error = "an attempt vanished midway; whether its effect happened is not known"
        return _give_up(record, found, ask, "unknown_outcome", error)
    if record.attempts >= ask.max_attempts:
        error = f"the last of {record.attempts} attempts vanished"
        return _give_up(record, found, ask, "vanished", error)
    return Take(record=_take_over(record, ask), fence=found.update_time, alone=True)


def _decide_waiting(record: Record, found: Found, ask: Ask) -> Decision:
    if record.attempts >= ask.max_attempts:
        error = record.error or "no attempt is left"
        return _give_up(record, found, ask, "attempts_used_up", error)
    return Take(record=_take_over(record, ask), fence=found.update_time)


def _take_over(record: Record, ask: Ask) -> Record:
    return replace(_signed(record, ask), state=State.CLAIMED, attempts=record.attempts + 1)


def _give_up(record: Record, found: Found, ask: Ask, reason: str, error: str) -> GiveUp:
    record = dead(_signed(record, ask), error)
    return GiveUp(record=record, fence=found.update_time, reason=reason)


def _signed(record: Record, ask: Ask) -> Record:
    # The key of a record that was read may be cut; the asking delivery has it whole.
    return replace(
        record,
        key=ask.fresh.key,
        owner=ask.fresh.owner,
        write_id=ask.fresh.write_id,
        lease_seconds=ask.fresh.lease_seconds,
        retention_seconds=ask.fresh.retention_seconds,
        replay_of=ask.fresh.replay_of or record.replay_of,
    )


def completed(record: Record, result: str) -> Record:
    """Done, with this result (JSON text)."""
    return replace(record, state=State.DONE, result=result, error=None, waiting_since=None)


def checkpointed(record: Record, steps: Mapping[str, str]) -> Record:
    """These steps are finished too."""
    return replace(record, steps={**record.steps, **steps})


def failed(record: Record, error: str) -> Record:
    """This attempt failed; the next delivery may try."""
    return replace(record, state=State.WAITING, error=error)


def released(record: Record) -> Record:
    """This attempt was stopped from outside and does not count."""
    return replace(record, state=State.WAITING, attempts=record.attempts - 1)


def waiting(record: Record, error: str, now: datetime) -> Record:
    """What it needs has not happened yet; this attempt does not count."""
    since = record.waiting_since or now
    return replace(released(record), error=error, waiting_since=since)


def dead(record: Record, error: str) -> Record:
    """Given up."""
    return replace(record, state=State.DEAD, error=error)


def _age(found: Found) -> float:
    return (found.read_time - found.update_time).total_seconds()
