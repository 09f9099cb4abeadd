"""What one write changes in a claimed record, as a value, and the pure function that applies it.

    Change ─┬─ marks     finished steps, each with the Firestore writes that belong to it
            ├─ ending    how the attempt ends; None: the attempt goes on
            └─ writes    Firestore writes that commit in any case

A write may be tried several times, on top of different records: an earlier try may come late and be
in the record already. So a change does not say what the record shall be, but what is added to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from common.cloud.firestore import Absent, Create, Delete, Update, Write
from common.idempotency.record import Record


@dataclass(frozen=True, kw_only=True)
class Mark:
    """That a step is finished."""

    result: str
    """JSON text of the step's result, or WRITTEN."""
    writes: Sequence[Write] = ()
    """The step's Firestore effects; they commit together with the mark, and never again."""


@dataclass(frozen=True, kw_only=True)
class Completed:
    """The attempt ends: the work is done."""

    result: str
    """JSON text."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The attempt ends: the attempt counts, and another one may follow."""

    error: str


@dataclass(frozen=True, kw_only=True)
class Released:
    """The attempt ends: something outside stopped it, and it does not count."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The attempt ends: what the work needs has not happened yet. The attempt does not count."""

    error: str
    now: datetime


@dataclass(frozen=True, kw_only=True)
class DeadLettered:
    """The attempt ends: the work is given up."""

    error: str


Ending = Completed | Failed | Released | Waiting | DeadLettered


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one write of a claimed record changes. An empty change renews the lease."""

    marks: Mapping[str, Mark] = field(default_factory=dict)
    """Finished steps, by name."""
    ending: Ending | None = None
    writes: Sequence[Write] = ()


def applied(change: Change, record: Record) -> tuple[Record, list[Write]]:
    """The record after the change, and the Firestore writes that commit together with the record.

    A step that the record knows as finished is left alone: an earlier try of the same mark was
    applied, with the step's writes.
    """
    new = {name: mark for name, mark in change.marks.items() if name not in record.steps}
    record = record.checkpointed({name: mark.result for name, mark in new.items()})
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
        case Failed():
            return record.failed(ending.error)
        case Released():
            return record.released()
        case Waiting():
            return record.waiting(ending.error, ending.now)
        case DeadLettered():
            return record.dead_lettered(ending.error)
    return record
