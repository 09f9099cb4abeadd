"""google.pubsub.v1.Publisher: topics, and publishing to them."""

import hashlib
from collections.abc import Mapping
from typing import Any

from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from local.kernel.refusals import invalid
from local.kernel.rpc import Method
from local.services.pubsub import masks, names, paging
from local.services.pubsub.deliveries import Deliveries
from local.services.pubsub.registry import Registry, Topic

MAX_MESSAGES = 1000
MAX_REQUEST_BYTES = MAX_MESSAGE_BYTES = 10_000_000
MAX_ATTRIBUTES = 100
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 1024

_IMMUTABLE = frozenset(("name", "satisfies_pzs", "state"))


class Publisher:
    """The publisher's methods."""

    name = "google.pubsub.v1.Publisher"

    def __init__(self, registry: Registry, deliveries: Deliveries) -> None:
        self._registry = registry
        self._deliveries = deliveries

    def methods(self) -> Mapping[str, Method]:
        """RPC name → method."""
        topic = Topic
        return {
            "CreateTopic": _method(self.create_topic, topic, topic, "name"),
            "UpdateTopic": _method(self.update_topic, types.UpdateTopicRequest.pb(), topic),
            "Publish": Method(
                call=self.publish,
                request=types.PublishRequest.pb(),
                response=types.PublishResponse.pb(),
                subject=_publish_subject,
            ),
            "GetTopic": _method(self.get_topic, types.GetTopicRequest.pb(), topic, "topic"),
            "ListTopics": _method(
                self.list_topics,
                types.ListTopicsRequest.pb(),
                types.ListTopicsResponse.pb(),
                "project",
            ),
            "ListTopicSubscriptions": _method(
                self.list_topic_subscriptions,
                types.ListTopicSubscriptionsRequest.pb(),
                types.ListTopicSubscriptionsResponse.pb(),
                "topic",
            ),
            "ListTopicSnapshots": _method(
                self.list_topic_snapshots,
                types.ListTopicSnapshotsRequest.pb(),
                types.ListTopicSnapshotsResponse.pb(),
                "topic",
            ),
            "DeleteTopic": _method(
                self.delete_topic, types.DeleteTopicRequest.pb(), empty_pb2.Empty, "topic"
            ),
            "DetachSubscription": _method(
                self.detach_subscription,
                types.DetachSubscriptionRequest.pb(),
                types.DetachSubscriptionResponse.pb(),
                "subscription",
            ),
        }

    async def create_topic(self, request: Any) -> Any:
        """CreateTopic: ALREADY_EXISTS if there is one of this name."""
        names.check(request.name, "topics")
        if request.name in self._registry.topics:
            raise names.already_exists(request.name)
        topic = Topic()
        topic.CopyFrom(request)
        topic.state = types.Topic.State.ACTIVE
        self._registry.put_topic(topic)
        return topic

    async def update_topic(self, request: Any) -> Any:
        """UpdateTopic: only what the mask names."""
        current = self._registry.topic(request.topic.name)
        topic = masks.merged(current, request.topic, request.update_mask.paths, _IMMUTABLE)
        self._registry.put_topic(topic)
        return topic

    async def get_topic(self, request: Any) -> Any:
        """GetTopic."""
        return self._registry.topic(request.topic)

    async def list_topics(self, request: Any) -> Any:
        """ListTopics of a project, in the order of their names."""
        names.check_project(request.project)
        prefix = f"{request.project}/topics/"
        found = sorted(name for name in self._registry.topics if name.startswith(prefix))
        page, token = paging.page(found, request)
        topics = [self._registry.topics[name] for name in page]
        return types.ListTopicsResponse.pb()(topics=topics, next_page_token=token)

    async def list_topic_subscriptions(self, request: Any) -> Any:
        """ListTopicSubscriptions: the names of those attached."""
        self._registry.topic(request.topic)
        found = sorted(s.name for s in self._registry.subscribers(request.topic))
        page, token = paging.page(found, request)
        response = types.ListTopicSubscriptionsResponse.pb()
        return response(subscriptions=page, next_page_token=token)

    async def list_topic_snapshots(self, request: Any) -> Any:
        """ListTopicSnapshots: there are none."""
        self._registry.topic(request.topic)
        return types.ListTopicSnapshotsResponse.pb()()

    async def delete_topic(self, request: Any) -> Any:
        """DeleteTopic: its subscriptions stay, and keep what they have."""
        self._registry.delete_topic(request.topic)
        return empty_pb2.Empty()

    async def detach_subscription(self, request: Any) -> Any:
        """DetachSubscription: it keeps nothing and gets nothing any more."""
        subscription = self._registry.subscription(request.subscription)
        subscription.proto.detached = True
        self._registry.save(subscription)
        self._deliveries.drop(subscription)
        return types.DetachSubscriptionResponse.pb()()

    async def publish(self, request: Any) -> Any:
        """Publish: all messages of the request, or none."""
        self._registry.topic(request.topic)
        _check(request)
        ids = self._deliveries.publish(request.topic, request.messages)
        return types.PublishResponse.pb()(message_ids=ids)


def _method(call: Any, request: Any, response: Any, subject: str = "") -> Method:
    return Method(
        call=call,
        request=request,
        response=response,
        subject=lambda message: getattr(message, subject) if subject else "",
    )


def _publish_subject(request: Any) -> str:
    """The first message tells one Publish from another, whatever their order."""
    first = request.messages[0].SerializeToString(deterministic=True) if request.messages else b""
    return f"{request.topic} {hashlib.sha256(first).hexdigest()}"


def _check(request: Any) -> None:
    count = len(request.messages)
    if not count:
        raise invalid("No messages to publish.")
    if count > MAX_MESSAGES:
        raise invalid(
            "The value for message_count is too large. You passed "
            f"{count} in the request, but the maximum value is {MAX_MESSAGES}."
        )
    size = request.ByteSize()
    if size > MAX_REQUEST_BYTES:
        raise invalid(
            "The value for request_size is too large. You passed "
            f"{size} in the request, but the maximum value is {MAX_REQUEST_BYTES}."
        )
    for message in request.messages:
        _check_message(message)


def _check_message(message: Any) -> None:
    if not message.data and not message.attributes:
        raise invalid(
            "One or more messages in the publish request is empty. Each message must contain "
            "either non-empty data, or at least one attribute."
        )
    if len(message.attributes) > MAX_ATTRIBUTES:
        raise invalid(f"A message has more than {MAX_ATTRIBUTES} attributes.")
    for key, value in message.attributes.items():
        if len(key.encode()) > MAX_KEY_BYTES or key.startswith("goog"):
            raise invalid(f"Invalid attribute key: {key[:MAX_KEY_BYTES]!r}.")
        if len(value.encode()) > MAX_VALUE_BYTES:
            raise invalid(f"The value of attribute {key!r} exceeds {MAX_VALUE_BYTES} bytes.")
    if len(message.ordering_key.encode()) > MAX_VALUE_BYTES:
        raise invalid(f"The ordering key exceeds {MAX_VALUE_BYTES} bytes.")
