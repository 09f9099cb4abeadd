"""What there is after a storm, against what must be there: lost, doubled, dead, stuck."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.cloud.firestore_v1.base_query import FieldFilter

from tests.functions.customers import Messages
from tests.functions.shop_cloud import Shop

MOST_ATTEMPTS = 30
"""At one message, whatever goes wrong; after a hundred Pub/Sub puts it into the slow lane."""
UNENDED = ("claimed", "waiting")
"""Work in these states is not done."""
OPEN = ("pending", "sending")
"""Reminders in these states are not settled."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is not as it must be, a line each."""

    lost: list[str]
    doubled: list[str]
    dead: list[str]
    stuck: list[str]

    @property
    def holds(self) -> bool:
        """Whether every effect happened once, and nothing was given up or waits for ever."""
        return not any(vars(self).values())


def verdict(shop: Shop, expected: Messages, placed: Counter[str]) -> Verdict:
    """Compare what there is with what must be there, when nothing is due any more."""
    lost, doubled = [], []
    for what, found, wanted in _effects(shop, expected, placed):
        lost += [f"{what}: {it}" for it in (wanted - found).elements()]
        doubled += [f"{what}: {it}" for it in (found - wanted).elements()]
    doubled += [f"two contents under one key: {key}" for key in shop.provider.changed]
    return Verdict(lost=lost, doubled=doubled, dead=_dead(shop), stuck=waiting(shop))


def _effects(
    shop: Shop, expected: Messages, placed: Counter[str]
) -> Iterator[tuple[str, Counter[Any], Counter[Any]]]:
    recorded = Counter(
        (it.get("template"), it.get("user_id"))
        for it in shop.db.collection("messages").select(["template", "user_id"]).stream()
    )
    yield "messages recorded", recorded, expected
    yield "messages sent", shop.provider.kept(), expected
    told = Counter(str(order["order_id"]) for order in shop.provider.orders.values())
    yield "orders told to the inventory", told, placed
    found = Counter(order.id for order in shop.db.collection_group("orders").select([]).stream())
    yield "orders recorded", found, placed


def _dead(shop: Shop) -> list[str]:
    letters = [it.to_dict() for it in shop.db.collection("dead_letters").stream()]
    return [f"{it['reason']}: {it['key']}: {it['error']}" for it in letters]


def waiting(shop: Shop) -> list[str]:
    """What has not ended yet: work, reminders, what waits in queues and subscriptions."""
    status = shop.cloud.status()
    backlogs = {
        **{it["name"]: it["backlog"] for it in status["subscriptions"]},
        **{it["name"]: it["tasks"] for it in status["queues"]},
    }
    return [
        *(f"{it['state']} work: {it['key']}" for it in _in(shop, "idempotency", UNENDED)),
        *(f"{it['state']} reminder: {it['reminder_id']}" for it in _in(shop, "reminders", OPEN)),
        *(f"{count} in {name}" for name, count in backlogs.items() if count),
    ]


def _in(shop: Shop, collection: str, states: Sequence[str]) -> list[dict[str, Any]]:
    found = shop.db.collection(collection).where(filter=FieldFilter("state", "in", states))
    return [it.to_dict() for it in found.stream()]
