"""What each event does, in memory: its effects, once, and none that it must not have."""

from datetime import timedelta
from typing import Any

import pytest

from tests.functions.shop_in_memory import ShopInMemory

Shop = ShopInMemory
INVENTORY = "https://inventory.example.com"
NOON, ONE = "2029-12-31T12:00:00Z", "2029-12-31T13:00:00Z"


TEXT = "not a non-empty string"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("order.placed", {"total": 1}, f"payload.order_id is missing or null, {TEXT}"),
    ("order.placed", {"order_id": "o", "total": "1"}, "payload.total is a string, not a number"),
    (
        "order.placed",
        {"order_id": "o", "total": 1, "cart_id": 7},
        f"payload.cart_id is a number, {TEXT}",
    ),
    (
        "order.placed",
        {"order_id": "o", "total": 1, "email": 7},
        f"payload.email is a number, {TEXT}",
    ),
    ("cart.abandoned", {"total": 1}, f"payload.cart_id is missing or null, {TEXT}"),
    ("cart.abandoned", {"cart_id": "c"}, "payload.total is missing or null, not a number"),
    ("payment.failed", {"order_id": "o"}, "payload.total is missing or null, not a number"),
    (
        "payment.failed",
        {"order_id": "o", "total": 1, "reason": []},
        f"payload.reason is a list, {TEXT}",
    ),
    ("user.signed_up", {}, f"payload.email is missing or null, {TEXT}"),
    (
        "user.signed_up",
        {"email": "a@b", "digest_opt_in": 1},
        "payload.digest_opt_in is a number, not a boolean",
    ),
    ("user.signed_up", {"email": "a@b", "timezone": 1}, f"payload.timezone is a number, {TEXT}"),
]


@pytest.fixture
def shop(shop_in_memory: Shop) -> Shop:
    """The shop, with one user in it."""
    shop_in_memory.user()
    return shop_in_memory


def states(shop: Shop) -> dict[str, str]:
    """The state of each reminder."""
    found = shop.documents.documents("reminders")
    return {path.partition("/")[2]: fields["state"] for path, fields in found.items()}


