"""Everything goes wrong at once, reproducibly, and every effect still happens once."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from local.testing import local_cloud
from tests.functions import customers, storms
from tests.functions.shop_cloud import Shop, deployed
from tests.functions.storms import Verdict

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
        cloud.advance(timedelta(hours=14))
        yield shop


def _shop_in_the_storm(shop: Shop) -> None:
    for user in USERS:
        events = [shop.event(kind, user, **payload) for kind, payload in customers.happens(user)]
        shop.cloud.publish(*events)
    shop.cloud.advance(timedelta(minutes=90))


def test_every_effect_happens_once_and_nothing_is_given_up(survived: Shop) -> None:
    expected = customers.messages(USERS, also=["onboarding_day_1"])
    found = storms.verdict(survived, expected, customers.orders(USERS))
    assert found == Verdict(lost=[], doubled=[], dead=[], stuck=[])


def test_no_delivery_comes_near_the_hundred_that_pubsub_makes(survived: Shop) -> None:
    assert survived.cloud.status()["attempts"]["pubsub"] <= storms.MOST_ATTEMPTS


def test_it_was_a_storm(survived: Shop) -> None:
    """Otherwise the other tests say nothing."""
    injected = survived.cloud.status()["faults"]["injected"]
    assert all(injected[name] > 0 for name in ("duplicates", "crashes", "errors", "lost_replies"))
