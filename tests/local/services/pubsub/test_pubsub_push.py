"""Push deliveries: what is sent, what acknowledges, and when it is sent again."""

import base64
import json
from typing import Any

import jwt
import pytest

from tests.local.services.pubsub.pubsub_cloud import PROJECT, Endpoint, Local


def eventarc(local: Local, endpoint: Endpoint, *, retry: bool = True, **changes: str) -> str:
    """The subscription of a function's trigger; returns its name."""
    settings = {
        "project": "shop",
        "region": "europe-west1",
        "function": "consumer",
        "topic": "events",
        "url": endpoint.url,
        "service_account": "consumer@shop.test",
        **changes,
    }
    name: str = local.do(local.service.create_eventarc_subscription, retry=retry, **settings)
    return name


def update(local: Local, subscription: str, **settings: Any) -> None:
    """Change settings through the API."""
    request = {
        "subscription": {"name": subscription, **settings},
        "update_mask": {"paths": list(settings)},
    }
    local.subscriber.update_subscription(request=request)


def test_eventarc_delivers_a_cloud_event(local: Local, endpoint: Endpoint) -> None:
    """Binary mode: attributes in headers, the message as JSON."""
    topic = local.topic()
    name = eventarc(local, endpoint)
    [message_id] = local.publish(b'{"a": 1}', kind="test")
    [request] = endpoint.wait_for(1)
    body = json.loads(request.body)
    message = body["message"]
    assert request.headers["ce-specversion"] == "1.0"
    assert request.headers["ce-type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert request.headers["ce-source"] == f"//pubsub.googleapis.com/{topic}"
    assert request.headers["ce-id"] == message_id
    assert request.headers["ce-time"] == message["publishTime"]
    assert request.headers["Content-Type"] == "application/json"
    assert "ce-subject" not in request.headers
    assert base64.b64decode(message["data"]) == b'{"a": 1}'
    assert message["attributes"] == {"kind": "test"}
    assert message["messageId"] == message["message_id"] == message_id
    assert body["subscription"] == name
    assert "deliveryAttempt" not in body


def test_eventarc_signs_for_the_functions_url(local: Local, endpoint: Endpoint) -> None:
    """An OIDC token of the trigger's account; the audience is the URL without a query."""
    local.topic()
    eventarc(local, endpoint)
    local.publish(b"x")
    token = endpoint.wait_for(1)[0].headers["Authorization"].removeprefix("Bearer ")
    key = local.issuer.key.public_key()
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=endpoint.url)
    assert claims["email"] == "consumer@shop.test"


def test_eventarc_subscription_has_eventarcs_settings(local: Local, endpoint: Endpoint) -> None:
    """A day's retention, 10 to 600 s of backoff, no expiration."""
    local.topic()
    name = eventarc(local, endpoint)
    found = local.subscriber.get_subscription(subscription=name)
    assert name.startswith(f"{PROJECT}/subscriptions/eventarc-europe-west1-consumer-")
    assert found.message_retention_duration.total_seconds() == 86_400
    assert found.retry_policy.minimum_backoff.total_seconds() == 10
    assert found.retry_policy.maximum_backoff.total_seconds() == 600
    assert found.ack_deadline_seconds == 10
    assert not found.expiration_policy.ttl


def test_second_deploy_moves_the_endpoint_and_keeps_the_rest(
    local: Local, endpoint: Endpoint
) -> None:
    """The same subscription, with its dead-letter policy, at the new URL."""
    local.topic()
    dead = local.topic("dead")
    name = eventarc(local, endpoint, url="http://127.0.0.1:9/")
    update(local, name, dead_letter_policy={"dead_letter_topic": dead})
    assert eventarc(local, endpoint) == name
    found = local.subscriber.get_subscription(subscription=name)
    assert found.push_config.push_endpoint.startswith(endpoint.url)
    assert found.dead_letter_policy.dead_letter_topic == dead


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_these_answers_acknowledge(local: Local, endpoint: Endpoint, status: int) -> None:
    """One delivery, however long one waits."""
    local.topic()
    eventarc(local, endpoint)
    endpoint.answers = [status]
    local.publish(b"x")
    local.advance(hours=2)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("status", [203, 206, 299, 302, 400, 404, 409, 429, 500, 503])
