"""What a delivery may do, by the record it finds: a pure state machine without I/O or clock.

The states are drawn in `common.idempotency.delivery`. `decide` takes what a delivery found and what
the delivery asks for, and returns one of the decisions below:

found            │ what a delivery of the same work may do
─────────────────┼──────────────────────────────────────────────────────────────────────
absent, expired  │ Acquire (a fresh record)
unreadable       │ CorruptRecord; a replay: Acquire (a fresh record)
other fingerprint│ KeyReused; a replay of what is dead, corrected: Acquire, both accepted
done             │ Duplicate, with the stored result
dead             │ DeadAlready; a replay: Acquire, finished steps kept
claimed, leased  │ InProgress
claimed, over    │ Acquire, alone in its process; vanished again and again: HandOver, or
                 │ InProgress, until its pause is over; too often: DeadLetter
waiting          │ Acquire
handed over      │ HandedOver; whoever rings for it: Acquire

"Of the same work": with one of the fingerprints that the record has accepted. Only the newest of
them is run; what comes with an older one is answered, and does nothing.
"""

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from common.idempotency.record import WHOLE, Record, State
from common.idempotency.waits import MAX_VANISHED, Dead, Patience, vanished_pause


class Found(Struct, frozen=True, kw_only=True):
    """A record as a strong read found it."""

    record: Record | None
    """None: a document is there, but its content is no record."""
    update_time: datetime
    """When the document was last written, by the server's clock."""
    read_time: datetime
    """When the document was read, by the server's clock."""


class Request(Struct, frozen=True, kw_only=True):
    """What a delivery asks for."""

    fresh: Record
    """The record that the delivery would create: its token, fingerprint, lease and retention."""
    patience: Patience
    replay_of: str | None = None
    """The dead letter that the delivery replays."""
    is_forced: bool = False
    """A correction is taken also where the effect may have happened with the old content."""
    is_ringing: bool = False
    """It rings for work that was handed over."""
    may_hand_over: bool = False
    """The work can be handed over."""