class TestOrderPlaced:
    def order(self, shop: Shop, **more: Any) -> None:
        shop.deliver("order.placed", order_id="o-1", total=12.5, **more)

    def test_it_is_recorded_and_confirmed(self, shop: Shop) -> None:
        self.order(shop, items=["Mug"])
        assert shop.document("users/u-1/orders/o-1")["items"] == ["Mug"]
        assert shop.provider.sent() == [("order_confirmation", "u-1@example.com")]
        assert shop.messages() == ["order_confirmation"]

    def test_it_is_to_be_told_to_the_inventory_at_once(self, shop: Shop) -> None:
        shop.set(INVENTORY_URL=INVENTORY)
        self.order(shop, event_id="e-1")
        (task,) = shop.queues.take()
        assert (task.queue, task.body["reminder_id"]) == ("inventory", "inventory:e-1")
        assert states(shop) == {"inventory:e-1": "pending"}
        assert shop.document("reminders/inventory:e-1")["due_at"] <= shop.documents.now

    def test_a_repeat_has_no_effect(self, shop: Shop) -> None:
        shop.set(INVENTORY_URL=INVENTORY)
        self.order(shop, event_id="e-1")
        before = shop.documents.documents()
        self.order(shop, event_id="e-1", is_first=False)
        assert shop.documents.documents() == before
        assert (len(shop.provider.messages), len(shop.queues.tasks)) == (1, 1)

    def test_its_cart_is_purchased_and_the_reminder_of_it_cancelled(self, shop: Shop) -> None:
        shop.deliver("cart.abandoned", cart_id="c-1", total=3)
        self.order(shop, cart_id="c-1")
        assert shop.document("carts/c-1")["state"] == "purchased"
        assert states(shop) == {"cart_abandonment:c-1": "cancelled"}

    @pytest.mark.parametrize("cart_id", [None, ""])
    def test_an_order_without_a_cart_writes_none(self, shop: Shop, cart_id: str | None) -> None:
        self.order(shop, cart_id=cart_id)
        assert (shop.documents.documents("carts"), shop.letters()) == ({}, [])
        assert shop.messages() == ["order_confirmation"]

    def test_it_is_recorded_also_while_the_provider_is_down(self, shop: Shop) -> None:
        shop.provider.is_down = True
        self.order(shop, event_id="e-1", cart_id="c-1")
        assert shop.document("users/u-1/orders/o-1")["total"] == 12.5
        assert shop.document("carts/c-1")["state"] == "purchased"

    def test_an_attempt_after_that_does_only_what_is_left(self, shop: Shop) -> None:
        shop.provider.is_down = True
        self.order(shop, event_id="e-1")
        before = shop.document("users/u-1/orders/o-1")
        shop.provider.is_down = False
        assert shop.go_on() == ["done"]
        assert shop.document("users/u-1/orders/o-1") == before
        assert len(shop.provider.messages) == 1

    def test_a_repeat_does_not_hurry_what_waits(self, shop: Shop) -> None:
        shop.provider.is_down = True
        self.order(shop, event_id="e-1")
        shop.provider.is_down = False
        self.order(shop, event_id="e-1", is_first=False)
        assert shop.provider.messages == []

    def test_where_no_alarm_can_be_set_it_is_confirmed_and_the_sweep_has_the_inventory_told(
        self, shop: Shop
    ) -> None:
        shop.set(INVENTORY_URL=INVENTORY)
        shop.queues.mishaps = ["error"]
        self.order(shop, event_id="e-1")
        assert (len(shop.provider.messages), len(shop.queues.tasks)) == (1, 0)
        assert states(shop) == {"inventory:e-1": "pending"}

    def test_an_address_of_the_order_wins(self, shop: Shop) -> None:
        self.order(shop, email="new@example.com")
        assert shop.provider.sent() == [("order_confirmation", "new@example.com")]

    def test_who_has_unsubscribed_gets_the_confirmation_all_the_same(self, shop: Shop) -> None:
        shop.user(unsubscribed=True)
        self.order(shop)
        assert shop.messages() == ["order_confirmation"]

    def test_before_the_sign_up_only_its_mail_waits(self, shop: Shop) -> None:
        shop.set(INVENTORY_URL=INVENTORY)
        shop.deliver("cart.abandoned", "u-2", cart_id="c-1", total=3)
        shop.queues.take()
        self.guest(shop, cart_id="c-1")
        assert shop.document("users/u-2/orders/o-1")["total"] == 1
        assert shop.document("carts/c-1")["state"] == "purchased"
        assert states(shop)["cart_abandonment:c-1"] == "cancelled"
        assert [task.queue for task in shop.queues.take()] == ["inventory", "reminders"]
        assert (shop.letters(), shop.provider.messages) == ([], [])

    def test_the_mail_is_sent_once_there_is_an_address(self, shop: Shop) -> None:
        self.guest(shop, event_id="e-1")
        assert [shop.go_on() for _ in range(9)] == [["waiting"]] * 9
        shop.user("u-2")
        assert shop.go_on() == ["done"]
        assert shop.provider.sent() == [("order_confirmation", "u-2@example.com")]
        assert shop.letters() == []

    def test_the_order_of_a_guest_with_an_address_needs_no_sign_up(self, shop: Shop) -> None:
        self.guest(shop, email="guest@example.com")
        assert shop.provider.sent() == [("order_confirmation", "guest@example.com")]

    def guest(self, shop: Shop, **more: Any) -> None:
        """An order of somebody who has not signed up."""
        shop.deliver("order.placed", "u-2", order_id="o-1", total=1, **more)


