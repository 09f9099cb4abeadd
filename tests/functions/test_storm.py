"""Everything goes wrong at once, reproducibly, and every effect still happens once."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from local.testing import local_cloud
from tests.functions.shop_cloud import Shop, deployed

USERS = [f"storm-{number}" for number in range(8)]
CREATE_TASK = {"service": "CloudTasks", "method": "CreateTask", "lost_replies": 0.5}
STORM = {
    "duplicates": 0.3,
    "reorder": 0.2,
    "crashes": 0.05,
    "errors": 0.03,
    "lost_replies": 0.03,
    "lost_acks": 0.1,
    "rules": [CREATE_TASK],
}


@pytest.fixture(
    scope="module", params=[pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2)]
)
def survived(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """A shop after a storm of this seed, one more when its reminders were due, and a calm after
    each: a reminder of a cart whose order is not known by then is rightly sent."""
    with (
        local_cloud(tmp_path_factory.mktemp("storm")) as cloud,
        deployed(cloud, MAX_ATTEMPTS="100", CART_REMINDER_DELAY=f"{9 * 3600}") as shop,
    ):
        cloud.faults(seed=request.param, **STORM)
        _shop_in_the_storm(shop)
        cloud.faults()
        cloud.advance(timedelta(hours=7))
        cloud.faults(seed=request.param, **STORM)
        cloud.advance(timedelta(hours=3))
        cloud.faults()
        tick = cloud.now().isoformat()
        shop.call("fanout", {"campaign": "reminder_sweep"}, X_CloudScheduler_ScheduleTime=tick)
        cloud.advance(timedelta(hours=9))
        yield shop


def _shop_in_the_storm(shop: Shop) -> None:
    for number, user in enumerate(USERS):
        order, cart = f"o-{number}", f"c-{number}"
        shop.cloud.publish(
            shop.event(
                "order.placed", user, order_id=order, total=number, cart_id=f"{cart}-bought"
            ),
            shop.event("user.signed_up", user, email=f"{user}@example.com"),
            shop.event("cart.abandoned", user, cart_id=f"{cart}-bought", total=1),
            shop.event("cart.abandoned", user, cart_id=cart, total=1),
            shop.event("payment.failed", user, order_id=order, total=1),
        )
    shop.cloud.advance(timedelta(minutes=90))


EXPECTED = Counter(
    (template, user)
    for user in USERS
    for template in ("welcome", "order_confirmation", "payment_retry", "cart_abandonment_reminder")
)


def test_every_message_is_recorded_once(survived: Shop) -> None:
    found = [m.to_dict() for m in survived.db.collection("messages").stream()]
    assert Counter((m["template"], m["user_id"]) for m in found) == EXPECTED


def test_a_provider_that_honours_keys_sends_every_message_once(survived: Shop) -> None:
    assert survived.provider.kept() == EXPECTED


def test_the_inventory_is_told_of_every_order_once(survived: Shop) -> None:
    told = Counter(order["order_id"] for order in survived.provider.orders.values())
    assert told == Counter(f"o-{number}" for number in range(len(USERS)))


def test_every_order_is_recorded(survived: Shop) -> None:
    placed = {order.id for order in survived.db.collection_group("orders").stream()}
    assert placed == {f"o-{number}" for number in range(len(USERS))}


def test_nothing_is_dead_lettered(survived: Shop) -> None:
    assert [letter.to_dict() for letter in survived.db.collection("dead_letters").stream()] == []


def test_it_was_a_storm(survived: Shop) -> None:
    """Otherwise the other tests say nothing."""
    injected = survived.cloud.status()["faults"]["injected"]
    assert all(injected[name] > 0 for name in ("duplicates", "crashes", "errors", "lost_replies"))