class Acquire(Struct, frozen=True, kw_only=True):
    """Decision: claim the work by writing `record`."""

    record: Record
    fence: datetime | None = None
    """The update time of the record that is replaced; None: there must not be one."""
    is_exclusive: bool = False
    """The last attempt vanished: run with nothing beside the work in the process."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """Decision: give the work up by writing `record` together with a dead letter."""

    record: Record
    fence: datetime
    """The update time of the record that is replaced."""
    was_handed_over: bool = False
    """The work was handed over when its last attempt began."""


class HandOver(Struct, frozen=True, kw_only=True):
    """Decision: hand the work over by writing `record`: it must not run again so soon."""

    record: Record
    fence: datetime
    """The update time of the record that is replaced."""


class HandedOver(Struct, frozen=True, kw_only=True):
    """Decision: do nothing, because the work has an alarm that will ring."""


class Duplicate(Struct, frozen=True, kw_only=True):
    """Decision: do nothing, because the work is done."""

    result: str
    """JSON text of the stored result."""


class DeadAlready(Struct, frozen=True, kw_only=True):
    """Decision: do nothing, because an earlier delivery gave the work up."""

    error: str
    """The error that the record names."""


class InProgress(Struct, frozen=True, kw_only=True):
    """Decision: ask again later, because another delivery holds the claim."""

    retry_after: float
    """Seconds until the lease of that claim, or a pause after it, is over."""


class KeyReused(Struct, frozen=True, kw_only=True):
    """Decision: refuse the delivery, because its key belongs to other work."""


class NeedsForce(Struct, frozen=True, kw_only=True):
    """Decision: refuse the correction, because the effect may have happened as it was before."""


class CorruptRecord(Struct, frozen=True, kw_only=True):
    """Decision: refuse the delivery, because the record does not say whether the work was done."""


Decision = (
    Acquire
    | DeadLetter
    | Duplicate
    | DeadAlready
    | HandOver
    | HandedOver
    | InProgress
    | KeyReused
    | NeedsForce
    | CorruptRecord
)


# Two clocks, both started by the last write and read by the server:
#
#   update_time             lease over                               expired
#       │◀─── lease_seconds ───▶│                                        │
#       │◀────────────────────── retention_seconds ─────────────────────▶│
#   ────┼───────────────────────┼────────────────────────────────────────┼──▶ read_time
#       │ claimed: in progress  │ claimed: taken over                    │ as if absent
#
# At the very moment of either end the record is still live.


def lease_left(held: Record, found: Found) -> float:
    """Seconds until the lease of the record as it was found is over; negative once it is over."""
    return held.lease_seconds - _age(found)


def is_expired(record: Record, found: Found) -> bool:
    """Whether the record is remembered no longer, even if its document is still there."""
    return _age(found) > record.retention_seconds


def decide(found: Found | None, request: Request) -> Decision:
    """What a delivery with this request may do about what it found (None: no record)."""
    if found is None:
        return Acquire(record=_fresh(request))
    if found.record is None:
        if request.replay_of is None:
            return CorruptRecord()
        return Acquire(record=_fresh(request), fence=found.update_time)
    if is_expired(found.record, found):
        return Acquire(record=_fresh(request), fence=found.update_time)
    record, left = _signed(found.record, request), lease_left(found.record, found)
    if request.replay_of is not None and (replayed := _replayed(record, request.replay_of)):
        if record.state is State.CLAIMED and left >= 0:
            return InProgress(retry_after=left)
        return _decide_replay(record, found, request, replayed)
    return _decide_live(record, found, request, left)


def _fresh(request: Request) -> Record:
    if request.replay_of is None:
        return request.fresh
    return replace(request.fresh, replays={request.replay_of: request.replay_of})


def _decide_live(record: Record, found: Found, request: Request, left: float) -> Decision:
    given = request.fresh.fingerprint
    if given != record.fingerprint and given not in record.accepted:
        return KeyReused()
    match record.state:
        case State.DONE:
            return Duplicate(result=record.result or "null")
        case State.DEAD:
            return DeadAlready(error=record.error or "")
        case State.CLAIMED if left >= 0:
            return InProgress(retry_after=left)
        case State.WAITING if record.resume_at is not None and not request.is_ringing:
            return HandedOver()
    if given != record.fingerprint:
        # Whoever brought the newest one goes on with it.
        return InProgress(retry_after=record.lease_seconds)
    if record.state is State.CLAIMED:
        return _decide_vanished(record, found, request, lease=left + _age(found))
    return Acquire(record=_taken(record), fence=found.update_time, is_exclusive=record.vanished > 0)


def _decide_vanished(record: Record, found: Found, request: Request, *, lease: float) -> Decision:
    vanished = record.vanished + 1
    if vanished >= MAX_VANISHED:
        error = f"the last {vanished} attempts vanished"
        dead = {**record.dead, WHOLE: Dead(reason="vanished", error=error)}
        return DeadLetter(
            record=record.dead_lettered(dead),
            fence=found.update_time,
            was_handed_over=record.resume_at is not None,
        )
    record = replace(record, vanished=vanished)
    left = vanished_pause(vanished, lease, request.patience.outage) - _age(found)
    if left < 0:
        return Acquire(record=_taken(record), fence=found.update_time, is_exclusive=True)
    if not request.may_hand_over:
        return InProgress(retry_after=left)
    at = found.read_time + timedelta(seconds=left)
    record = replace(record, state=State.WAITING, resume_at=at)
    return HandOver(record=record, fence=found.update_time)


# A replay names the dead letter of one effect, or of the work as a whole


def _replayed(record: Record, replay_of: str) -> set[str]:
    """What of the work is dead and has this letter; of a letter of another kind, all that is."""
    own = {name for name in record.dead if record.letter_id(name) == replay_of}
    if own or replay_of in _letters(record):
        return own
    return set(record.dead)


def _letters(record: Record) -> set[str]:
    names = {*record.steps, *record.owed, *record.replays, WHOLE}
    return {record.letter_id(name) for name in names}


def _decide_replay(record: Record, found: Found, request: Request, replayed: set[str]) -> Decision:
    is_corrected = request.fresh.fingerprint != record.fingerprint
    may_have_happened = any(record.dead[name].unknown_since for name in replayed)
    if is_corrected and may_have_happened and not request.is_forced:
        return NeedsForce()
    revived = _revived(record, request, replayed)
    if is_corrected:
        revived = _corrected(revived, request.fresh.fingerprint, replayed)
    is_exclusive = record.state is State.CLAIMED
    return Acquire(record=revived, fence=found.update_time, is_exclusive=is_exclusive)


def _revived(record: Record, request: Request, replayed: set[str]) -> Record:
    letters = {name: record.letter_id(name) for name in replayed}
    if request.replay_of and request.replay_of not in letters.values():
        letters[request.replay_of] = request.replay_of
    return replace(
        record,
        state=State.CLAIMED,
        attempts=record.attempts + 1,
        vanished=0,
        begun=frozenset() if WHOLE in replayed else record.begun - replayed,
        dead={name: it for name, it in record.dead.items() if name not in replayed},
        replays={**record.replays, **letters},
    )


def _corrected(record: Record, fingerprint: str, replayed: set[str]) -> Record:
    """The correction is accepted; what it is sent for gets a new key, what is owed keeps its."""
    accepted = dict.fromkeys([*record.accepted, record.fingerprint, fingerprint])
    salt = "" if fingerprint == next(iter(accepted)) else fingerprint
    kept = {name: record.salts.get(name, record.salts.get(WHOLE, "")) for name in record.owed}
    return replace(
        record,
        fingerprint=fingerprint,
        accepted=tuple(accepted),
        salts={**record.salts, **kept, **dict.fromkeys(replayed, salt)},
    )


def _taken(record: Record) -> Record:
    return replace(record, state=State.CLAIMED, attempts=record.attempts + 1)


def _signed(record: Record, request: Request) -> Record:
    # The key of a record that was read may be cut; the delivery that asks has the whole key.
    return replace(
        record,
        key=request.fresh.key,
        owner=request.fresh.owner,
        write_id=request.fresh.write_id,
        lease_seconds=request.fresh.lease_seconds,
        retention_seconds=request.fresh.retention_seconds,
    )


def _age(found: Found) -> float:
    return (found.read_time - found.update_time).total_seconds()
