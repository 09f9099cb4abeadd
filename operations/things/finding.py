"""Which documents an id leads to, whatever kind of id it is, and which belong to those.

Documents that may have the id are read by name, all at once. Those that mention the id are asked
for by one field each, which Firestore keeps an index of anyway. What is found leads on: a piece of
work to its messages and reminders, a reminder to its ringing, a message to its cause. No collection
is read whole.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Filter, Snapshot
from common.idempotency.record import record_id
from common.process import tables
from common.scheduling.reminders import ReminderKind

MOST = 200
"""Documents that one question finds, and steps that one id leads."""
SCOPES = ("consumer", "reminder", "fanout")
NAMED = ("users", "carts", "messages", "dead_letters", "reminders", "fanouts")
MENTIONS: tuple[tuple[str, str, str], ...] = (
    ("idempotency", "user_id", "=="),
    ("idempotency", "about", "array_contains"),
    ("messages", "user_id", "=="),
    ("messages", "cause", "=="),
    ("reminders", "user_id", "=="),
    ("reminders", "cause", "=="),
    ("reminders", "alarm.task", "=="),
    ("dead_letters", "user_id", "=="),
    ("dead_letters", "event_id", "=="),
    ("dead_letters", "key", "=="),
    ("carts", "user_id", "=="),
)
"""Collection, field and operator of what may mention an id."""


@dataclass(kw_only=True)
class Found:
    """The documents that an id leads to, by path, in the order in which they were found."""

    documents: dict[str, Snapshot] = field(default_factory=dict)

    def add(self, snapshots: Iterable[Snapshot]) -> list[Snapshot]:
        """Remember those that are there; returns the new ones."""
        new = [it for it in snapshots if it.exists and it.path not in self.documents]
        self.documents |= {it.path: it for it in new}
        return new


def find(asked: str) -> list[Snapshot]:
    """All documents that this id leads to."""
    found = Found()
    new = found.add([*firestore.read_all(_names(asked)), *_mentioning(asked)])
    for _ in range(3):
        new = [it for each in new[:MOST] for it in found.add(_led_to(each))]
    return list(found.documents.values())


def _names(asked: str) -> list[str]:
    """The documents whose names would be made of the id."""
    document = firestore.document_id(asked)
    paths = [f"{collection}/{document}" for collection in NAMED]
    paths += [f"idempotency/{record_id(scope, asked)}" for scope in SCOPES]
    kinds = [kind.name for kind in tables.listed(ReminderKind)]
    paths += [f"reminders/{firestore.document_id(f'{kind}:{asked}')}" for kind in kinds]
    return paths


def _mentioning(asked: str) -> Iterator[Snapshot]:
    for collection, name, operator in MENTIONS:
        yield from _asked(collection, (name, operator, asked))


def _asked(collection: str, *filters: Filter) -> Iterator[Snapshot]:
    return firestore.query(collection, *filters, limit=MOST)


def _led_to(found: Snapshot) -> Iterator[Snapshot]:
    """What belongs to a document: what it caused, and what it is caused by."""
    match found.path.split("/")[-2]:
        case "idempotency":
            yield from _caused_by(str(found.data.get("key")))
            yield from firestore.read_all(list(_letters(found)))
        case "reminders":
            yield from _rung(found.data)
        case "messages" | "dead_letters":
            yield from _cause(found.data)


def _caused_by(key: str) -> Iterator[Snapshot]:
    for collection in ("messages", "reminders"):
        yield from _asked(collection, ("cause", "==", key))
    yield from _asked("dead_letters", ("key", "==", key))


def _letters(found: Snapshot) -> Iterator[str]:
    yield f"dead_letters/{found.path.split('/')[-1]}"


def _rung(data: Mapping[str, Any]) -> Iterator[Snapshot]:
    key = f"{data.get('reminder_id')}:{data.get('generation')}"
    yield from firestore.read_all([f"idempotency/{record_id('reminder', key)}"])
    yield from _cause(data)


def _cause(data: Mapping[str, Any]) -> Iterator[Snapshot]:
    causes = {str(it) for it in (data.get("cause"), data.get("key")) if it}
    paths = [f"idempotency/{record_id(scope, it)}" for scope in SCOPES for it in causes]
    yield from firestore.read_all(paths) if paths else ()
