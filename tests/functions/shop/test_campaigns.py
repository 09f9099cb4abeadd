"""The campaigns of the shop: who gets them, and what they tell."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.memory import Mishap
from common.errors import BundleError
from common.idempotency import Call, attempt
from common.scheduling import campaigns
from common.scheduling.campaigns.runs import Run
from functions.shop.campaigns import CAMPAIGNS, WEEKLY_DIGEST
from tests.functions.shop_in_memory import ShopInMemory

SUNDAY = datetime(2030, 1, 6, 17, tzinfo=UTC)
"""The tick of the first Monday of the year, an hour before it is 8:00 in the first zone."""
WEEK = timedelta(days=7)


def send(user_id: str = "u-1", tick: datetime = SUNDAY) -> tuple[str, Any]:
    """The answer to the task of one user and week."""
    run = Run(campaign=WEEKLY_DIGEST, name=tick.isoformat())
    period = run.edition.period
    body = {"campaign": "weekly_digest", "period": period, "user_id": user_id, "run": run.name}
    answer = campaigns.send_to_user(Call(body=body, raw=b"{}"), CAMPAIGNS)
    return answer.status, answer.result


def test_the_weekly_digest_is_for_users_who_have_opted_in() -> None:
    audience = WEEKLY_DIGEST.audience
    assert (audience.collection, audience.where) == ("users", {"digest_opt_in": True})
    assert (WEEKLY_DIGEST.name, WEEKLY_DIGEST.queue) == ("weekly_digest", "digests")


def test_it_tells_the_orders_and_the_spending_of_the_week(shop_in_memory: ShopInMemory) -> None:
    shop_in_memory.user(digest_opt_in=True)
    for order, total in (("o-1", 10), ("o-2", 5.5)):
        shop_in_memory.deliver("order.placed", order_id=order, total=total)
    shop_in_memory.documents.advance(5 * 86_400)
    assert send() == ("done", "sent")
    message = shop_in_memory.provider.messages[-1]
    assert message.template == "weekly_digest"
    assert "Orders: 2\nSpent:  15.50\n" in message.text


@pytest.mark.parametrize(
    ("zone", "ordered", "digests"),
    [
        ("Etc/UTC", "2029-12-31T00:00:00Z", ["1", "quiet"]),
        ("Etc/UTC", "2030-01-06T23:59:59Z", ["1", "quiet"]),
        ("Etc/UTC", "2030-01-07T00:00:00Z", ["quiet", "1"]),
        ("Asia/Tokyo", "2030-01-06T14:59:59Z", ["1", "quiet"]),
        ("Asia/Tokyo", "2030-01-06T15:00:00Z", ["quiet", "1"]),
        ("Mars/Base", "2030-01-07T00:00:00Z", ["quiet", "1"]),
    ],
)
def test_an_order_is_told_in_one_digest_that_of_its_week_in_the_user_s_zone(
    shop_in_memory: ShopInMemory, zone: str, ordered: str, digests: list[str]
) -> None:
    """One is three hours late, because the queue was paused, the next one is on time."""
    shop_in_memory.user(digest_opt_in=True, timezone=zone)
    at = datetime.fromisoformat(ordered)
    fields = {"order_id": "o", "total": 7, "recorded_at": at}
    firestore.commit([firestore.Merge(path="users/u-1/orders/o", fields=fields)])
    shop_in_memory.documents.now = SUNDAY + timedelta(hours=18)
    send()
    shop_in_memory.documents.now = SUNDAY + WEEK + timedelta(hours=15)
    send(tick=SUNDAY + WEEK)
    texts = [message.text for message in shop_in_memory.provider.messages]
    assert [_orders(text) for text in texts] == digests


def _orders(text: str) -> str:
    """How many orders a digest tells."""
    return "quiet" if "quiet week" in text else text.partition("Orders: ")[2][:1]


def test_a_digest_that_is_sent_again_is_the_same(shop_in_memory: ShopInMemory) -> None:
    """The first attempt fails behind the provider; an order comes before the second one."""
    shop_in_memory.user(digest_opt_in=True)
    shop_in_memory.documents.now = SUNDAY + timedelta(hours=15)
    shop_in_memory.environment.setattr(attempt, "SETTLE_PAUSE", 0)
    failing: list[Mishap] = ["error"] * 200
    shop_in_memory.documents.mishaps = ["none", *failing]
    with pytest.raises(BundleError):
        send()
    shop_in_memory.documents.mishaps = []
    shop_in_memory.documents.advance(600)
    shop_in_memory.deliver("order.placed", order_id="late", total=9)
    shop_in_memory.documents.advance(600)
    assert send() == ("done", "sent")
    texts = {m.text for m in shop_in_memory.provider.messages if m.template == "weekly_digest"}
    assert len(texts) == 1


@pytest.mark.parametrize("fields", [{"digest_opt_in": False}, {}])
def test_who_has_opted_out_by_then_is_skipped(
    shop_in_memory: ShopInMemory, fields: dict[str, Any]
) -> None:
    shop_in_memory.user(**fields)
    assert send() == ("done", "skipped")
    assert shop_in_memory.provider.messages == []


def test_who_has_unsubscribed_is_skipped(shop_in_memory: ShopInMemory) -> None:
    shop_in_memory.user(digest_opt_in=True, unsubscribed=True)
    assert send() == ("done", "skipped")
    assert shop_in_memory.provider.messages == []


def test_a_user_gets_one_in_each_week(shop_in_memory: ShopInMemory) -> None:
    shop_in_memory.user(digest_opt_in=True)
    assert [send()[0], send()[0], send(tick=SUNDAY + WEEK)[0]] == ["done", "duplicate", "done"]
    assert len(shop_in_memory.provider.messages) == 2
