"""Runs of campaigns as an operator sees them."""

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from common.cloud import firestore
from common.cloud.firestore import Snapshot
from common.idempotency import counts
from common.scheduling import campaigns
from operations.errors import NotFoundError

COLLECTION = "fanouts"
PAGE = 300
COLUMNS = (
    "id",
    "state",
    "period",
    "started_at",
    "expected",
    "enqueued",
    "duplicate",
    "failed",
    "sent",
    "skipped",
    "shards_done",
    "shards",
    "rate",
    "time_left",
)


def find(campaign: str | None, state: str | None) -> Iterator[Snapshot]:
    """The runs that match; None matches all."""
    pairs = (("campaign", campaign), ("state", state))
    conditions = [(name, "==", value) for name, value in pairs if value is not None]
    for page in firestore.pages(COLLECTION, *conditions, size=PAGE):
        yield from page


def listed(campaign: str | None, state: str | None, limit: int | None) -> list[dict[str, Any]]:
    """The rows of a list, those begun last first."""
    rows = [row(found) for found in find(campaign, state)]
    rows.sort(key=lambda it: str(it.get("started_at")), reverse=True)
    return rows[:limit]


def row(found: Snapshot) -> dict[str, Any]:
    """A run in a list."""
    kept = {name: value for name, value in found.data.items() if name != "expire_at"}
    # Firestore keeps no order of fields.
    return {"id": id_of(found), "state": kept.pop("state", None), **dict(sorted(kept.items()))}


def get(run_id: str) -> Snapshot:
    """One run. Raises NotFoundError."""
    found = firestore.read(f"{COLLECTION}/{firestore.document_id(run_id)}")
    if not found.exists:
        raise NotFoundError(f"there is no run {run_id} of a campaign")
    return found


def whole(run_id: str) -> dict[str, Any]:
    """One run, with its numbers as they are now: also how many messages have been sent, how many a
    second, and how many seconds the rest takes. Raises NotFoundError."""
    found = get(run_id)
    return row(replace(found, data=campaigns.live(found)))


def cancel(run_id: str) -> dict[str, Any]:
    """Stop a run: no message goes out after the answer, which says how many went out before.

    `state` is `cancelled`, `already_cancelled` or `unknown`.
    """
    became = campaigns.cancel(run_id)
    return {"id": run_id, "state": became, **(_settled(run_id) if became != "unknown" else {})}


def _settled(run_id: str) -> dict[str, int]:
    sent, skipped, dead = counts.of_parts(run_id)
    return {"sent": sent, "skipped": skipped, "dead": dead}


def id_of(found: Snapshot) -> str:
    """The id of a run."""
    name = found.path.rpartition("/")[2]
    return firestore.original_name(name) or name
