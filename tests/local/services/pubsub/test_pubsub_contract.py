"""What every Pub/Sub does, asked through the official clients."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient as RawPublisher

from tests.local.services.pubsub.pubsub_cloud import Local, eventually


@dataclass
class Story:
    """A topic and a subscription of its own for one test."""

    cloud: Any
    topic: str
    subscription: str

    def publish(self, *messages: dict[str, Any]) -> list[str]:
        """Publish in one request; the ids."""
        request = {"topic": self.topic, "messages": messages}
        publisher = self.cloud.publisher
        return list(RawPublisher.publish(publisher, request=request).message_ids)

    def pull(self, count: int, subscription: str = "") -> list[Any]:
        """That many messages, in the order they came."""
        found: list[Any] = []

        def enough() -> bool:
            request = {
                "subscription": subscription or self.subscription,
                "max_messages": count - len(found),
                "return_immediately": True,
            }
            found.extend(self.cloud.subscriber.pull(request=request).received_messages)
            return len(found) >= count

        eventually(enough, f"{count} messages")
        return found

    def nothing_left(self) -> bool:
        """Whether a pull finds nothing."""
        request = {
            "subscription": self.subscription,
            "max_messages": 10,
            "return_immediately": True,
        }
        return not self.cloud.subscriber.pull(request=request).received_messages


@pytest.fixture
def story(cloud: SimpleNamespace) -> Story:
    topic = f"{cloud.project}/topics/{cloud.prefix}"
    subscription = f"{cloud.project}/subscriptions/{cloud.prefix}"
    cloud.publisher.create_topic(name=topic)
    cloud.subscriber.create_subscription(name=subscription, topic=topic)
    return Story(cloud, topic, subscription)


def test_message_arrives_as_it_was_published(story: Story) -> None:
    """Data, attributes, the id that Publish returned, and a time."""
    [message_id] = story.publish({"data": b"\x00\xff", "attributes": {"kind": "test"}})
    [received] = story.pull(1)
    assert received.message.data == b"\x00\xff"
    assert dict(received.message.attributes) == {"kind": "test"}
    assert received.message.message_id == message_id
    assert received.message.publish_time
    assert received.delivery_attempt == 0


def test_messages_arrive_in_the_order_of_publishing(story: Story) -> None:
    """Not promised, but the rule where nothing fails."""
    story.publish(*({"data": b"%d" % number} for number in range(20)))
    received = story.pull(20)
    assert [int(one.message.data) for one in received] == list(range(20))


def test_acknowledged_message_is_gone(story: Story) -> None:
    """And acknowledging it again is harmless."""
    story.publish({"data": b"x"})
    [received] = story.pull(1)
    for _ in range(2):
        story.cloud.subscriber.acknowledge(
            subscription=story.subscription, ack_ids=[received.ack_id]
        )
    assert story.nothing_left()


def test_leased_message_is_given_to_nobody_else(story: Story) -> None:
    """Until its ack deadline."""
    story.publish({"data": b"x"})
    story.pull(1)
    assert story.nothing_left()


def test_message_given_back_comes_again(story: Story) -> None:
    """With the same id, and another ack id."""
    story.publish({"data": b"x"})
    [first] = story.pull(1)
    story.cloud.subscriber.modify_ack_deadline(
        subscription=story.subscription, ack_ids=[first.ack_id], ack_deadline_seconds=0
    )
    [second] = story.pull(1)
    assert second.message.message_id == first.message.message_id
    assert second.ack_id != first.ack_id


def test_every_subscription_gets_every_message(story: Story) -> None:
    """But not what was published before it existed."""
    story.publish({"data": b"before"})
    late = story.subscription + "-late"
    story.cloud.subscriber.create_subscription(name=late, topic=story.topic)
    story.publish({"data": b"after"})
    assert [one.message.data for one in story.pull(2)] == [b"before", b"after"]
    assert [one.message.data for one in story.pull(1, late)] == [b"after"]


def test_ordered_messages_come_in_order(story: Story) -> None:
    """One pull brings a key's messages one behind the other."""
    ordered = story.subscription + "-ordered"
    story.cloud.subscriber.create_subscription(
        request={"name": ordered, "topic": story.topic, "enable_message_ordering": True}
    )
    story.publish(*({"data": b"%d" % n, "ordering_key": "k"} for n in range(5)))
    assert [int(one.message.data) for one in story.pull(5, ordered)] == [0, 1, 2, 3, 4]


