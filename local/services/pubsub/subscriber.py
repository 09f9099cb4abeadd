"""google.pubsub.v1.Subscriber: subscriptions, and pulling from them."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from local.kernel.clock import Clock
from local.kernel.refusals import unimplemented
from local.kernel.rpc import Method
from local.services.pubsub import names, paging
from local.services.pubsub.deliveries import NAME, Deliveries
from local.services.pubsub.pulling import Puller
from local.services.pubsub.registry import Registry
from local.services.pubsub.subscription import Proto, Subscription, completed, updated


class Subscriber:
    """The subscriber's methods."""

    name = "google.pubsub.v1.Subscriber"

    def __init__(self, registry: Registry, deliveries: Deliveries, clock: Clock) -> None:
        self._registry = registry
        self._deliveries = deliveries
        self._clock = clock
        self._puller = Puller(registry, deliveries, clock)

    def methods(self) -> Mapping[str, Method]:
        """RPC name → method."""
        return {
            "CreateSubscription": _method(self.create_subscription, Proto, Proto, "name"),
            "GetSubscription": _method(
                self.get_subscription, types.GetSubscriptionRequest.pb(), Proto
            ),
            "UpdateSubscription": Method(
                call=self.update_subscription,
                request=types.UpdateSubscriptionRequest.pb(),
                response=Proto,
                subject=lambda request: request.subscription.name,
            ),
            "ListSubscriptions": _method(
                self.list_subscriptions,
                types.ListSubscriptionsRequest.pb(),
                types.ListSubscriptionsResponse.pb(),
                "project",
            ),
            "DeleteSubscription": _method(
                self.delete_subscription, types.DeleteSubscriptionRequest.pb()
            ),
            "ModifyPushConfig": _method(
                self.modify_push_config, types.ModifyPushConfigRequest.pb()
            ),
            "ModifyAckDeadline": _method(
                self._puller.modify_ack_deadline, types.ModifyAckDeadlineRequest.pb()
            ),
            "Acknowledge": _method(self._puller.acknowledge, types.AcknowledgeRequest.pb()),
            "Pull": _method(self._puller.pull, types.PullRequest.pb(), types.PullResponse.pb()),
            "StreamingPull": Method(
                call=self.streaming_pull,
                request=types.StreamingPullRequest.pb(),
                response=types.StreamingPullResponse.pb(),
                server_stream=True,
                client_stream=True,
            ),
            "Seek": _method(self.seek, types.SeekRequest.pb(), types.SeekResponse.pb()),
            "ListSnapshots": _method(
                self.list_snapshots,
                types.ListSnapshotsRequest.pb(),
                types.ListSnapshotsResponse.pb(),
                "project",
            ),
        }

    async def create_subscription(self, request: Any) -> Any:
        """CreateSubscription: it gets what is published from now on."""
        names.check(request.name, "subscriptions")
        names.check(request.topic, "topics", "topic")
        proto = Proto()
        proto.CopyFrom(request)
        completed(proto)
        if request.name in self._registry.subscriptions:
            raise names.already_exists(request.name)
        self._registry.topic(request.topic)
        self._check_dead_letters(proto)
        return self._registry.add_subscription(proto).proto

    async def get_subscription(self, request: Any) -> Any:
        """GetSubscription."""
        return self._registry.subscription(request.subscription).proto

    async def update_subscription(self, request: Any) -> Any:
        """UpdateSubscription: only what the mask names."""
        subscription = self._registry.subscription(request.subscription.name)
        paths = list(request.update_mask.paths)
        proto = updated(subscription.proto, request.subscription, paths)
        if any(path.startswith("dead_letter_policy") for path in paths):
            self._check_dead_letters(proto)
        return self._keep(subscription, proto)

    async def list_subscriptions(self, request: Any) -> Any:
        """ListSubscriptions of a project, in the order of their names."""
        names.check_project(request.project)
        prefix = f"{request.project}/subscriptions/"
        known = self._registry.subscriptions
        page, token = paging.page(sorted(n for n in known if n.startswith(prefix)), request)
        response = types.ListSubscriptionsResponse.pb()
        return response(subscriptions=[known[n].proto for n in page], next_page_token=token)

    async def delete_subscription(self, request: Any) -> Any:
        """DeleteSubscription: its messages are gone at once."""
        subscription = self._registry.subscription(request.subscription)
        self._registry.delete_subscription(subscription)
        self._deliveries.drop(subscription)
        return empty_pb2.Empty()

    async def modify_push_config(self, request: Any) -> Any:
        """ModifyPushConfig: an empty one makes it a pull subscription."""
        subscription = self._registry.subscription(request.subscription)
        proto = Proto()
        proto.CopyFrom(subscription.proto)
        proto.push_config.CopyFrom(request.push_config)
        self._keep(subscription, completed(proto))
        return empty_pb2.Empty()

    def streaming_pull(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """StreamingPull."""
        return self._puller.stream(requests)

    async def seek(self, request: Any) -> Any:
        """Seek to a time; snapshots are not served."""
        subscription = self._registry.subscription(request.subscription)
        if request.WhichOneof("target") != "time":
            raise unimplemented("Seek: only to a time; snapshots are not served here.")
        to = request.time.ToMicroseconds()
        self._deliveries.seek(subscription, to)
        return types.SeekResponse.pb()()

    async def list_snapshots(self, request: Any) -> Any:
        """ListSnapshots: there are none."""
        names.check_project(request.project)
        return types.ListSnapshotsResponse.pb()()

    def _keep(self, subscription: Subscription, proto: Any) -> Any:
        subscription.proto = proto
        self._registry.save(subscription)
        self._clock.changed(NAME)
        return proto

    def _check_dead_letters(self, proto: Any) -> None:
        if proto.HasField("dead_letter_policy"):
            self._registry.topic(proto.dead_letter_policy.dead_letter_topic)


def _method(
    call: Any, request: Any, response: Any = empty_pb2.Empty, subject: str = "subscription"
) -> Method:
    return Method(
        call=call,
        request=request,
        response=response,
        subject=lambda message: getattr(message, subject),
    )
