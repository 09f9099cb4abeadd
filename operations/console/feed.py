"""What happens now: pieces of work, messages, reminders and dead letters, as they are written.

Each collection is asked for what has changed since the last look, by the one field that says when;
no collection is read whole.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Snapshot

MOST = 300
"""Rows of one look, for each collection."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A collection that says what happened."""

    collection: str
    time: str
    """The field with the time of the last change."""
    row: Callable[[Snapshot], dict[str, Any]]


def _work(found: Snapshot) -> dict[str, Any]:
    data = found.data
    return {
        "what": data.get("scope"),
        "id": data.get("key"),
        "state": data.get("state"),
        "detail": data.get("error") or data.get("result") or "",
        "attempts": data.get("attempts"),
    }


def _message(found: Snapshot) -> dict[str, Any]:
    data = found.data
    return {
        "what": "message",
        "id": _id(found),
        "state": data.get("state"),
        "detail": f"{data.get('template')} to {data.get('to')}",
    }


def _reminder(found: Snapshot) -> dict[str, Any]:
    data = found.data
    return {
        "what": "reminder",
        "id": data.get("reminder_id") or firestore.original_name(_id(found)),
        "state": data.get("state"),
        "detail": "",
        "due_at": data.get("due_at"),
    }


def _letter(found: Snapshot) -> dict[str, Any]:
    data = found.data
    return {
        "what": "dead letter",
        "id": _id(found),
        "state": data.get("state"),
        "detail": f"{data.get('reason')}: {data.get('error')}",
    }


SOURCES = (
    Source(collection="idempotency", time="first_seen", row=_work),
    Source(collection="messages", time="sent_at", row=_message),
    Source(collection="reminders", time="updated_at", row=_reminder),
    Source(collection="dead_letters", time="last_seen", row=_letter),
)


def since(cursors: Mapping[str, datetime], otherwise: datetime) -> dict[str, Any]:
    """What happened after the cursors, what came first first; MOST of each collection at most.

    A cursor is the time of the last row of a collection that was seen; `otherwise` stands for one
    that there is not. Returns `rows` and the `cursors` to go on with.
    """
    rows, reached = [], dict(cursors)
    for source in SOURCES:
        found = list(_rows(source, cursors.get(source.collection, otherwise)))
        reached[source.collection] = (
            found[-1]["at"] if found else cursors.get(source.collection, otherwise)
        )
        rows += found
    return {"rows": sorted(rows, key=lambda row: row["at"]), "cursors": reached}


def again(paths: list[str]) -> list[dict[str, Any]]:
    """How these documents stand now; those that are gone are left out."""
    by_name = {source.collection: source for source in SOURCES}
    known = [path for path in paths if path.partition("/")[0] in by_name and path.count("/") == 1]
    found = firestore.read_all(known) if known else []
    return [_row(by_name[it.path.partition("/")[0]], it) for it in found if it.exists]


def _rows(source: Source, time: datetime) -> Iterator[dict[str, Any]]:
    found = firestore.query(source.collection, (source.time, ">", time), limit=MOST)
    return (_row(source, each) for each in found)


def _row(source: Source, found: Snapshot) -> dict[str, Any]:
    about: Mapping[str, Any] = {
        name: found.data.get(name) for name in ("event_id", "event_type", "user_id")
    }
    at = found.data.get(source.time) or found.update_time
    return {"at": at, "path": found.path, **about, **source.row(found)}


def _id(found: Snapshot) -> str:
    return found.path.rpartition("/")[2]
