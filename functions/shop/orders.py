"""Orders: recorded under their user, summed up by the week."""

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from common.cloud import firestore
from common.cloud.documents import DocumentKind
from common.cloud.firestore import Merge
from common.errors import PermanentError
from common.idempotency import Work
from common.triggers.events import Event
from functions.shop.money import Money, total

if TYPE_CHECKING:  # a function that starts no campaign imports none
    from common.scheduling.campaigns import Window

ORDER = DocumentKind(name="order", collection="users/{user_id}/orders")
OURS = ("user_id", "placed_at", "recorded_at")
"""The fields that no payload sets."""


class Summary(Struct, frozen=True, kw_only=True):
    """What a user ordered in some time."""

    orders: int
    spending: tuple[Money, ...]
    """One sum for each currency."""


def place(event: Event, work: Work) -> Merge:
    """The order's document; the rest of the payload is kept in it."""
    fields = {
        **firestore.storable_fields(event.payload),
        "user_id": event.user_id,
        "placed_at": event.occurred_at or work.now,
        "recorded_at": work.now,
    }
    return Merge(path=_path(event.user_id, event.payload["order_id"]), fields=fields)


def payload_of(user_id: str, order_id: str) -> dict[str, Any]:
    """The payload of a recorded order, as Firestore keeps it. Raises PermanentError for none."""
    found = firestore.read(_path(user_id, order_id))
    if not found.exists:
        raise PermanentError("the order is not there any more")
    return {name: value for name, value in found.data.items() if name not in OURS}


def within(user_id: str, window: "Window") -> Summary:
    """What the user ordered in that time.

    By when an order became known to us, so that a late one counts in one week, and in only one.
    """
    recent = ("recorded_at", ">=", window.since)
    orders = firestore.query(ORDER.collection_of(user_id), recent)
    found = [order.data for order in orders if order.data["recorded_at"] in window]
    spent = total((it.get("total"), it.get("currency")) for it in found)
    return Summary(orders=len(found), spending=spent)


def _path(user_id: str, order_id: str) -> str:
    return ORDER.path(order_id, user_id=user_id)
