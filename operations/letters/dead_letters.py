"""Dead letters: what could not be processed, found, shown, sent again or discarded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Snapshot
from common.errors import RefusedError
from operations.errors import NotFoundError, OperationsError

COLLECTION = "dead_letters"
PAGE = 300
"""Letters that one query reads."""
MAX_TRIES = 5
COLUMNS = (
    "id",
    "state",
    "source",
    "reason",
    "event_type",
    "user_id",
    "attempts",
    "last_seen",
    "error",
)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which letters; None matches all."""

    state: str | None = "open"
    reason: str | None = None
    source: str | None = None
    event_type: str | None = None
    user_id: str | None = None
    since: datetime | timedelta | None = None
    """Last seen at or after then, or at most so long ago (by the server's clock)."""

    def equals(self) -> list[tuple[str, str, Any]]:
        """The conditions that Firestore can check without an index of our own."""
        names = ("state", "reason", "source", "event_type", "user_id")
        return [(name, "==", value) for name in names if (value := getattr(self, name)) is not None]

    def is_recent(self, letter: Snapshot) -> bool:
        """Whether the letter was seen since then."""
        if self.since is None:
            return True
        seen = letter.data.get("last_seen")
        start = self.since
        if isinstance(start, timedelta):
            start = letter.read_time - start
        return isinstance(seen, datetime) and seen >= start


def find(wanted: Filter) -> Iterator[Snapshot]:
    """The letters that match, in the order of their ids; page by page, so that none waits."""
    for page in firestore.pages(COLLECTION, *wanted.equals(), size=PAGE):
        yield from filter(wanted.is_recent, page)


def listed(wanted: Filter, limit: int | None) -> list[dict[str, Any]]:
    """The rows of a list, those seen last first."""
    rows = [row(letter) for letter in find(wanted)]
    rows.sort(key=lambda it: str(it["last_seen"]), reverse=True)
    return rows[:limit]


def row(letter: Snapshot) -> dict[str, Any]:
    """A letter in a list: all but its payload."""
    kept = {
        name: value for name, value in letter.data.items() if name not in ("payload", "expire_at")
    }
    first = ("state", "source", "reason", "event_type", "user_id", "attempts", "last_seen", "error")
    return {"id": id_of(letter), **{name: kept.pop(name, None) for name in first}, **kept}


def get(letter_id: str) -> Snapshot:
    """One letter. Raises NotFoundError."""
    found = firestore.read(f"{COLLECTION}/{letter_id}") if "/" not in letter_id else None
    if found is None or not found.exists:
        raise NotFoundError(f"there is no dead letter {letter_id}")
    return found


def discard(letter_id: str, *, reason: str, by: str) -> str:
    """Close an open letter for good; whoever comes second finds it closed.

    Returns `discarded`, or the state in which it was found. Raises NotFoundError.
    """
    for _ in range(MAX_TRIES):
        found = get(letter_id)
        if found.data.get("state") != "open":
            return str(found.data.get("state"))
        closed = {"state": "discarded", "discarded_at": firestore.SERVER_TIMESTAMP}
        note = {"discarded_by": by, "discarded_because": reason}
        try:
            firestore.commit([found.write({**closed, **note})])
        except RefusedError:
            continue
        return "discarded"
    raise OperationsError(f"dead letter {letter_id} keeps changing")


def id_of(letter: Snapshot) -> str:
    """The id of a letter."""
    return letter.path.rpartition("/")[2]


def summary(became: Mapping[str, int]) -> str:
    """`3 discarded, 1 replayed`."""
    return ", ".join(f"{number} {state}" for state, number in became.items() if number) or "none"
