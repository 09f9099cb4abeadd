"""The bundle seen from other programs, with Google's stock clients and nothing of ours."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.functions.shop_cloud import Shop

PRODUCER = """
import json, sys
from google.cloud import pubsub_v1
publisher = pubsub_v1.PublisherClient()
topic = publisher.topic_path(sys.argv[1], "commerce-events")
for line in sys.stdin:
    published = [publisher.publish(topic, json.dumps(it).encode()) for it in json.loads(line)]
    print(*(it.result(timeout=20) for it in published), flush=True)
"""
Produce = Callable[..., list[str]]


@pytest.fixture
def produce(shop: Shop) -> Iterator[Produce]:
    """Publish from a program of its own; the message ids."""
    command = [sys.executable, "-c", PRODUCER, shop.cloud.project]
    environment = {**os.environ, **shop.cloud.env}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as program:
        assert program.stdin
        assert program.stdout
        given, answered = program.stdin, program.stdout

        def publish(*events: dict[str, Any]) -> list[str]:
            print(json.dumps(events), file=given, flush=True)
            ids = answered.readline().split()
            shop.cloud.idle()
            return ids

        yield publish


def test_the_same_event_under_new_message_ids_changes_nothing(shop: Shop, produce: Produce) -> None:
    user, order = f"user-{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
    sign_up = shop.event("user.signed_up", user, email=f"{user}@example.com")
    bought = shop.event("order.placed", user, order_id=order, total=5)
    produce(sign_up)
    produce(bought)
    before = [shop.document(f"users/{user}"), shop.document(f"users/{user}/orders/{order}")]
    ids = produce(bought, sign_up, bought)
    assert len(set(ids)) == 3
    assert shop.messages(user) == ["order_confirmation", "welcome"]
    after = [shop.document(f"users/{user}"), shop.document(f"users/{user}/orders/{order}")]
    assert after == before


class TestReplay:
    def test_a_replay_takes_over_what_was_given_up_and_marks_it(self, shop: Shop) -> None:
        event, letter = give_up(shop)
        user = event["user_id"]
        shop.publish(event)
        assert shop.messages(user).count("payment_retry") == 0, "only a replay may take it over"
        shop.publish(event, attributes={"replay_of": letter})
        shop.publish(event, attributes={"replay_of": letter})
        assert shop.messages(user).count("payment_retry") == 1
        replayed = shop.document(f"dead_letters/{letter}")
        assert replayed is not None
        assert replayed["state"] == "replayed"

    def test_a_replay_may_bring_a_corrected_payload(self, shop: Shop) -> None:
        event, letter = give_up(shop)
        event["payload"]["email"] = f"{event['user_id']}@example.com"
        shop.publish(event, attributes={"replay_of": letter})
        assert shop.messages(event["user_id"]).count("payment_retry") == 1


def give_up(shop: Shop) -> tuple[dict[str, Any], str]:
    """An event that was given up because its address is none, and its dead letter's id."""
    user = shop.user()
    event = shop.event("payment.failed", user, order_id="o", total=1, email="no address")
    shop.publish(event)
    letters = shop.db.collection("dead_letters").stream()
    (letter,) = [found.id for found in letters if event["event_id"] in str(found.get("payload"))]
    event["payload"].pop("email")
    shop.publish({**event, "payload": {**event["payload"], "email": "no address"}})
    return event, letter
