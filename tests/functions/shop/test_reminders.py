"""The reminders of the shop: what each is about, and when it is due."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore
from common.scheduling.reminders import Reminder
from functions.shop import messages, reminders
from tests.functions.shop_in_memory import ShopInMemory, Work, event

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def work(shop_in_memory: ShopInMemory) -> Any:
    """Work whose claim was taken now."""
    return Work(shop_in_memory.documents.now)


def due(**payload: Any) -> Reminder:
    return Reminder(
        kind="cart_abandonment", subject="c-1", user_id="u-1", payload=payload, due_at=NOW
    )


@pytest.mark.parametrize(
    ("state", "makes_sense"), [("abandoned", True), ("purchased", False), (None, False)]
)
def test_a_cart_is_reminded_of_while_it_is_abandoned(
    documents: MemoryFirestore, state: str | None, makes_sense: bool
) -> None:
    firestore.commit([Merge(path="carts/c-1", fields={"state": state})])
    assert reminders.CART_ABANDONMENT.check(due(cart_id="c-1")) is makes_sense


def test_a_cart_is_reminded_of_after_the_delay(shop_in_memory: ShopInMemory, work: Any) -> None:
    shop_in_memory.set(CART_REMINDER_DELAY="60")
    write: Any
    (write,) = reminders.schedule_cart(event(cart_id="a/b", total=3), work)
    assert write.path == "reminders/cart_abandonment:a%2Fb"
    assert write.fields["due_at"] == work.now + timedelta(seconds=60)
    assert (write.fields["user_id"], write.fields["payload"]["cart_id"]) == ("u-1", "a/b")


@pytest.mark.parametrize(
    ("kind", "days"),
    [
        (reminders.ONBOARDING_DAY_1, 1),
        (reminders.ONBOARDING_DAY_3, 3),
        (reminders.ONBOARDING_DAY_7, 7),
    ],
    ids=lambda it: getattr(it, "name", str(it)),
)
def test_a_user_is_looked_in_on_after_some_days(work: Any, kind: Any, days: int) -> None:
    write: Any
    (write,) = reminders.schedule_onboarding(event("user.logged_in"), work, kind, days=days)
    assert write.path == f"reminders/onboarding_day_{days}:u-1"
    assert write.fields["due_at"] == work.now + timedelta(days=days)


def test_the_alarm_is_set_for_the_time_it_is_due(shop_in_memory: ShopInMemory, work: Any) -> None:
    reminders.schedule_cart(event(cart_id="c-1", total=3), work)
    (task,) = shop_in_memory.queues.take()
    assert (task.queue, task.at) == ("reminders", work.now + timedelta(hours=2))
    assert task.body["reminder_id"] == "cart_abandonment:c-1"


def test_each_onboarding_reminder_sends_the_message_of_its_day() -> None:
    found = {name: message.template for name, message in reminders.ONBOARDING_MESSAGES.items()}
    assert found == {name: name for name in ("onboarding_day_1", "onboarding_day_3",
                                             "onboarding_day_7")}  # fmt: skip


def test_no_reminder_goes_to_who_has_unsubscribed() -> None:
    sent = [messages.CART_ABANDONMENT_REMINDER, *reminders.ONBOARDING_MESSAGES.values()]
    assert not any(message.transactional for message in sent)