def test_all_other_answers_do_not(local: Local, endpoint: Endpoint, status: int) -> None:
    """Not even other 2xx."""
    local.topic()
    eventarc(local, endpoint)
    endpoint.answers = [status]
    local.publish(b"x")
    local.advance(seconds=11)
    assert len(endpoint.requests) == 2


def test_backoff_doubles_from_10_to_600_seconds(local: Local, endpoint: Endpoint) -> None:
    """10, 20, 40, 80, 160, 320, 600, 600 s after each failure."""
    local.topic()
    eventarc(local, endpoint)
    endpoint.answers = [500] * 9
    local.publish(b"x")
    local.idle()
    counts = []
    for wait in (9, 1.5, 20, 40, 80, 160, 320, 600, 600):
        local.advance(seconds=wait)
        counts.append(len(endpoint.requests))
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_undelivered_event_is_dropped_after_a_day(
    local: Local, endpoint: Endpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    """The retention ends it, and that is said."""
    local.topic()
    eventarc(local, endpoint)
    endpoint.answers = [500] * 500
    local.publish(b"x")
    local.advance(hours=25)
    tried = len(endpoint.requests)
    local.advance(days=2)
    assert 140 < tried < 160
    assert len(endpoint.requests) == tried
    assert "expired" in capfd.readouterr().err


def test_without_retry_one_failure_drops_the_event(local: Local, endpoint: Endpoint) -> None:
    """As Eventarc does for a function deployed without `--retry`."""
    local.topic()
    eventarc(local, endpoint, retry=False)
    endpoint.answers = [500]
    local.publish(b"x")
    local.advance(hours=2)
    assert len(endpoint.requests) == 1


def test_dead_letters_follow_the_last_attempt(local: Local, endpoint: Endpoint) -> None:
    """A stock pull client reads them, with where they come from."""
    topic, dead = local.topic(), local.topic("dead")
    name = eventarc(local, endpoint)
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    update(local, name, dead_letter_policy=policy)
    grave = local.subscription("grave", "dead")
    endpoint.answers = [500] * 9
    local.publish(b"poison", kind="test")
    local.advance(hours=1)
    [buried] = local.pull(grave)
    attempts = [json.loads(request.body)["deliveryAttempt"] for request in endpoint.requests]
    assert attempts == [1, 2, 3, 4, 5]
    assert buried.message.data == b"poison"
    assert buried.message.attributes["kind"] == "test"
    prefix = "CloudPubSubDeadLetterSource"
    assert buried.message.attributes[f"{prefix}DeliveryCount"] == "5"
    assert buried.message.attributes[f"{prefix}Subscription"] == name.rsplit("/", 1)[1]
    assert buried.message.attributes[f"{prefix}SubscriptionProject"] == "shop"
    assert buried.message.attributes[f"{prefix}TopicPublishTime"]
    assert topic


def test_missing_dead_letter_topic_keeps_the_message(local: Local, endpoint: Endpoint) -> None:
    """It is delivered on and on instead."""
    local.topic()
    dead = local.topic("dead")
    name = eventarc(local, endpoint)
    update(local, name, dead_letter_policy={"dead_letter_topic": dead})
    local.publisher.delete_topic(topic=dead)
    endpoint.answers = [500] * 7
    local.publish(b"x")
    local.advance(hours=2)
    assert len(endpoint.requests) == 8


def test_plain_push_wraps_the_message(local: Local, endpoint: Endpoint) -> None:
    """JSON without CloudEvent headers; the audience is the endpoint."""
    local.topic()
    push = {
        "push_endpoint": f"{endpoint.url}/hook?a=b",
        "oidc_token": {"service_account_email": "push@shop.test"},
    }
    name = local.subscription(push_config=push)
    local.publish(b"x")
    [request] = endpoint.wait_for(1)
    body = json.loads(request.body)
    token = request.headers["Authorization"].removeprefix("Bearer ")
    key = local.issuer.key.public_key()
    assert request.path == "/hook?a=b"
    assert "ce-id" not in request.headers
    assert base64.b64decode(body["message"]["data"]) == b"x"
    assert body["subscription"] == name
    assert jwt.decode(token, key, algorithms=["RS256"], audience=f"{endpoint.url}/hook?a=b")


def test_unwrapped_push_sends_the_data_itself(local: Local, endpoint: Endpoint) -> None:
    """With the message's attributes as headers, when asked for."""
    local.topic()
    push = {"push_endpoint": endpoint.url, "no_wrapper": {"write_metadata": True}}
    local.subscription(push_config=push)
    [message_id] = local.publish(b"\x00raw", kind="test", unfit="two\nlines")
    [request] = endpoint.wait_for(1)
    assert request.body == b"\x00raw"
    assert request.headers["kind"] == "test"
    assert "unfit" not in request.headers
    assert request.headers["x-goog-pubsub-message-id"] == message_id


def test_no_more_than_sixteen_are_in_flight(local: Local, endpoint: Endpoint) -> None:
    """The others wait, and all arrive."""
    local.topic()
    eventarc(local, endpoint)
    endpoint.gate.clear()
    local.publish(*(b"%d" % number for number in range(40)))
    endpoint.wait_for(16)
    endpoint.gate.set()
    endpoint.wait_for(40)
    assert endpoint.most_at_once == 16


def test_a_push_that_hangs_holds_up_no_other(local: Local, endpoint: Endpoint) -> None:
    local.topic()
    eventarc(local, endpoint)
    endpoint.is_held = lambda request: request is endpoint.requests[0]
    endpoint.gate.clear()
    local.publish(*(b"%d" % number for number in range(40)))
    endpoint.wait_for(40)
    assert endpoint.at_once >= 1  # the first is still there


def test_ordered_push_waits_for_the_answer(local: Local, endpoint: Endpoint) -> None:
    """One of a key at a time, also while the first is tried again."""
    topic = local.topic()
    push = {"push_endpoint": endpoint.url}
    local.subscription(push_config=push, enable_message_ordering=True)
    endpoint.answers = [500]
    messages = [{"data": b"%d" % n, "ordering_key": "k"} for n in range(3)]
    local.publish_all(topic, messages)
    local.advance(minutes=1)
    sent = [base64.b64decode(json.loads(r.body)["message"]["data"]) for r in endpoint.requests]
    assert sent == [b"0", b"0", b"1", b"2"]
    assert endpoint.most_at_once == 1


def test_slow_answer_is_no_answer(local: Local, endpoint: Endpoint) -> None:
    """The ack deadline is the request's timeout (shortened here below what the API allows)."""
    local.topic()
    name = eventarc(local, endpoint)
    subscription = local.do(lambda: local.service._registry.subscriptions[name])
    subscription.proto.ack_deadline_seconds = 1
    endpoint.gate.clear()
    local.publish(b"x")
    endpoint.wait_for(1)
    local.idle()
    endpoint.gate.set()
    local.advance(seconds=11)
    assert len(endpoint.requests) == 2


def test_push_becomes_pull_and_back(local: Local, endpoint: Endpoint) -> None:
    """ModifyPushConfig with nothing in it; what waits is there for the puller."""
    local.topic()
    name = local.subscription(push_config={"push_endpoint": "http://127.0.0.1:9/"})
    local.subscriber.modify_push_config(subscription=name, push_config={})
    local.publish(b"x")
    [received] = local.pull(name)
    nack = {"subscription": name, "ack_ids": [received.ack_id], "ack_deadline_seconds": 0}
    local.subscriber.modify_ack_deadline(request=nack)
    local.subscriber.modify_push_config(
        subscription=name, push_config={"push_endpoint": endpoint.url}
    )
    endpoint.wait_for(1)
