"""One tick, one task per user; one message per user and week, whatever fires."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.functions.shop_cloud import Shop

HOUR = timedelta(hours=1)


def sunday(shop: Shop) -> datetime:
    """The time of the next tick: a Sunday, an hour before it is Monday 8:00 in the first zone."""
    now = shop.cloud.now()
    at = now.replace(hour=17, minute=0, second=0, microsecond=0)
    at += timedelta(days=(6 - at.weekday()) % 7)
    return at if at > now else at + timedelta(days=7)


def ticked(shop: Shop) -> datetime:
    """It is the time of the tick, and it is fired."""
    tick = sunday(shop)
    shop.cloud.advance(tick - shop.cloud.now())
    shop.cloud.tick("weekly-digest", at=tick)
    shop.cloud.idle()
    return tick


def digests(shop: Shop, user: str) -> list[str]:
    """The texts of a user's digests."""
    found = shop.message_documents(user)
    return [m["text"] for m in found if m["template"] == "weekly_digest"]


def run_of(shop: Shop, tick: datetime) -> dict[str, Any]:
    """The document of a run."""
    found = shop.document(f"fanouts/weekly_digest:{tick.isoformat()}")
    assert found is not None
    return found


class TestDigest:
    def test_who_opted_in_gets_one_however_often_a_tick_fires(self, shop: Shop) -> None:
        zones = ("Etc/UTC", "Europe/Berlin", "Pacific/Honolulu")
        users = [shop.user(digest_opt_in=True, timezone=zone) for zone in zones]
        other = shop.user(digest_opt_in=False)
        tick = ticked(shop)
        shop.cloud.tick("weekly-digest", at=tick)
        shop.cloud.tick("weekly-digest", at=tick + HOUR)
        shop.cloud.advance(48 * HOUR)  # until the count after the last zone
        assert [len(digests(shop, user)) for user in users] == [1, 1, 1]
        assert digests(shop, other) == []
        runs = [run_of(shop, tick), run_of(shop, tick + HOUR)]
        assert [(it["state"], it["enqueued"]) for it in runs] == [
            ("complete", it["expected"]) for it in runs
        ]
        # Each is told by one of the week's runs; the job's own tick on Monday begins one more.
        found = shop.db.collection("fanouts").stream()
        week = [it.to_dict() for it in found if it.get("period") == runs[0]["period"]]
        assert sum(it["sent"] + it["skipped"] for it in week) == runs[0]["enqueued"]

    @pytest.mark.slow
    def test_each_gets_it_at_eight_in_a_zone_of_their_own(self, shop: Shop) -> None:
        first = shop.user(digest_opt_in=True, timezone="Pacific/Kiritimati")
        last = shop.user(digest_opt_in=True, timezone="Etc/GMT+12")
        ticked(shop)
        sent = []
        for hours in (2, 24, 2):
            shop.cloud.advance(hours * HOUR)
            sent.append((len(digests(shop, first)), len(digests(shop, last))))
        assert sent == [(1, 0), (1, 0), (1, 1)]

    def test_who_opts_out_after_the_tick_gets_none(self, shop: Shop) -> None:
        user = shop.user(digest_opt_in=True)
        ticked(shop)
        shop.db.document(f"users/{user}").update({"digest_opt_in": False})
        shop.cloud.advance(15 * HOUR)
        assert digests(shop, user) == []

    @pytest.mark.slow
    def test_more_users_than_a_page_each_get_one(self, shop: Shop) -> None:
        """2,300 users and the default sizes, three firings at once, and a nasty world."""
        users = [f"many-{number:04}-{uuid.uuid4().hex[:6]}" for number in range(2300)]
        writer = shop.db.bulk_writer()
        for user in users:
            fields = {"user_id": user, "digest_opt_in": True}
            writer.create(shop.db.document(f"users/{user}"), fields)
        writer.close()
        tick = sunday(shop)
        shop.cloud.advance(tick - shop.cloud.now())
        headers = {"X_CloudScheduler_ScheduleTime": tick.isoformat()}
        body = {"campaign": "weekly_digest"}
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(shop.call, "fanout", body, **headers) for _ in range(3)]
        codes = sorted(it.result()[0] for it in asked)
        assert codes[0] == 200
        assert set(codes) <= {200, 409}
        shop.cloud.idle()
        found = run_of(shop, tick)
        assert found["state"] == "complete"
        assert found["enqueued"] + found["duplicate"] == found["expected"] >= 2300
        for user in users:
            shop.db.document(f"users/{user}").delete()


class TestAnswers:
    def test_enqueued_then_duplicate(self, shop: Shop) -> None:
        tick = sunday(shop) + timedelta(minutes=1)
        headers = {"X_CloudScheduler_ScheduleTime": tick.isoformat()}
        first = shop.call("fanout", {"campaign": "weekly_digest"}, **headers)
        assert first[:2] == (200, {"status": "enqueued"})
        again = shop.call("fanout", {"campaign": "weekly_digest"}, **headers)
        assert again[:2] == (200, {"status": "duplicate"})
        shop.cloud.idle()
        assert run_of(shop, tick)["day"] == f"{tick + timedelta(days=1):%Y-%m-%d}"

    @pytest.mark.parametrize("wrong", [{"run": 5}, {"shard": 0}, {"run": "x", "shard": 0}])
    def test_what_goes_on_with_no_run_is_dead_lettered(
        self, shop: Shop, wrong: dict[str, object]
    ) -> None:
        answer = shop.call("fanout", {"campaign": "weekly_digest", **wrong})
        assert (answer[0], answer[1]["status"]) == (200, "dead_lettered")

    def test_an_unknown_campaign_is_dead_lettered(self, shop: Shop) -> None:
        answer = shop.call("fanout", {"campaign": uuid.uuid4().hex})
        assert (answer[0], answer[1]["status"]) == (200, "dead_lettered")
