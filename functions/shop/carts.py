"""Carts: abandoned until purchased, and purchased for good, in whatever order that is learned."""

from collections.abc import Sequence
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Snapshot, Write
from common.idempotency import Outcome, Work
from common.process import settings
from common.scheduling import reminders
from common.triggers.events import Event

REMINDER = "cart_abandonment"


def read(cart_id: str) -> Snapshot:
    """The cart's document."""
    return firestore.read(f"carts/{firestore.document_id(cart_id)}")


def purchase(event: Event, work: Work) -> Sequence[Write]:
    """The cart of an order is purchased, and its pending reminder cancelled."""
    cart_id = event.payload.get("cart_id")
    if not cart_id:
        return []
    fields = {
        "cart_id": cart_id,
        "user_id": event.user_id,
        "state": "purchased",
        "purchased_at": event.occurred_at or work.now,
    }
    return [read(cart_id).write(fields), *reminders.cancel(REMINDER, cart_id)]


def abandon(event: Event, work: Work) -> Outcome:
    """The cart is abandoned unless purchased; the latest abandonment sets the reminder."""
    cart_id = event.payload["cart_id"]
    cart = read(cart_id)
    abandoned_at = event.occurred_at or work.now
    if "abandoned_at" in cart.data and cart.data["abandoned_at"] > abandoned_at:
        return Outcome(result="skipped")
    fields: dict[str, Any] = {"cart_id": cart_id, "abandoned_at": abandoned_at}
    if cart.data.get("state") == "purchased":
        return Outcome(result="skipped", writes=[cart.write(fields)])
    fields |= {"state": "abandoned", "user_id": event.user_id, "total": event.payload["total"]}
    reminder = reminders.schedule(
        work,
        REMINDER,
        cart_id,
        user_id=event.user_id,
        payload=event.payload,
        at=work.now + settings.current().cart_reminder_delay,
    )
    return Outcome(result="scheduled", writes=[cart.write(fields), reminder])
