"""What one write changes in a claimed record, as a value, and the pure function that applies it.

    Change ─┬─ marks     finished steps and effects, each with its own Firestore writes
            ├─ begun     the effects that must not happen twice, and may be under way after it
            ├─ ending    how the attempt ends; None: the attempt goes on
            └─ writes    Firestore writes that commit in any case

A write may be tried several times, on top of different records: an earlier try may come late and be
in the record already. So a change does not say what the record shall be, but what is added to it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from common.cloud.firestore import Absent, Create, Delete, Update, Write
from common.idempotency.record import Record
from common.idempotency.waits import Dead, Owed


class Mark(Struct, frozen=True, kw_only=True):
    """That a step or an effect is finished."""

    result: str
    """JSON text of the step's result, or WRITTEN."""
    writes: Sequence[Write] = ()
    """The step's Firestore effects; they commit together with the mark, and never again."""


class Completed(Struct, frozen=True, kw_only=True):
    """The attempt ends: the work is done."""

    result: str
    """JSON text."""


class Released(Struct, frozen=True, kw_only=True):
    """The attempt ends: something outside stopped it."""


class Waiting(Struct, frozen=True, kw_only=True):
    """The attempt ends: something is owed, and tried again later."""

    owed: Mapping[str, Owed]
    dead: Mapping[str, Dead]
    """What is given up, of this and of earlier attempts."""
    resume_at: datetime | None = None
    """When the alarm rings of the work that is handed over; None: it is not."""


class DeadLettered(Struct, frozen=True, kw_only=True):
    """The attempt ends: these are given up, and nothing else is left to do."""

    dead: Mapping[str, Dead]


Ending = Completed | Released | Waiting | DeadLettered


class Change(Struct, frozen=True, kw_only=True):
    """What one write of a claimed record changes. An empty change renews the lease."""

    marks: Mapping[str, Mark] = field(default_factory=dict)
    """Finished steps and effects, by name."""
    begun: frozenset[str] = frozenset()
    """The effects that may have happened if this is the last write; see `Record.begun`."""
    ending: Ending | None = None
    writes: Sequence[Write] = ()


def applied(change: Change, record: Record) -> tuple[Record, list[Write]]:
    """The record after the change, and the Firestore writes that commit together with the record.

    A step that the record knows as finished is left alone: an earlier try of the same mark was
    applied, with the step's writes.
    """
    new = {name: mark for name, mark in change.marks.items() if name not in record.steps}
    if new:
        record = record.checkpointed({name: mark.result for name, mark in new.items()})
    if record.begun != change.begun:
        record = replace(record, begun=change.begun)
    marked = [write for mark in new.values() for write in mark.writes]
    return _ended(change.ending, record), [*marked, *change.writes]


def has_preconditions(writes: Sequence[Write]) -> bool:
    """Whether one of the writes can be refused, because a document is not as it was read."""
    return any(_has_precondition(write) for write in writes)


def _has_precondition(write: Write) -> bool:
    if isinstance(write, Delete):
        return write.update_time is not None
    return isinstance(write, Create | Update | Absent)


def _ended(ending: Ending | None, record: Record) -> Record:
    match ending:
        case Completed():
            return record.completed(ending.result)
        case Released():
            return record.released()
        case Waiting():
            return record.waiting(ending.owed, ending.dead, resume_at=ending.resume_at)
        case DeadLettered():
            return record.dead_lettered(ending.dead)
    return record
