"""What waits: work that is handed over and goes on by itself, with why, since when and until when.

It is no dead letter, and nobody has to do anything; who looks for something that has not happened
finds it in the same list.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Snapshot
from operations.flow import queues
from operations.letters.dead_letters import Filter
from operations.place.environment import Place

COLLECTION = "idempotency"
PAGE = 300
STATE = "waiting"


def listed(wanted: Filter, limit: int | None) -> list[dict[str, Any]]:
    """What waits, a row for each effect that is owed, what waits longest last."""
    rows = [row for row in find(wanted) if _matches(row, wanted)]
    rows.sort(key=lambda row: str(row["since"]), reverse=True)
    return rows[:limit]


def find(wanted: Filter) -> Iterator[dict[str, Any]]:
    """What waits of this function and this user; the other filters are `listed`'s."""
    pairs = (("scope", wanted.source), ("user_id", wanted.user_id))
    conditions = [("state", "==", STATE), *((it, "==", of) for it, of in pairs if of is not None)]
    for page in firestore.pages(COLLECTION, *conditions, size=PAGE):
        inputs = firestore.read_all([_handed_over(found) for found in page])
        for found, kept in zip(page, inputs, strict=True):
            yield from _rows(found, kept)


def slow_lane(place: Place) -> list[dict[str, Any]]:
    """The subscriptions of the slow lane with how many messages wait in each, None: not counted.

    Raises OperationsError.
    """
    found = [row for row in queues.subscriptions(place) if queues.is_slow(row)]
    return [{"id": row["id"], "state": "slow_lane", "backlog": row.get("backlog")} for row in found]


def _rows(found: Snapshot, kept: Snapshot) -> Iterator[dict[str, Any]]:
    data = found.data
    owed = data.get("owed")
    each = [it for it in owed.values() if isinstance(it, dict)] if isinstance(owed, dict) else []
    for effect in each or [{"error": data.get("error"), "since": data.get("first_seen")}]:
        yield {
            "id": data.get("key"),
            "state": STATE,
            "source": data.get("scope"),
            "reason": effect.get("reason"),
            "event_type": _origin(kept).get("event_type"),
            "user_id": data.get("user_id"),
            "attempts": effect.get("tries", data.get("attempts")),
            "since": effect.get("since"),
            "next": effect.get("until") or data.get("resume_at"),
            "effect": effect.get("name"),
            "error": effect.get("error"),
        }


def _handed_over(found: Snapshot) -> str:
    """Where the input is of work that is handed over."""
    return f"reminders/{firestore.document_id(f'resume:{_name(found)}')}"


def _origin(kept: Snapshot) -> Mapping[str, Any]:
    payload = kept.data.get("payload")
    try:
        origin = json.loads(payload["origin"]) if isinstance(payload, dict) else {}
    except (KeyError, TypeError, ValueError):
        return {}
    return origin if isinstance(origin, dict) else {}


def _matches(row: Mapping[str, Any], wanted: Filter) -> bool:
    pairs = ((wanted.reason, row["reason"]), (wanted.event_type, row["event_type"]))
    return all(of in (None, it) for of, it in pairs) and _is_recent(row["since"], wanted.since)


def _is_recent(since: Any, wanted: datetime | timedelta | None) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, timedelta):
        now = firestore.last_read()
        assert now is not None
        wanted = now - wanted
    return isinstance(since, datetime) and since >= wanted


def _name(found: Snapshot) -> str:
    return found.path.rpartition("/")[2]
