"""What `reminder` answers, and that a message is sent once and only while it makes sense."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from tests.functions.shop_cloud import FANOUT, REMINDER, SCHEDULER, TASKS, Shop


def abandon(shop: Shop, **payload: Any) -> tuple[str, str]:
    """A user and the cart they have left."""
    user, cart = shop.user(), f"c-{uuid.uuid4().hex[:12]}"
    shop.publish(shop.event("cart.abandoned", user, cart_id=cart, total=3, **payload))
    return user, cart


def alarm_of(shop: Shop, cart: str) -> dict[str, Any]:
    """The body of the alarm of a cart's reminder."""
    found = shop.document(f"reminders/cart_abandonment:{cart}")
    assert found is not None
    return {"reminder_id": f"cart_abandonment:{cart}", "generation": found["generation"]}


def due(shop: Shop) -> tuple[str, dict[str, Any]]:
    """A user and the alarm of a reminder that is due, its own task out of the way."""
    user, cart = abandon(shop)
    shop.db.document(f"reminders/cart_abandonment:{cart}").update({"due_at": shop.cloud.now()})
    return user, alarm_of(shop, cart)


class TestAnswers:
    def test_due_is_sent_and_then_a_duplicate(self, shop: Shop) -> None:
        user, alarm = due(shop)
        assert shop.call("reminder", alarm)[:2] == (200, {"status": "sent"})
        assert shop.call("reminder", alarm)[:2] == (200, {"status": "duplicate"})
        assert shop.messages(user).count("cart_abandonment_reminder") == 1

    def test_not_due_sets_the_next_alarm(self, shop: Shop) -> None:
        user, cart = abandon(shop)
        alarm = alarm_of(shop, cart)
        assert shop.call("reminder", alarm)[:2] == (200, {"status": "enqueued"})
        assert "cart_abandonment_reminder" not in shop.messages(user)

    def test_a_cart_that_is_gone_is_skipped(self, shop: Shop) -> None:
        user, alarm = due(shop)
        cart = alarm["reminder_id"].partition(":")[2]
        shop.db.document(f"carts/{cart}").delete()
        assert shop.call("reminder", alarm)[:2] == (200, {"status": "skipped"})
        assert "cart_abandonment_reminder" not in shop.messages(user)

    def test_a_cart_that_was_bought_is_skipped(self, shop: Shop) -> None:
        _, alarm = due(shop)
        cart = alarm["reminder_id"].partition(":")[2]
        shop.db.document(f"carts/{cart}").update({"state": "purchased"})
        assert shop.call("reminder", alarm)[:2] == (200, {"status": "skipped"})
        assert shop.document(f"reminders/{alarm['reminder_id']}")["state"] == "skipped"  # type: ignore[index]

    def test_who_has_opted_out_is_skipped(self, shop: Shop) -> None:
        user, alarm = due(shop)
        shop.db.document(f"users/{user}").update({"unsubscribed": True})
        assert shop.call("reminder", alarm)[:2] == (200, {"status": "skipped"})

    def test_an_older_generation_is_skipped(self, shop: Shop) -> None:
        _, alarm = due(shop)
        path = f"reminders/{alarm['reminder_id']}"
        shop.db.document(path).update({"generation": alarm["generation"] + 1})
        assert shop.call("reminder", alarm)[:2] == (200, {"status": "skipped"})

    def test_held_by_another_is_in_progress_with_retry_after(self, shop: Shop) -> None:
        user, alarm = due(shop)
        answers: list[Any] = []

        def call_again(body: dict[str, Any]) -> None:
            shop.provider.before_answer = lambda body: None
            answers.append(shop.call("reminder", alarm))

        shop.provider.before_answer = call_again
        assert shop.call("reminder", alarm)[:2] == (200, {"status": "sent"})
        code, body, headers = answers[0]
        assert (code, body["status"]) == (409, "in_progress")
        assert 1 <= int(headers["Retry-After"]) <= 300
        assert shop.messages(user).count("cart_abandonment_reminder") == 1

    @pytest.mark.parametrize(
        "body",
        [
            b"not json",
            b"[1]",
            b"\xff",
            b"",
            {},
            {"reminder_id": "cart_abandonment:c"},
            {"reminder_id": "cart_abandonment:c", "generation": "1"},
            {"reminder_id": "cart_abandonment:c", "generation": True},
            {"reminder_id": "no_such_kind:c", "generation": 1},
            {"reminder_id": "", "generation": 1},
            {"campaign": "no_such_campaign", "period": "2026-W01", "user_id": "u"},
            {"campaign": "weekly_digest", "period": 7, "user_id": "u"},
        ],
    )
    def test_what_can_never_succeed_is_dead_lettered(self, shop: Shop, body: Any) -> None:
        code, answer, _ = shop.call("reminder", body, X_CloudTasks_TaskName=uuid.uuid4().hex)
        assert (code, answer["status"]) == (200, "dead_lettered")

    def test_no_such_reminder_is_skipped_once_its_time_is_long_past(self, shop: Shop) -> None:
        alarm = {"reminder_id": f"cart_abandonment:{uuid.uuid4().hex}", "generation": 1}
        now = shop.cloud.now()
        fresh = shop.call("reminder", alarm, X_CloudTasks_TaskETA=f"{now.timestamp():.6f}")
        assert (fresh[0], fresh[1]["status"]) == (409, "in_progress")
        old = (now - timedelta(minutes=10)).timestamp()
        answer = shop.call("reminder", alarm, X_CloudTasks_TaskETA=f"{old:.6f}")
        assert answer[:2] == (200, {"status": "skipped"})

    def test_while_the_provider_fails_it_waits_and_then_goes_on_by_itself(self, shop: Shop) -> None:
        _, alarm = due(shop)

        def fail(body: dict[str, Any]) -> None:
            raise ConnectionAbortedError

        shop.provider.before_answer = fail
        try:
            answers = [shop.call("reminder", alarm)[:2] for _ in range(3)]
        finally:
            shop.provider.before_answer = lambda body: None
        assert [(code, body["status"]) for code, body in answers] == [(200, "waiting")] * 3
        shop.cloud.advance(timedelta(hours=1))
        assert shop.document(f"reminders/{alarm['reminder_id']}")["state"] == "sent"  # type: ignore[index]
        assert shop.dead_letters(alarm["reminder_id"]) == []

    def test_health_is_ok_for_anybody(self, shop: Shop) -> None:
        for function in ("reminder", "fanout"):
            assert shop.get(f"{shop.urls[function]}/health") == (200, {"status": "ok"})