def test_stock_subscriber_receives_and_acknowledges(story: Story) -> None:
    """`SubscriberClient.subscribe()` over StreamingPull."""
    seen: list[bytes] = []
    complete = threading.Event()

    def receive(message: Any) -> None:
        seen.append(message.data)
        message.ack_with_response().result(10)
        if len(seen) == 50:
            complete.set()

    future = story.cloud.subscriber.subscribe(story.subscription, receive)
    try:
        story.publish(*({"data": b"%d" % number} for number in range(50)))
        assert complete.wait(10), f"{len(seen)} of 50 messages"
    finally:
        future.cancel()
        future.result(10)
    assert story.nothing_left()


def test_stock_publisher_publishes_in_batches(story: Story) -> None:
    """`PublisherClient.publish()` with its futures."""
    futures = [story.cloud.publisher.publish(story.topic, b"%d" % n, n=str(n)) for n in range(30)]
    ids = {future.result(10) for future in futures}
    assert len(ids) == 30
    assert {one.message.message_id for one in story.pull(30)} == ids


def test_taken_names_are_refused(story: Story) -> None:
    """ALREADY_EXISTS."""
    with pytest.raises(exceptions.AlreadyExists):
        story.cloud.publisher.create_topic(name=story.topic)
    with pytest.raises(exceptions.AlreadyExists):
        story.cloud.subscriber.create_subscription(name=story.subscription, topic=story.topic)


def test_missing_things_are_not_found(story: Story) -> None:
    """NOT_FOUND, by every method that names one."""
    publisher, subscriber = story.cloud.publisher, story.cloud.subscriber
    topic, subscription = story.topic + "x", story.subscription + "x"
    calls: list[Callable[[], Any]] = [
        lambda: publisher.get_topic(topic=topic),
        lambda: publisher.delete_topic(topic=topic),
        lambda: RawPublisher.publish(publisher, topic=topic, messages=[{"data": b"x"}]),
        lambda: subscriber.create_subscription(name=subscription, topic=topic),
        lambda: subscriber.get_subscription(subscription=subscription),
        lambda: subscriber.delete_subscription(subscription=subscription),
        lambda: subscriber.pull(subscription=subscription, max_messages=1),
        lambda: subscriber.acknowledge(subscription=subscription, ack_ids=["x"]),
    ]
    for call in calls:
        with pytest.raises(exceptions.NotFound):
            call()


@pytest.mark.parametrize("messages", [[], [{}], [{"ordering_key": "k"}], [{"data": b"x"}] * 1001])
def test_bad_publish_is_refused(story: Story, messages: list[dict[str, Any]]) -> None:
    """No message, an empty one, or too many; nothing of it is published."""
    with pytest.raises(exceptions.InvalidArgument):
        story.publish(*messages)
    assert story.nothing_left()


@pytest.mark.parametrize("name", ["a", "1abc", "googles", "with space"])
def test_bad_topic_name_is_refused(cloud: SimpleNamespace, name: str) -> None:
    """INVALID_ARGUMENT."""
    with pytest.raises(exceptions.InvalidArgument):
        cloud.publisher.create_topic(name=f"{cloud.project}/topics/{name}")


