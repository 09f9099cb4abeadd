"""Carts: abandoned until purchased, and purchased for good, in whatever order that is learned."""

from datetime import datetime
from typing import Any

from common.cloud import firestore
from common.cloud.documents import DocumentKind
from common.cloud.firestore import Snapshot, Write
from common.idempotency import Work
from common.triggers.events import Event

CART = DocumentKind(name="cart", collection="carts")


def read(cart_id: str) -> Snapshot:
    """The document of a cart."""
    return firestore.read(CART.path(cart_id))


def is_abandoned(cart_id: str) -> bool:
    """Whether the cart is there and was not bought since it was abandoned."""
    return bool(read(cart_id).data.get("state") == "abandoned")


def purchase(event: Event, work: Work) -> Write:
    """The cart of an order is purchased."""
    cart_id = event.payload["cart_id"]
    fields = {
        "cart_id": cart_id,
        "user_id": event.user_id,
        "state": "purchased",
        "purchased_at": event.occurred_at or work.now,
    }
    return read(cart_id).write(fields)


def was_abandoned_later(cart: Snapshot, event: Event, work: Work) -> bool:
    """Whether a later abandonment than this one is known already."""
    known = cart.data.get("abandoned_at")
    return known is not None and known > _abandoned_at(event, work)


def is_purchased(cart: Snapshot) -> bool:
    """Whether the cart has been bought, which is final."""
    return bool(cart.data.get("state") == "purchased")


def abandon(cart: Snapshot, event: Event, work: Work) -> Write:
    """The cart is abandoned, unless it has been bought; when that was is recorded in any case."""
    abandoned_at = _abandoned_at(event, work)
    fields: dict[str, Any] = {"cart_id": event.payload["cart_id"], "abandoned_at": abandoned_at}
    if not is_purchased(cart):
        total = event.payload["total"]
        fields |= {"state": "abandoned", "user_id": event.user_id, "total": total}
    return cart.write(fields)


def _abandoned_at(event: Event, work: Work) -> datetime:
    return event.occurred_at or work.now
