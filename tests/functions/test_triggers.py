"""The two functions that are called: who may call, and what a call is about."""

from types import ModuleType
from typing import Any

import pytest

from common.errors import NothingToDoError
from common.idempotency import Answer, Call
from common.triggers import http
from functions import fanout, reminder
from tests.functions.shop_in_memory import ShopInMemory

TASKS = "tasks@shop.iam.gserviceaccount.com"
SCHEDULER = "scheduler@shop.iam.gserviceaccount.com"


def call(**body: Any) -> Call:
    return Call(body=body, raw=b"{}", tick="2030-01-07T08:00:00Z")


@pytest.mark.parametrize(
    ("module", "emails"),
    [(reminder, {TASKS}), (fanout, {TASKS, SCHEDULER})],
    ids=lambda it: str(it),
)
def test_who_may_call_a_function_and_for_which_audience(
    module: ModuleType, emails: set[str], environment: pytest.MonkeyPatch
) -> None:
    name = module.__name__.rpartition(".")[2]
    served: dict[str, Any] = {}
    environment.setattr(http, "serve", lambda *given, **named: served.update(named))
    getattr(module, name).__wrapped__(None)
    assert served["audience"] == f"https://{name}.example.com"
    assert set(served["emails"]) == emails


def test_a_task_of_a_campaign_is_not_taken_for_an_alarm(shop_in_memory: ShopInMemory) -> None:
    shop_in_memory.user(digest_opt_in=True)
    answer = reminder.ring(call(campaign="weekly_digest", period="2030-W02", user_id="u-1"))
    assert answer == Answer(status="done", result="sent")


def test_an_alarm_rings_its_reminder(shop_in_memory: ShopInMemory) -> None:
    shop_in_memory.user()
    shop_in_memory.deliver("cart.abandoned", cart_id="c-1", total=3)
    (alarm,) = shop_in_memory.queues.take()
    assert shop_in_memory.ring(alarm) == Answer(status="done", result="sent")
    with pytest.raises(NothingToDoError, match="the reminder is sent"):
        shop_in_memory.ring(alarm)


def test_the_tick_of_a_campaign_enqueues_a_task_for_each_user(shop_in_memory: ShopInMemory) -> None:
    for user, wants in (("u-1", True), ("u-2", False), ("u-3", True)):
        shop_in_memory.user(user, digest_opt_in=wants)
    assert fanout.start(call(campaign="weekly_digest")).result == "enqueued"
    assert fanout.start(call(campaign="weekly_digest")).status == "duplicate"
    asked = [(task.queue, task.body["user_id"]) for task in shop_in_memory.queues.take()]
    assert asked == [("digests", "u-1"), ("digests", "u-3")]


def test_the_tick_of_the_sweep_rings_what_is_overdue(shop_in_memory: ShopInMemory) -> None:
    shop_in_memory.user()
    shop_in_memory.deliver("cart.abandoned", cart_id="c-1", total=3)
    shop_in_memory.queues.take()
    shop_in_memory.documents.advance(3 * 3600)
    assert fanout.start(call(campaign="reminder_sweep")).result == "enqueued"
    (alarm,) = shop_in_memory.queues.take()
    assert shop_in_memory.ring(alarm).result == "sent"
