"""One tick, one task per user; one message per user and week, whatever fires."""

import uuid
from datetime import timedelta

import pytest

from tests.functions.shop_cloud import Shop

TICK = "2027-03-01T08:00:00Z"
"""A Monday."""


def digest(shop: Shop, user: str) -> list[str]:
    """The texts of a user's digests."""
    found = shop.message_documents(user)
    return [m["text"] for m in found if m["template"] == "weekly_digest"]


class TestDigest:
    def test_who_opted_in_gets_one_however_often_a_tick_fires(self, shop: Shop) -> None:
        users = [shop.user(digest_opt_in=True) for _ in range(3)]
        other = shop.user(digest_opt_in=False)
        shop.cloud.tick("weekly-digest", at=TICK)
        shop.cloud.idle()
        shop.cloud.tick("weekly-digest", at=TICK)
        shop.cloud.idle()
        shop.cloud.tick("weekly-digest", at="2027-03-02T09:00:00Z")
        shop.cloud.idle()
        assert [len(digest(shop, user)) for user in users] == [1, 1, 1]
        assert digest(shop, other) == []

    def test_the_next_week_brings_the_next_digest(self, shop: Shop) -> None:
        user = shop.user(digest_opt_in=True)
        for tick in ("2027-04-05T08:00:00Z", "2027-04-12T08:00:00Z"):
            shop.cloud.tick("weekly-digest", at=tick)
            shop.cloud.idle()
        assert len(digest(shop, user)) == 2

    def test_it_tells_the_week_as_it_is_when_it_runs(self, shop: Shop) -> None:
        user = shop.user(digest_opt_in=True)
        for total in (10, 5.5):
            order = uuid.uuid4().hex
            shop.publish(shop.event("order.placed", user, order_id=order, total=total))
        shop.cloud.tick("weekly-digest", at="2027-05-03T08:00:00Z")
        shop.cloud.idle()
        (text,) = digest(shop, user)
        assert "\nOrders: 2\nSpent:  15.50\n" in text

    def test_orders_of_earlier_weeks_do_not_count(self, shop: Shop) -> None:
        user = shop.user(digest_opt_in=True)
        shop.publish(shop.event("order.placed", user, order_id="old", total=77))
        shop.cloud.advance(timedelta(days=8))
        shop.cloud.tick("weekly-digest", at="2027-06-07T08:00:00Z")
        shop.cloud.idle()
        *_, text = digest(shop, user)
        assert "\nIt was a quiet week: you placed no orders." in text

    def test_who_opts_out_after_the_tick_gets_none(self, shop: Shop) -> None:
        user = shop.user(digest_opt_in=True)
        shop.db.document(f"users/{user}").update({"digest_opt_in": False})
        body = {"campaign": "weekly_digest", "period": "2027-W30", "user_id": user}
        assert shop.call("reminder", body)[:2] == (200, {"status": "skipped"})

    @pytest.mark.slow
    def test_more_users_than_a_page_each_get_one(self, shop: Shop) -> None:
        users = [f"many-{uuid.uuid4().hex[:12]}" for _ in range(230)]
        writer = shop.db.bulk_writer()
        for user in users:
            fields = {"user_id": user, "email": f"{user}@example.com", "digest_opt_in": True}
            writer.create(shop.db.document(f"users/{user}"), fields)
        writer.close()
        tick = {"X_CloudScheduler_ScheduleTime": "2027-09-06T08:00:00Z"}
        assert shop.call("fanout", {"campaign": "weekly_digest"}, **tick)[0] == 200
        shop.cloud.idle()
        sent = [m for m in shop.provider.mails.values() if m["user_id"] in users]
        assert len(sent) == 230
        for user in users:
            shop.db.document(f"users/{user}").delete()


class TestAnswers:
    def test_enqueued_then_duplicate(self, shop: Shop) -> None:
        tick = {"X_CloudScheduler_ScheduleTime": "2027-10-04T08:00:00Z"}
        first = shop.call("fanout", {"campaign": "weekly_digest"}, **tick)
        assert first[:2] == (200, {"status": "enqueued"})
        again = shop.call("fanout", {"campaign": "weekly_digest"}, **tick)
        assert again[:2] == (200, {"status": "duplicate"})
        run = shop.document("fanouts/weekly_digest:2027-10-04T08:00:00Z")
        assert run is not None
        assert run["period"] == "2027-W40"

    @pytest.mark.parametrize(
        "wrong", [{"after": 5}, {"after": ""}, {"after": "a/b"}, {"run": {}}, {"period": 5}]
    )
    def test_a_slice_that_is_no_continuation_is_dead_lettered(
        self, shop: Shop, wrong: dict[str, object]
    ) -> None:
        answer = shop.call("fanout", {"campaign": "weekly_digest", **wrong})
        assert (answer[0], answer[1]["status"]) == (200, "dead_lettered")
        assert answer[1]["error"].startswith(f"{next(iter(wrong))} is ")

    def test_an_unknown_campaign_is_dead_lettered(self, shop: Shop) -> None:
        answer = shop.call("fanout", {"campaign": uuid.uuid4().hex})
        assert (answer[0], answer[1]["status"]) == (200, "dead_lettered")
