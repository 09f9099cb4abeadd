"""Orders: recorded under their user, told to the inventory, summed up by the week."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from common.cloud import firestore, tasks
from common.cloud.firestore import Merge
from common.cloud.tasks import Task
from common.idempotency import Work
from common.scheduling.campaigns import Window
from common.triggers.events import Event
from functions.shop import settings, users
from functions.shop.money import Money, total

QUEUE = "inventory"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a user ordered in some time."""

    orders: int
    spending: tuple[Money, ...]
    """One sum for each currency."""


def place(event: Event, work: Work) -> Merge:
    """The order's document; the rest of the payload is kept in it."""
    order_id = firestore.document_id(event.payload["order_id"])
    fields = {
        **firestore.storable_fields(event.payload),
        "user_id": event.user_id,
        "placed_at": event.occurred_at or work.now,
        "recorded_at": work.now,
    }
    return Merge(path=f"{users.path(event.user_id)}/orders/{order_id}", fields=fields)


def notify_inventory(event: Event, key: str) -> str:
    """A task that tells the inventory service, if there is one.

    Its `Idempotency-Key` lasts; the name of the task guards for an hour only.
    """
    url = settings.current().inventory_url
    if not url:
        return "skipped"
    task = Task(
        queue=QUEUE,
        url=url,
        body={**event.payload, "event_id": event.event_id, "user_id": event.user_id},
        identity=(QUEUE, key),
        audience=urlsplit(url)._replace(query="", fragment="").geturl(),
        headers={"Idempotency-Key": key},
    )
    return tasks.enqueue(task)


def within(user_id: str, window: Window) -> Summary:
    """What the user ordered in that time.

    By when an order became known to us, so that a late one counts in one week, and in only one.
    """
    orders = firestore.query(f"{users.path(user_id)}/orders", ("recorded_at", ">=", window.since))
    found = [order.data for order in orders if order.data["recorded_at"] in window]
    spent = total((it.get("total"), it.get("currency")) for it in found)
    return Summary(orders=len(found), spending=spent)