@pytest.mark.parametrize(
    "settings",
    [
        {"ack_deadline_seconds": 601},
        {"message_retention_duration": {"seconds": 599}},
        {"message_retention_duration": {"seconds": 31 * 86_400 + 1}},
        {"retry_policy": {"maximum_backoff": {"seconds": 601}}},
        {"retry_policy": {"minimum_backoff": {"seconds": 9}, "maximum_backoff": {"seconds": 8}}},
    ],
)
def test_bad_subscription_is_refused(story: Story, settings: dict[str, Any]) -> None:
    """Each setting has its bounds."""
    request = {"name": story.subscription + "x", "topic": story.topic, **settings}
    with pytest.raises(exceptions.InvalidArgument):
        story.cloud.subscriber.create_subscription(request=request)


def test_empty_retry_policy_is_10_to_600_seconds(story: Story) -> None:
    """The platform's defaults are filled in."""
    request = {"name": story.subscription + "x", "topic": story.topic, "retry_policy": {}}
    policy = story.cloud.subscriber.create_subscription(request=request).retry_policy
    assert policy.minimum_backoff.total_seconds() == 10
    assert policy.maximum_backoff.total_seconds() == 600


def test_update_changes_what_the_mask_names_only(story: Story) -> None:
    """The rest of the request is not looked at."""
    change = {"name": story.subscription, "ack_deadline_seconds": 30, "labels": {"a": "b"}}
    request = {"subscription": change, "update_mask": {"paths": ["ack_deadline_seconds"]}}
    updated = story.cloud.subscriber.update_subscription(request=request)
    assert updated.ack_deadline_seconds == 30
    assert not updated.labels
    assert updated.topic == story.topic


@pytest.mark.parametrize("path", ["topic", "enable_message_ordering", "pushConfig", "nonsense"])
def test_update_of_what_cannot_change_is_refused(story: Story, path: str) -> None:
    """INVALID_ARGUMENT."""
    request = {"subscription": {"name": story.subscription}, "update_mask": {"paths": [path]}}
    with pytest.raises(exceptions.InvalidArgument):
        story.cloud.subscriber.update_subscription(request=request)


def test_deleted_topic_leaves_its_subscription_what_it_has(story: Story) -> None:
    """The subscription then names no topic."""
    story.publish({"data": b"last"})
    story.cloud.publisher.delete_topic(topic=story.topic)
    left = story.cloud.subscriber.get_subscription(subscription=story.subscription)
    assert left.topic == "_deleted-topic_"
    assert [one.message.data for one in story.pull(1)] == [b"last"]


def test_lists_name_everything_once(story: Story) -> None:
    """Also when they come in small pages."""
    second = story.subscription + "-b"
    story.cloud.subscriber.create_subscription(name=second, topic=story.topic)
    request = {"topic": story.topic, "page_size": 1}
    listed = list(story.cloud.publisher.list_topic_subscriptions(request=request))
    assert sorted(listed) == [story.subscription, second]
    request = {"project": story.cloud.project, "page_size": 1}
    topics = story.cloud.publisher.list_topics(request=request)
    assert [topic.name for topic in topics].count(story.topic) == 1


def test_a_subscription_expires_after_a_day_at_the_earliest(
    cloud: SimpleNamespace, request: pytest.FixtureRequest
) -> None:
    if "google" in request.node.name:
        pytest.skip("Google's emulator differs: it takes any time")
    topic = cloud.publisher.create_topic(name=f"{cloud.project}/topics/{cloud.prefix}").name
    name = f"{cloud.project}/subscriptions/{cloud.prefix}"

    def create(ttl: dict[str, Any]) -> Any:
        policy = {"expiration_policy": ttl}
        return cloud.subscriber.create_subscription({"name": name, "topic": topic, **policy})

    with pytest.raises(exceptions.InvalidArgument):
        create({"ttl": {"seconds": 86_399}})
    assert create({"ttl": {"seconds": 86_400}}).expiration_policy.ttl.days == 1


@pytest.mark.parametrize("project", ["", "projects", "projects/", "p", "projects/p/topics"])
def test_what_is_no_project_has_no_lists(local: Local, project: str) -> None:
    for call in (
        local.publisher.list_topics,
        local.subscriber.list_subscriptions,
        local.subscriber.list_snapshots,
    ):
        with pytest.raises(exceptions.InvalidArgument):
            call({"project": project})