class TestCartAbandoned:
    def abandon(self, shop: Shop, **more: Any) -> None:
        shop.deliver("cart.abandoned", cart_id="c-1", total=3, **more)

    def test_it_is_recorded_and_a_reminder_set(self, shop: Shop) -> None:
        self.abandon(shop)
        assert shop.document("carts/c-1")["state"] == "abandoned"
        assert states(shop) == {"cart_abandonment:c-1": "pending"}
        assert shop.provider.messages == []

    def test_the_reminder_is_sent_once_when_it_is_due(self, shop: Shop) -> None:
        self.abandon(shop)
        (alarm,) = shop.queues.take()
        assert [shop.ring(alarm).result, shop.provider.sent()] == [
            "sent",
            [("cart_abandonment_reminder", "u-1@example.com")],
        ]
        assert states(shop) == {"cart_abandonment:c-1": "sent"}

    def test_the_reminder_goes_to_an_address_of_the_event(self, shop: Shop) -> None:
        self.abandon(shop, email="new@example.com")
        (alarm,) = shop.queues.take()
        shop.ring(alarm)
        assert shop.provider.sent() == [("cart_abandonment_reminder", "new@example.com")]

    def test_a_cart_that_is_bought_before_is_not_reminded_of(self, shop: Shop) -> None:
        shop.deliver("order.placed", order_id="o-1", total=3, cart_id="c-1")
        self.abandon(shop)
        assert (states(shop), shop.queues.tasks) == ({}, {})
        found = shop.document("carts/c-1")
        assert (found["state"], "abandoned_at" in found) == ("purchased", True)

    def test_an_older_abandonment_that_comes_later_changes_nothing(self, shop: Shop) -> None:
        self.abandon(shop, occurred_at=ONE)
        before = shop.document("carts/c-1")
        self.abandon(shop, occurred_at=NOON)
        assert shop.document("carts/c-1") == before
        assert len(shop.queues.tasks) == 1

    def test_a_newer_one_is_another_reminder_in_the_place_of_the_first(self, shop: Shop) -> None:
        self.abandon(shop, occurred_at=NOON)
        self.abandon(shop, occurred_at=ONE)
        found = shop.document("reminders/cart_abandonment:c-1")
        assert [entry["what"] for entry in found["history"]] == ["scheduled", "scheduled"]


class TestPaymentFailed:
    def test_it_asks_for_another_try_once(self, shop: Shop) -> None:
        for is_first in (True, False):
            shop.deliver("payment.failed", event_id="e-1", is_first=is_first, order_id="o", total=1)
        assert shop.provider.sent() == [("payment_retry", "u-1@example.com")]

    def test_it_writes_to_the_address_of_the_event_without_a_sign_up(self, shop: Shop) -> None:
        shop.deliver("payment.failed", "u-2", order_id="o", total=1, email="new@example.com")
        assert shop.provider.sent() == [("payment_retry", "new@example.com")]

    def test_a_repeat_after_a_lost_answer_has_the_same_key(self, shop: Shop) -> None:
        shop.provider.loses_answers = True
        shop.deliver("payment.failed", event_id="e-1", order_id="o", total=1)
        shop.provider.loses_answers = False
        assert shop.go_on() == ["done"]
        first, second = shop.provider.messages
        assert first.key == second.key
        assert shop.messages() == ["payment_retry"]


class TestUserSignedUp:
    def sign_up(self, shop: Shop, **more: Any) -> None:
        shop.deliver("user.signed_up", "u-2", email="bob@example.com", **more)

    def test_the_user_is_recorded_and_welcomed(self, shop: Shop) -> None:
        self.sign_up(shop, name="Bob", timezone="Europe/Berlin")
        found = shop.document("users/u-2")
        assert (found["name"], found["timezone"]) == ("Bob", "Europe/Berlin")
        assert shop.provider.sent() == [("welcome", "bob@example.com")]

    def test_they_are_looked_in_on_after_a_day(self, shop: Shop) -> None:
        self.sign_up(shop)
        (alarm,) = shop.queues.take()
        assert alarm.at is not None
        assert alarm.at - shop.documents.now == pytest.approx(
            timedelta(days=1), abs=timedelta(seconds=1)
        )
        assert shop.ring(alarm).result == "sent"
        assert shop.messages() == ["onboarding_day_1", "welcome"]

    def test_a_repeat_has_no_effect(self, shop: Shop) -> None:
        self.sign_up(shop, event_id="e-1")
        before = shop.documents.documents()
        self.sign_up(shop, event_id="e-1", is_first=False)
        assert shop.documents.documents() == before
        assert len(shop.provider.messages) == 1

    def test_a_second_one_is_recorded_and_welcomed_no_more(self, shop: Shop) -> None:
        self.sign_up(shop, digest_opt_in=True)
        shop.documents.advance(86_400 * 70)
        shop.deliver("user.signed_up", "u-2", email="new@example.com", name="Bob")
        found = shop.document("users/u-2")
        assert (found["email"], found["name"], found["digest_opt_in"]) == (
            "new@example.com",
            "Bob",
            True,
        )
        assert (shop.messages(), len(shop.queues.tasks)) == (["welcome"], 1)

    def test_the_first_goes_on_with_its_welcome_after_a_failure(self, shop: Shop) -> None:
        shop.provider.is_down = True
        self.sign_up(shop, event_id="e-1")
        shop.provider.is_down = False
        shop.deliver("user.signed_up", "u-2", email="new@example.com")
        assert shop.messages() == []
        assert shop.go_on() == ["done"]
        assert shop.messages() == ["welcome"]

    def test_who_has_logged_in_before_signs_up_for_the_first_time(self, shop: Shop) -> None:
        shop.deliver("user.logged_in", "u-2")
        self.sign_up(shop)
        assert shop.messages() == ["welcome"]


