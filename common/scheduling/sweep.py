"""The sweep: sets another alarm for what is overdue and has none, and for nothing else.

    overdue ──▶ nobody can read it ──▶ dead, with a dead letter
            ──▶ its alarm is there ──▶ looked at again after GRACE
            ──▶ the queue says that its alarm is gone ──▶ another alarm

Whatever it does to a record moves `overdue_at` of that record on, so that a thousand that cannot be
helped do not hide the others. Two sweeps at once set the same alarms, by the same names.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic

from common.cloud import firestore, tasks
from common.cloud.firestore import Snapshot
from common.errors import (
    CorruptRecordError,
    InProgressError,
    PermanentError,
    RefusedError,
    TransientError,
    UnavailableError,
)
from common.idempotency import Answer, Call
from common.process import logs, settings
from common.scheduling import alarms, ringing, transitions
from common.scheduling import record as records
from common.scheduling.kinds import QUEUE
from common.scheduling.record import Record

NAME = "reminder_sweep"
"""What the body of the Scheduler's tick names."""
PAGE = 200
"""Reminders that are looked at together."""
PAGES = 100
"""That one sweep looks at, at most; the next sweep goes on."""
PARALLEL = 16
"""Reminders that are looked at at the same time."""


def sweep(call: Call, *, page: int = PAGE, pages: int = PAGES) -> Answer:
    """Look after what is overdue: at most `page` times `pages` reminders.

    Costs one query when nothing is. Raises TransientError if some could not be looked after, and
    UnavailableError if Google's services are why: the next sweep finds them.
    """
    logs.bind(campaign=NAME)
    now, deadline = _tick(call), monotonic() + settings.current().handler_budget
    counts: Counter[str] = Counter()
    for found in _overdue(now, page, pages):
        counts.update(_all_looked_after(found))
        if counts["failed"] + counts["unavailable"] >= page or monotonic() > deadline:
            break
    seen = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
    logs.info("enqueued", f"overdue reminders: {seen or 'none'}", **counts)
    if counts["failed"]:
        raise TransientError(f"{counts['failed']} overdue reminders could not be looked after")
    if number := counts["unavailable"]:
        raise UnavailableError(f"{number} overdue reminders could not be looked after now")
    return Answer(status="done", result="enqueued" if counts["rung"] else "skipped")


def _tick(call: Call) -> datetime:
    """The server's time: that of the tick, or, fired by hand, of a read."""
    try:
        tick = datetime.fromisoformat(call.tick or "")
        return tick.astimezone(UTC) if tick.tzinfo else tick.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return firestore.read(f"{records.COLLECTION}/-").read_time


def _overdue(now: datetime, page: int, pages: int) -> Iterator[list[Snapshot]]:
    """What is overdue, page by page; whatever is looked after is not found again."""
    seen: set[tuple[str, datetime | None]] = set()
    for _ in range(pages):
        query = firestore.query(records.COLLECTION, ("overdue_at", "<", now), limit=page)
        found = list(query)
        new = [it for it in found if (it.path, it.update_time) not in seen]
        seen.update((it.path, it.update_time) for it in new)
        if new:
            yield new
        if len(found) < page or not new:
            return


def _all_looked_after(found: list[Snapshot]) -> list[str]:
    if len(found) == 1:
        return [_look_after(found[0])]
    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        return list(pool.map(_look_after, found))


def _look_after(found: Snapshot) -> str:
    """Look after one; what has become of it. Raises nothing: the others come next."""
    try:
        return _looked_after(found)
    except (RefusedError, InProgressError):
        return "changed"  # somebody is at it
    except UnavailableError as error:
        logs.warning("waiting", f"{found.path} is overdue: {error}", reason="unavailable")
        return "unavailable"
    except Exception as error:
        logs.error("failed", f"{found.path} is overdue: {error}", exc=error)
        return "failed"


def _looked_after(found: Snapshot) -> str:
    try:
        record = records.decode(found)
    except CorruptRecordError as error:
        name = firestore.original_name(found.path.rpartition("/")[2])
        ringing.bury(found, error, name or str(found.data.get("reminder_id")))
        return "dead"
    if record is None or record.is_settled:
        return _ignored(found)
    alarm = record.rings()
    if alarm is not None and tasks.exists(alarm.queue, tasks.name(alarm.identity)):
        firestore.commit([found.write(transitions.looked_at(found.read_time))])
        return "waiting"
    return _rung(found, record)


def _rung(found: Snapshot, record: Record) -> str:
    now = found.read_time
    queue = record.alarm.queue if record.alarm else QUEUE
    setter = f"{NAME} {found.update_time and found.update_time.isoformat()}"
    alarm = alarms.first(queue, record.due_at, now, setter)
    change = transitions.put_off(record, alarm, now)
    assert change.alarm is not None
    assert change.fields is not None
    try:
        alarms.set_now(change.alarm)
    except PermanentError as error:
        ringing.bury(found, error, record.reminder_id)
        return "dead"
    with contextlib.suppress(RefusedError):  # it rang at once, and whoever it woke is at it
        firestore.commit([found.write(change.fields)])
    return "rung"


def _ignored(found: Snapshot) -> str:
    """It is settled, and says that it is overdue all the same."""
    if found.exists:
        firestore.commit([found.write({"overdue_at": firestore.DELETE_FIELD})])
    return "settled"
