"""Which documents an id leads to, whatever kind of id it is, and which belong to those.

Documents that may have the id are read by name, all at once. Those that mention the id are asked
for by one field each, which Firestore keeps an index of anyway. What is found leads on: a piece of
work to its messages and reminders, a reminder to its ringing, a message to its cause. No collection
is read whole.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Snapshot
from common.idempotency.record import record_id
from common.process import tables
from common.scheduling.reminders import ReminderKind
from operations import declared

MOST = 200
"""Documents that one question finds, and that one round goes on from."""
ROUNDS = 3
"""How far one thing leads to another: from an event to its reminder, its ringing, its message."""
TOGETHER = 30
"""Values of one question, https://firebase.google.com/docs/firestore/query-data/queries."""
SCOPES = ("consumer", "reminder", "fanout")
NAMED = ("messages", "dead_letters", "reminders", "fanouts")
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
)
"""Collection, field and operator of what may mention an id."""

Question = tuple[str, str, str]
"""A collection, a field of its documents, and the value that it must have."""


@dataclass(kw_only=True)
class Found:
    """The documents that an id leads to, by path, in the order in which they were found."""

    documents: dict[str, Snapshot] = field(default_factory=dict)
    asked: set[str | Question] = field(default_factory=set)
    """The paths and questions so far; none is asked twice."""

    def add(self, snapshots: Iterable[Snapshot]) -> list[Snapshot]:
        """Remember those that are there; returns the new ones."""
        new = [it for it in snapshots if it.exists and it.path not in self.documents]
        self.documents |= {it.path: it for it in new}
        return new

    def follow(self, leads: Iterable[str | Question]) -> list[Snapshot]:
        """What paths and questions lead to: the new ones, read a few hundred at once."""
        fresh = [it for it in dict.fromkeys(leads) if it not in self.asked]
        self.asked.update(fresh)
        paths = [it for it in fresh if isinstance(it, str)]
        read = firestore.read_all(paths) if paths else []
        questions = [it for it in fresh if not isinstance(it, str)]
        return self.add([*read, *_answers(questions)])


def find(asked: str) -> list[Snapshot]:
    """All documents that this id leads to."""
    found = Found()
    new = [*found.follow(_names(asked)), *found.add(_mentioning(asked))]
    for _ in range(ROUNDS):
        new = found.follow(lead for each in new[:MOST] for lead in _leads(each))
    return list(found.documents.values())


def _names(asked: str) -> Iterator[str]:
    """The documents whose names would be made of the id."""
    document = firestore.document_id(asked)
    yield from (f"{collection}/{document}" for collection in NAMED)
    yield from (f"idempotency/{record_id(scope, asked)}" for scope in SCOPES)
    for reminder in tables.listed(ReminderKind):
        yield f"reminders/{firestore.document_id(f'{reminder.name}:{asked}')}"
    for kind in declared.documents():
        if not kind.is_under_a_user:
            yield kind.path(asked)


def _mentioning(asked: str) -> Iterator[Snapshot]:
    theirs = [
        (kind.collection, kind.user_field, "==")
        for kind in declared.documents()
        if not kind.is_under_a_user
    ]
    for collection, name, operator in (*MENTIONS, *theirs):
        yield from firestore.query(collection, (name, operator, asked), limit=MOST)


def _answers(questions: Sequence[Question]) -> Iterator[Snapshot]:
    """What the questions find; those of one field are asked together."""
    values: dict[tuple[str, str], list[str]] = {}
    for collection, name, value in questions:
        values.setdefault((collection, name), []).append(value)
    for (collection, name), wanted in values.items():
        for start in range(0, len(wanted), TOGETHER):
            some = (name, "in", wanted[start : start + TOGETHER])
            yield from firestore.query(collection, some, limit=MOST)


def _leads(found: Snapshot) -> Iterator[str | Question]:
    """What belongs to a document: what it caused, and what it is caused by."""
    match found.path.split("/")[-2]:
        case "idempotency":
            yield from _of_work(found)
        case "reminders":
            key = f"{found.data.get('reminder_id')}:{found.data.get('generation')}"
            yield f"idempotency/{record_id('reminder', key)}"
            yield from _causes(found.data)
        case "messages" | "dead_letters":
            yield from _causes(found.data)


def _of_work(found: Snapshot) -> Iterator[str | Question]:
    key = str(found.data.get("key"))
    yield f"dead_letters/{found.path.split('/')[-1]}"
    yield from (("messages", "cause", key), ("reminders", "cause", key))
    yield "dead_letters", "key", key
    user_id, about = found.data.get("user_id"), found.data.get("about")
    ids = [it for it in about if isinstance(it, str) and it] if isinstance(about, list) else []
    for kind in declared.documents():
        if user_id or not kind.is_under_a_user:
            yield from (kind.path(each, user_id=str(user_id)) for each in ids)


def _causes(data: Mapping[str, Any]) -> Iterator[str]:
    causes = dict.fromkeys(str(it) for it in (data.get("cause"), data.get("key")) if it)
    yield from (f"idempotency/{record_id(scope, it)}" for scope in SCOPES for it in causes)
