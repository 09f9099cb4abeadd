"""The shop's functions in memory: what `tests.functions.in_memory` shows of them."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from common.cloud import firestore
from tests.functions.in_memory import Bundle

SUNDAY = datetime(2030, 1, 6, 17, tzinfo=UTC)
"""The tick of the first Monday of the year."""


def test_an_event_that_comes_twice_has_one_effect(bundle: Bundle) -> None:
    for _ in range(2):
        assert bundle.publish("user.signed_up", "ada", event_id="e", email="a@example.com") == 200
    assert bundle.messages("ada") == ["welcome"]


def test_what_cannot_even_be_handed_over_is_not_acknowledged(bundle: Bundle) -> None:
    bundle.firestore.mishaps = ["error"] * 20
    assert bundle.publish("order.placed", "ada", order_id="o", total=1) == 500


def test_what_waits_goes_on_by_itself(bundle: Bundle) -> None:
    assert bundle.publish("order.placed", "ada", order_id="o", total=1) == 200
    bundle.advance(hours=3)
    bundle.publish("user.signed_up", "ada", email="a@example.com")
    bundle.advance(hours=1)
    assert bundle.messages("ada") == ["welcome", "order_confirmation"]


def test_time_rings_the_reminders_that_fall_due_on_the_way(bundle: Bundle) -> None:
    bundle.publish("user.signed_up", "ada", email="a@example.com")
    bundle.publish("cart.abandoned", "ada", cart_id="c", total=1)
    bundle.advance(hours=1)
    assert bundle.messages("ada") == ["welcome"]
    bundle.advance(days=1)
    assert bundle.messages("ada") == ["welcome", "cart_abandonment_reminder", "onboarding_day_1"]


def test_a_reminder_in_400_days_comes_in_hops(bundle: Bundle) -> None:
    bundle.publish("user.signed_up", "ada", email="a@example.com")
    (reminder,) = bundle.firestore.documents("reminders")
    later = bundle.firestore.now + timedelta(days=400)
    firestore.commit([firestore.read(reminder).write({"due_at": later})])
    bundle.advance(days=399)
    assert bundle.messages("ada") == ["welcome"]
    bundle.advance(days=2)
    assert bundle.messages("ada") == ["welcome", "onboarding_day_1"]


def test_a_tick_that_fires_twice_is_one_run(bundle: Bundle) -> None:
    bundle.publish("user.signed_up", "ada", email="a@example.com", digest_opt_in=True)
    assert [bundle.tick("weekly_digest", at=SUNDAY) for _ in range(2)] == [200, 200]
    bundle.advance(days=7)
    assert bundle.messages("ada") == ["welcome", "onboarding_day_1", "weekly_digest"]


def test_more_users_than_a_page_each_get_one_digest(bundle: Bundle) -> None:
    users = [f"user-{number}" for number in range(230)]
    for user in users:
        fields = {"user_id": user, "email": f"{user}@example.com", "digest_opt_in": True}
        firestore.commit([firestore.Create(path=f"users/{user}", fields=fields)])
    bundle.tick("weekly_digest", at=SUNDAY)
    bundle.advance(days=7)
    assert Counter(it["user_id"] for it in bundle.documents("messages")) == Counter(users)


def test_an_order_without_a_sign_up_is_dead_lettered_after_half_a_day(bundle: Bundle) -> None:
    bundle.publish("order.placed", "ada", order_id="o", total=1)
    bundle.advance(hours=12)
    assert bundle.documents("dead_letters") == []
    bundle.advance(hours=1)
    (letter,) = bundle.documents("dead_letters")
    assert letter["reason"] == "waited_too_long"
