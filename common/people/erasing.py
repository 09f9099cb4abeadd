"""Erasing a person: first the mark, then a lease's pause, then the data.

    mark ──▶ wait: whoever has read before is done, or has lost its claim ──▶ delete and strip

From the mark on nothing is sent to them and nothing about them is written, so that what is deleted
stays deleted. All of it may be done again, and finds then what had not been done.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from common.cloud import firestore
from common.cloud.firestore import DELETE_FIELD, Delete, Snapshot, Update, Write
from common.cloud.writes import render_path
from common.errors import RefusedError, TransientError
from common.people import marks
from common.people.personal_data import KEPT_BY_COMMON, Held, PersonalData
from common.process import logs

LEASE = 360.0
"""Seconds: the longest lease of a function."""
PAGE = 50
"""Documents read and written at a time; one of them may have a mebibyte."""
MAX_TRIES = 10


class Report(Struct, frozen=True, kw_only=True):
    """What was found of a person, and has been dealt with."""

    user_id: str
    marks: int
    """How many marks were set: of the user, and of each address that was known."""
    deleted: Mapping[str, int]
    """How many documents were deleted, by the name of what holds them."""
    stripped: Mapping[str, int]
    """How many documents were left with ids alone."""


def erase(
    user_id: str,
    data: PersonalData,
    *,
    pause: float = LEASE,
    wait: Callable[[float], None] = time.sleep,
) -> Report:
    """Erase a person; `data` is what the bundle declares.

    `pause` is the longest lease of a function, in seconds, and `wait` lets them pass. Raises
    TransientError; the mark is set then, and the rest is done by doing it again.
    """
    logs.bind(user_id=user_id)
    number = marks.mark(user_id, data.addresses(user_id))
    wait(pause)
    deleted: dict[str, int] = {}
    stripped: dict[str, int] = {}
    for held in (*KEPT_BY_COMMON, *data.held):
        counts = deleted if held.keeps is None else stripped
        counts[held.name] = counts.get(held.name, 0) + _clear(held, user_id)
    deleted["user"] = _delete(data.document(user_id))
    logs.info("erased", "everything that is known of this user is gone")
    return Report(user_id=user_id, marks=number, deleted=deleted, stripped=stripped)


def _delete(path: str) -> int:
    found = firestore.read(path)
    firestore.commit([Delete(path=path)])
    return int(found.exists)


def _clear(held: Held, user_id: str) -> int:
    return sum(_cleared(page, held) for page in _pages(held, user_id))


def _pages(held: Held, user_id: str) -> Iterator[Sequence[Snapshot]]:
    filters = [] if held.user_field is None else [(held.user_field, "==", user_id)]
    return firestore.pages(held.collection(user_id), *filters, size=PAGE)


def _cleared(page: Sequence[Snapshot], held: Held) -> int:
    """Clear these documents; how many there was something to do with."""
    for _ in range(MAX_TRIES):
        writes = [write for found in page if (write := _write(found, held))]
        try:
            if writes:
                firestore.commit(writes)
            return len(writes)
        except RefusedError:
            page = firestore.read_all([found.path for found in page])
    raise TransientError(f"the {held.name} of this user keep changing")


def _write(found: Snapshot, held: Held) -> Write | None:
    """What clears a document; None: it is clear already."""
    if found.update_time is None:
        return None
    if held.keeps is None:
        return Delete(path=found.path)
    new = held.sets(found.data)
    gone = [name for name in found.data if name not in held.keeps and name not in new]
    changed = {name: value for name, value in new.items() if found.data.get(name, ...) != value}
    fields = {render_path((name,)): DELETE_FIELD for name in gone} | changed
    if not fields:
        return None
    return Update(path=found.path, fields=fields, update_time=found.update_time)
