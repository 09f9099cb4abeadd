"""The campaigns of the shop: who gets them, and what they tell."""

from typing import Any

import pytest

from common.idempotency import Call
from common.scheduling import campaigns
from functions.shop.campaigns import CAMPAIGNS, WEEKLY_DIGEST
from tests.functions.shop_in_memory import ShopInMemory


def send(user_id: str = "u-1", period: str = "2030-W01") -> tuple[str, Any]:
    """The answer to the task of one user and week."""
    body = {"campaign": "weekly_digest", "period": period, "user_id": user_id}
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
    assert send() == ("done", "sent")
    message = shop_in_memory.provider.messages[-1]
    assert message.template == "weekly_digest"
    assert "Orders: 2\nSpent:  15.50\n" in message.text


def test_orders_of_earlier_weeks_do_not_count(shop_in_memory: ShopInMemory) -> None:
    shop_in_memory.user(digest_opt_in=True)
    shop_in_memory.deliver("order.placed", order_id="o-1", total=77)
    shop_in_memory.documents.advance(8 * 86_400)
    send()
    assert "quiet week" in shop_in_memory.provider.messages[-1].text


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
    assert [send()[0], send()[0], send(period="2030-W02")[0]] == ["done", "duplicate", "done"]
    assert len(shop_in_memory.provider.messages) == 2