@pytest.mark.parametrize(
    ("event_type", "mark", "days"),
    [("user.logged_in", "first_login_at", 3), ("feature.used", "first_feature_at", 7)],
)
class TestFirst:
    def test_the_first_is_marked_and_followed_up(
        self, shop: Shop, event_type: str, mark: str, days: int
    ) -> None:
        shop.deliver(event_type)
        due = shop.document(f"reminders/onboarding_day_{days}:u-1")["due_at"]
        assert due - shop.document("users/u-1")[mark] == timedelta(days=days)
        (alarm,) = shop.queues.take()
        assert shop.ring(alarm).result == "sent"
        assert shop.messages() == [f"onboarding_day_{days}"]

    @pytest.mark.parametrize("is_first", [True, False])
    def test_the_others_have_nothing_to_do(
        self, shop: Shop, event_type: str, mark: str, days: int, is_first: bool
    ) -> None:
        shop.deliver(event_type)
        before = [shop.document("users/u-1"), states(shop)]
        shop.documents.advance(60)
        shop.deliver(event_type, is_first=is_first)
        assert [shop.document("users/u-1"), states(shop)] == before
        assert len(shop.queues.tasks) == 1

    def test_another_where_the_platform_counts_it_as_the_first_delivery_is_one_commit(
        self, shop: Shop, event_type: str, mark: str, days: int
    ) -> None:
        shop.deliver(event_type)
        before = (shop.documents.commits, shop.documents.reads)
        shop.deliver(event_type)
        assert (shop.documents.commits, shop.documents.reads) == (before[0] + 1, before[1] + 1)

    def test_it_is_marked_before_the_sign_up_too(
        self, shop: Shop, event_type: str, mark: str, days: int
    ) -> None:
        shop.deliver(event_type, "u-2")
        assert shop.document("users/u-2").keys() == {"user_id", mark}


class TestRefused:
    @pytest.mark.parametrize(
        ("event_type", "payload", "sentence"),
        REFUSED,
    )
    def test_an_event_that_is_not_as_agreed_is_dead_lettered_and_does_nothing(
        self, shop: Shop, event_type: str, payload: dict[str, Any], sentence: str
    ) -> None:
        before = shop.documents.documents()
        shop.deliver(event_type, **payload)
        assert [letter["error"] for letter in shop.letters()] == [sentence]
        assert len(shop.documents.documents()) == len(before) + 1

    def test_a_key_used_for_other_work_is_dead_lettered_and_the_first_stays(
        self, shop: Shop
    ) -> None:
        for total in (1, 2):
            shop.deliver("payment.failed", event_id="e-1", order_id="o", total=total)
        assert [letter["reason"] for letter in shop.letters()] == ["key_reused"]
        assert len(shop.provider.messages) == 1

    def test_an_event_of_another_type_leaves_nothing(self, shop: Shop) -> None:
        before = shop.documents.documents()
        shop.deliver("parrot.squawked", "nobody")
        assert shop.documents.documents() == before
