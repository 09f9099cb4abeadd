"""Every event has all its effects, once, in whatever order and however often it is delivered."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from tests.functions.shop_cloud import Shop


def fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


class TestEffects:
    def test_a_sign_up_makes_a_user_a_welcome_and_a_reminder(self, shop: Shop) -> None:
        user = shop.user(name="Ada", timezone="Europe/Berlin", digest_opt_in=True, plan="free")
        found = shop.document(f"users/{user}")
        assert found is not None
        assert (found["name"], found["timezone"], found["digest_opt_in"]) == (
            "Ada", "Europe/Berlin", True
        )  # fmt: skip
        assert found["plan"] == "free", "unknown fields are kept"
        assert shop.messages(user) == ["welcome"]
        reminder = shop.document(f"reminders/onboarding_day_1:{user}")
        assert reminder is not None
        assert reminder["state"] == "pending"
        assert reminder["due_at"] - shop.cloud.now() > timedelta(hours=23)

    def test_a_sign_up_cannot_pretend_a_first_login(self, shop: Shop) -> None:
        user = shop.user(first_login_at="2020-01-01T00:00:00Z")
        shop.publish(shop.event("user.logged_in", user))
        reminder = shop.document(f"reminders/onboarding_day_3:{user}")
        assert reminder is not None
        assert reminder["state"] == "pending"

    def test_digest_opt_in_is_off_unless_asked_for(self, shop: Shop) -> None:
        found = shop.document(f"users/{shop.user()}")
        assert found is not None
        assert found["digest_opt_in"] is False

    def test_an_order_is_recorded_confirmed_and_told_to_the_inventory(self, shop: Shop) -> None:
        user, order = shop.user(), fresh("o")
        event = shop.event("order.placed", user, order_id=order, total=12.5, items=[{"sku": "a"}])
        shop.publish(event)
        found = shop.document(f"users/{user}/orders/{order}")
        assert found is not None
        assert (found["total"], found["items"]) == (12.5, [{"sku": "a"}])
        assert shop.messages(user) == ["order_confirmation", "welcome"]
        told = [o for o in shop.provider.orders.values() if o["order_id"] == order]
        assert len(told) == 1

    def test_a_message_record_says_who_what_and_when(self, shop: Shop) -> None:
        user = shop.user()
        (message,) = shop.message_documents(user)
        assert message["to"] == f"{user}@example.com"
        assert (message["state"], message["subject"]) == ("sent", "Welcome to PulseCart")
        assert (message["transport"], message["key"] in shop.provider.mails) == ("http", True)
        assert message["expire_at"] - message["sent_at"] == timedelta(days=90)

    def test_an_abandoned_cart_gets_one_reminder_after_the_delay(self, shop: Shop) -> None:
        user, cart = shop.user(), fresh("c")
        shop.publish(shop.event("cart.abandoned", user, cart_id=cart, total=3))
        shop.cloud.advance(timedelta(hours=1, minutes=58))
        assert "cart_abandonment_reminder" not in shop.messages(user)
        shop.cloud.advance(timedelta(minutes=3))
        assert shop.messages(user).count("cart_abandonment_reminder") == 1
        reminder = shop.document(f"reminders/cart_abandonment:{cart}")
        assert reminder is not None
        assert reminder["state"] == "sent"

    def test_a_failed_payment_asks_to_retry(self, shop: Shop) -> None:
        user = shop.user()
        shop.publish(shop.event("payment.failed", user, order_id=fresh("o"), total=1, reason="x"))
        assert shop.messages(user) == ["payment_retry", "welcome"]

    @pytest.mark.parametrize(
        ("event_type", "mark", "day"),
        [("user.logged_in", "first_login_at", 3), ("feature.used", "first_feature_at", 7)],
    )
    def test_only_the_first_schedules_the_onboarding_reminder(
        self, shop: Shop, event_type: str, mark: str, day: int
    ) -> None:
        user = shop.user()
        shop.publish(shop.event(event_type, user))
        first = shop.document(f"users/{user}")
        shop.publish(shop.event(event_type, user), shop.event(event_type, user))
        assert first is not None
        assert first[mark] is not None
        assert shop.document(f"users/{user}") == first
        reminder = shop.document(f"reminders/onboarding_day_{day}:{user}")
        assert reminder is not None
        assert [it["what"] for it in reminder["history"]] == ["scheduled"]

    def test_an_email_in_the_payload_wins(self, shop: Shop) -> None:
        user, other = shop.user(), f"{fresh('other')}@example.com"
        shop.publish(shop.event("payment.failed", user, order_id="o", total=1, email=other))
        mails = [m for m in shop.provider.mails.values() if m["to"] == other]
        assert [m["template"] for m in mails] == ["payment_retry"]

    def test_a_payload_that_firestore_cannot_hold_as_it_is_costs_nothing(self, shop: Shop) -> None:
        user, order = shop.user(**{"__x__": 1, "": [[2]]}), fresh("o")
        odd = {"__x__": 1, "": 2, "nested": [[1], [2]], "large": 2**70, "a.b": {"c/d": None}}
        shop.publish(shop.event("order.placed", user, order_id=order, total=1, **odd))
        found = shop.document(f"users/{user}/orders/{order}")
        assert found is not None
        assert (found["total"], found["nested"], found["a.b"]) == (1, "[[1], [2]]", {"c/d": None})
        assert shop.messages(user) == ["order_confirmation", "welcome"]

    def test_a_user_written_by_others_has_signed_up(self, shop: Shop) -> None:
        user = fresh("user")
        shop.db.document(f"users/{user}").set({"email": f"{user}@example.com"})
        shop.publish(shop.event("order.placed", user, order_id=fresh("o"), total=1))
        assert shop.messages(user) == ["order_confirmation"]

    def test_another_type_of_event_is_acknowledged_and_ignored(self, shop: Shop) -> None:
        event = shop.event("parrot.squawked", "nobody")
        shop.publish(event)
        assert shop.dead_letters(event["event_id"]) == []


class TestRepeats:
    def test_the_same_event_published_three_times_has_its_effects_once(self, shop: Shop) -> None:
        user, order = shop.user(), fresh("o")
        event = shop.event("order.placed", user, order_id=order, total=1)
        shop.publish(event)
        shop.publish(event, event)
        assert shop.messages(user).count("order_confirmation") == 1
        assert sum(o["order_id"] == order for o in shop.provider.orders.values()) == 1
        actions = shop.actions("consumer", event_id=event["event_id"])
        assert actions.count("duplicate") == 2

    def test_a_re_stamped_event_is_still_the_same(self, shop: Shop) -> None:
        user = shop.user()
        event = shop.event("payment.failed", user, order_id="o", total=1)
        shop.publish(event)
        shop.publish({**event, "occurred_at": "2026-01-01T00:00:00Z", "trace": "x"})
        assert shop.messages(user).count("payment_retry") == 1
        assert shop.dead_letters(event["event_id"]) == []

    def test_a_key_used_for_other_work_is_dead_lettered_and_the_first_stays(
        self, shop: Shop
    ) -> None:
        user = shop.user()
        event = shop.event("payment.failed", user, order_id="o", total=1)
        shop.publish(event)
        shop.publish({**event, "payload": {**event["payload"], "total": 2}})
        assert shop.messages(user).count("payment_retry") == 1
        assert [d["reason"] for d in shop.dead_letters(event["event_id"])] == ["key_reused"]

    def test_killed_between_steps_it_goes_on_behind_the_last_finished_one(self, shop: Shop) -> None:
        user, order = shop.user(), fresh("o")
        event = shop.event("order.placed", user, order_id=order, total=1)
        shop.cloud.crash("consumer", method="Commit", count=2)
        shop.publish(event)
        shop.cloud.advance(timedelta(minutes=5))
        assert shop.messages(user).count("order_confirmation") == 1
        keys = [key for key, mail in shop.provider.mails.items() if mail["user_id"] == user]
        assert [shop.provider.requests[key] for key in keys] == [1, 1], "no mail was repeated"
        # It was killed behind the commit of the order, before the alarm was set: the sweep sets it.
        shop.cloud.advance(timedelta(minutes=15))
        tick = shop.cloud.now().isoformat()
        shop.call("fanout", {"campaign": "reminder_sweep"}, X_CloudScheduler_ScheduleTime=tick)
        shop.cloud.idle()
        assert sum(o["order_id"] == order for o in shop.provider.orders.values()) == 1
        actions = shop.actions("consumer", event_id=event["event_id"])
        assert actions.count("claimed") == 2

    def test_killed_while_sending_it_sends_again_with_the_same_key(self, shop: Shop) -> None:
        user = shop.user()

        def kill_once(body: dict[str, Any]) -> None:
            shop.provider.before_answer = lambda body: None
            shop.cloud.kill("consumer")

        shop.provider.before_answer = kill_once
        shop.publish(shop.event("payment.failed", user, order_id="o", total=1))
        shop.cloud.advance(timedelta(minutes=5))
        keys = [k for k, m in shop.provider.mails.items() if m["user_id"] == user]
        sent = {shop.provider.mails[k]["template"]: shop.provider.requests[k] for k in keys}
        assert sent == {"welcome": 1, "payment_retry": 2}
        assert shop.messages(user) == ["payment_retry", "welcome"]


class TestOrder:
    def test_a_purchase_before_the_abandonment_is_final(self, shop: Shop) -> None:
        user, cart = shop.user(), fresh("c")
        shop.publish(shop.event("order.placed", user, order_id=fresh("o"), total=1, cart_id=cart))
        shop.publish(shop.event("cart.abandoned", user, cart_id=cart, total=1))
        shop.cloud.advance(timedelta(hours=3))
        found = shop.document(f"carts/{cart}")
        assert found is not None
        assert found["state"] == "purchased"
        assert found["abandoned_at"] is not None
        assert "cart_abandonment_reminder" not in shop.messages(user)

    def test_a_purchase_in_time_cancels_the_reminder(self, shop: Shop) -> None:
        user, cart = shop.user(), fresh("c")
        shop.publish(shop.event("cart.abandoned", user, cart_id=cart, total=1))
        shop.publish(shop.event("order.placed", user, order_id=fresh("o"), total=1, cart_id=cart))
        reminder = shop.document(f"reminders/cart_abandonment:{cart}")
        assert reminder is not None
        assert reminder["state"] == "cancelled"
        shop.cloud.advance(timedelta(hours=3))
        assert "cart_abandonment_reminder" not in shop.messages(user)

    def test_an_older_abandonment_that_arrives_later_changes_nothing(self, shop: Shop) -> None:
        user, cart = shop.user(), fresh("c")
        newer = shop.event("cart.abandoned", user, cart_id=cart, total=2)
        older = shop.event("cart.abandoned", user, cart_id=cart, total=1)
        shop.publish({**newer, "occurred_at": "2026-11-02T12:00:00Z"})
        before = shop.document(f"carts/{cart}")
        shop.publish({**older, "occurred_at": "2026-11-02T11:00:00Z"})
        assert shop.document(f"carts/{cart}") == before
        reminder = shop.document(f"reminders/cart_abandonment:{cart}")
        assert reminder is not None
        assert [it["what"] for it in reminder["history"]] == ["scheduled"]

    def test_the_mail_of_an_order_before_its_sign_up_waits_and_nothing_else(
        self, shop: Shop
    ) -> None:
        user, order = fresh("user"), fresh("o")
        event = shop.event("order.placed", user, order_id=order, total=1)
        shop.publish(event)
        assert shop.document(f"users/{user}/orders/{order}") is not None
        assert sum(o["order_id"] == order for o in shop.provider.orders.values()) == 1
        shop.cloud.advance(timedelta(hours=2))
        assert shop.actions("reminder", event_id=event["event_id"]).count("waiting") > 5
        assert shop.messages(user) == []
        shop.publish(shop.event("user.signed_up", user, email=f"{user}@example.com"))
        shop.cloud.advance(timedelta(minutes=40))
        assert shop.messages(user) == ["order_confirmation", "welcome"]

    @pytest.mark.slow
    def test_what_never_signs_up_is_dead_lettered_after_half_a_day(self, shop: Shop) -> None:
        user = fresh("user")
        event = shop.event("order.placed", user, order_id="o", total=1)
        shop.publish(event)
        shop.cloud.advance(timedelta(hours=13))
        (letter,) = shop.dead_letters(event["event_id"])
        assert letter["reason"] == "waited_too_long"


BROKEN: dict[str, Any] = {
    "not JSON": b"{order",
    "not UTF-8": b'{"event_id": "\xff\xfe"}',
    "a list": b"[1, 2]",
    "a string": b'"hello"',
    "null": b"null",
    "no event_id": {"event_type": "order.placed", "user_id": "u", "payload": {}},
    "empty event_id": {"event_id": "", "event_type": "user.logged_in", "user_id": "u"},
    "event_id is a number": {"event_id": 7, "event_type": "user.logged_in", "user_id": "u"},
    "no user": {"event_id": "e", "event_type": "user.logged_in"},
    "payload is a list": {"event_id": "e", "event_type": "order.placed", "user_id": "u",
                          "payload": [1]},
    "total is text": {"event_id": "e", "event_type": "order.placed", "user_id": "u",
                      "payload": {"order_id": "o", "total": "12"}},
    "total is NaN": b'{"event_id": "e", "event_type": "order.placed", "user_id": "u",'
                    b' "payload": {"order_id": "o", "total": NaN}}',
    "no email": {"event_id": "e", "event_type": "user.signed_up", "user_id": "u", "payload": {}},
    "absurdly large": b'{"event_id": "e", "x": "' + b"x" * 2_000_000 + b'"}',
    "absurdly deep": b'{"event_id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}  # fmt: skip


class TestMalformed:
    def test_each_is_dead_lettered_once(self, shop: Shop) -> None:
        letters = shop.db.collection("dead_letters")
        before = {letter.id for letter in letters.list_documents()}
        shop.publish(*BROKEN.values())
        added = [letter.to_dict() for letter in letters.stream() if letter.id not in before]
        assert len(added) == len(BROKEN)
        names = ("source", "reason", "attempts", "state")
        found = {tuple(letter[name] for name in names) for letter in added}
        assert found == {("consumer", "malformed", 1, "open")}

    def test_what_is_not_utf_8_is_kept_as_bytes(self, shop: Shop) -> None:
        shop.publish(b"\xff\xfe broken-bytes")
        (letter,) = shop.dead_letters("broken-bytes")
        assert letter["payload"] == b"\xff\xfe broken-bytes"

    def test_what_is_too_large_is_cut_and_says_so(self, shop: Shop) -> None:
        shop.publish(b"cut-me " + b"x" * 1_500_000)
        (letter,) = shop.dead_letters("cut-me")
        assert letter["payload_truncated"] is True
        assert len(letter["payload"]) == 900_000
        assert len(letter["payload_sha256"]) == 64

    def test_one_broken_event_stops_no_other(self, shop: Shop) -> None:
        user = shop.user()
        shop.publish(b"broken", shop.event("payment.failed", user, order_id="o", total=1), b"{")
        assert "payment_retry" in shop.messages(user)

    def test_hostile_ids_stay_apart(self, shop: Shop) -> None:
        users = ["a/b", "a%2Fb", "..", "__x__", "ü" * 700]
        for user in users:
            shop.publish(shop.event("user.signed_up", user, email="a@example.com", name=user[:9]))
        assert all(shop.messages(user).count("welcome") == 1 for user in users)