class TestCallers:
    @pytest.mark.parametrize("function", ["reminder", "fanout"])
    @pytest.mark.parametrize(
        ("claims", "code"),
        [
            (None, 401),
            ({"exp": 1}, 401),
            ({"aud": "https://elsewhere.example"}, 401),
            ({"iss": "https://issuer.example"}, 401),
            ({"email": "mallory@example.com"}, 403),
            ({"email_verified": False}, 403),
            ({"email_verified": None}, 403),
        ],
    )
    def test_a_bad_token_is_refused_before_any_read_or_write(
        self, shop: Shop, function: str, claims: dict[str, Any] | None, code: int
    ) -> None:
        email, audience = (TASKS, REMINDER) if function == "reminder" else (SCHEDULER, FANOUT)
        given = {"email": email, "audience": audience, **(claims or {})}
        token = None if claims is None else shop.cloud.token(**given)
        before = shop.rpcs()
        answer = shop.call(function, {"campaign": "weekly_digest"}, token)
        assert answer[0] == code
        assert answer[1]["status"] == {401: "unauthorized", 403: "forbidden"}[code]
        assert shop.rpcs() == before

    def test_a_forged_token_is_refused(self, shop: Shop) -> None:
        header, body, _ = shop.cloud.token(TASKS, REMINDER).split(".")
        forged = f"{header}.{body}.{'A' * 342}"
        assert shop.call("reminder", {}, forged)[0] == 401

    def test_the_scheduler_may_not_call_reminder(self, shop: Shop) -> None:
        token = shop.cloud.token(SCHEDULER, REMINDER)
        assert shop.call("reminder", {}, token)[0] == 403


class TestTime:
    @pytest.mark.slow
    def test_a_delay_of_seventy_days_travels_in_hops(self, shop: Shop) -> None:
        user, cart = abandon(shop)
        path = f"reminders/cart_abandonment:{cart}"
        at = shop.cloud.now() + timedelta(days=70)
        shop.db.document(path).update({"due_at": at, "overdue_at": at + timedelta(minutes=15)})
        shop.cloud.advance(timedelta(days=69))
        assert "cart_abandonment_reminder" not in shop.messages(user)
        shop.cloud.advance(timedelta(days=2))
        assert shop.messages(user).count("cart_abandonment_reminder") == 1

    def test_a_sweep_rings_what_has_lost_its_alarm(self, shop: Shop) -> None:
        user, cart = abandon(shop)
        assert shop.document(f"reminders/cart_abandonment:{cart}")
        queue = f"projects/local-project/locations/{shop.cloud.region}/queues/reminders"
        shop.cloud.tasks().purge_queue(name=queue)
        shop.cloud.advance(timedelta(hours=3))
        assert "cart_abandonment_reminder" not in shop.messages(user)
        tick = shop.cloud.now().isoformat()
        answer = shop.call(
            "fanout", {"campaign": "reminder_sweep"}, X_CloudScheduler_ScheduleTime=tick
        )
        found = shop.document(f"reminders/cart_abandonment:{cart}")
        seen = [line for line in shop.cloud.log("fanout") if "overdue" in line][-3:]
        assert answer[:2] == (200, {"status": "enqueued"}), f"{seen} {found}"
        shop.cloud.idle()
        assert shop.messages(user).count("cart_abandonment_reminder") == 1
