"""The two functions that are called: who may call, and what a call is about."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from common import idempotency
from common.errors import NothingToDoError
from common.idempotency import Call
from common.process import settings as common_settings
from functions import fanout, reminder
from local.kernel.identity import Issuer
from tests.common.callers import ISSUER
from tests.common.web_server import Answer, Asked, WebServer, serving
from tests.functions.shop_in_memory import ShopInMemory

TASKS = "tasks@shop.iam.gserviceaccount.com"
SCHEDULER = "scheduler@shop.iam.gserviceaccount.com"


TICK = "2030-01-07T08:00:00+00:00"
DONE = idempotency.Answer(status="done", result="sent")


def call(**body: Any) -> Call:
    return Call(body=body, raw=b"{}", tick="2030-01-07T08:00:00Z")


@pytest.fixture(scope="module")
def issuer() -> Iterator[WebServer]:
    """An issuer of tokens, which publishes its keys."""

    def published(asked: Asked) -> Answer:
        tokens = Issuer(server.url, ISSUER.key)
        document = tokens.jwks() if asked.path == "/jwks" else tokens.discovery()
        return Answer(body=json.dumps(document).encode())

    with serving(published) as server:
        yield server


@pytest.mark.parametrize(
    ("function", "email", "audience", "code"),
    [
        (reminder.reminder, TASKS, "https://reminder.example.com", 200),
        (reminder.reminder, SCHEDULER, "https://reminder.example.com", 403),
        (reminder.reminder, TASKS, "https://fanout.example.com", 401),
        (fanout.fanout, TASKS, "https://fanout.example.com", 200),
        (fanout.fanout, SCHEDULER, "https://fanout.example.com", 200),
        (fanout.fanout, "somebody@example.com", "https://fanout.example.com", 403),
        (fanout.fanout, SCHEDULER, "https://reminder.example.com", 401),
    ],
)
def test_who_may_call_a_function_and_for_which_audience(
    function: Any,
    email: str,
    audience: str,
    code: int,
    shop_in_memory: ShopInMemory,
    issuer: WebServer,
) -> None:
    shop_in_memory.set(OIDC_ISSUER=issuer.url)
    common_settings.current.cache_clear()
    token = Issuer(issuer.url, ISSUER.key).token(email=email, audience=audience)
    headers = Headers({"Authorization": f"Bearer {token}"})
    builder = EnvironBuilder(method="POST", data=b"no JSON", headers=headers)
    assert function(Request(builder.get_environ()))[1] == code


def test_a_task_of_a_campaign_is_not_taken_for_an_alarm(shop_in_memory: ShopInMemory) -> None:
    shop_in_memory.user(digest_opt_in=True)
    answer = reminder.ring(
        call(campaign="weekly_digest", period="2030-W02", user_id="u-1", run=TICK)
    )
    assert answer == DONE


def test_an_alarm_rings_its_reminder(shop_in_memory: ShopInMemory) -> None:
    shop_in_memory.user()
    shop_in_memory.deliver("cart.abandoned", cart_id="c-1", total=3)
    (alarm,) = shop_in_memory.queues.take()
    assert shop_in_memory.ring(alarm) == DONE
    with pytest.raises(NothingToDoError, match="the reminder is sent"):
        shop_in_memory.ring(alarm)


def test_the_tick_of_a_campaign_enqueues_a_task_for_each_user(shop_in_memory: ShopInMemory) -> None:
    for user, wants in (("u-1", True), ("u-2", False), ("u-3", True)):
        shop_in_memory.user(user, digest_opt_in=wants)
    shop_in_memory.documents.now = datetime.fromisoformat(TICK)
    tick = Call(body={"campaign": "weekly_digest"}, raw=b"{}", tick=TICK)
    assert fanout.start(tick).result == "enqueued"
    assert fanout.start(tick).status == "duplicate"
    shard, _ = shop_in_memory.queues.take()
    assert fanout.start(Call(body=shard.body, raw=b"{}")).result == "enqueued"
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
