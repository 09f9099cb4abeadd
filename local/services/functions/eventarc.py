"""Feeds functions from their topics as Eventarc does, each through a push subscription."""

from typing import Any

import grpc

from local.kernel.rpc import Service
from local.kernel.status import Status
from local.services.functions import runtime
from local.services.functions.catalog import Entry
from local.services.pubsub.service import PubSub

DEFAULT_ACCOUNT = "eventarc@{project}.iam.gserviceaccount.com"
RETRY = "RETRY_POLICY_RETRY"
ACK_DEADLINE = 600
"""Seconds; what Eventarc's own subscriptions should have, set where the server is foreign."""


class Eventarc:
    """The triggers of event-driven functions."""

    def __init__(self, publisher: Service, subscriber: Service, ours: PubSub | None) -> None:
        """`ours` delivers CloudEvents; without it the server is foreign and delivers plain pushes,
        which the functions framework converts."""
        self._publisher = publisher
        self._subscriber = subscriber
        self._ours = ours

    async def subscribe(self, entry: Entry) -> str:
        """Feed a function; returns the subscription's name. The topic is made if it is missing."""
        topic = entry.body["eventTrigger"]["pubsubTopic"]
        await _call(self._publisher, "CreateTopic", grpc.StatusCode.ALREADY_EXISTS, name=topic)
        return self._subscribe(self._ours, entry) if self._ours else await self._push(entry, topic)

    async def unsubscribe(self, subscription: str) -> None:
        """Feed it no longer; that the subscription is gone already is fine."""
        gone = grpc.StatusCode.NOT_FOUND
        await _call(self._subscriber, "DeleteSubscription", gone, subscription=subscription)

    def _subscribe(self, pubsub: PubSub, entry: Entry) -> str:
        project, region, function = runtime.parts(entry.name)
        trigger = entry.body["eventTrigger"]
        account = trigger.get("serviceAccountEmail") or DEFAULT_ACCOUNT.format(project=project)
        return pubsub.create_eventarc_subscription(
            project=project,
            region=region,
            function=function,
            topic=trigger["pubsubTopic"],
            url=entry.body["url"],
            service_account=account,
            retry=trigger.get("retryPolicy") == RETRY,
        )

    async def _push(self, entry: Entry, topic: str) -> str:
        project, region, function = runtime.parts(entry.name)
        name = f"projects/{project}/subscriptions/eventarc-{region}-{function}-local"
        await self.unsubscribe(name)
        await _call(
            self._subscriber,
            "CreateSubscription",
            name=name,
            topic=topic,
            ack_deadline_seconds=ACK_DEADLINE,
            push_config={"push_endpoint": f"{entry.body['url']}/{topic}"},
        )
        return name


async def _call(
    service: Service, rpc: str, fine: grpc.StatusCode | None = None, **fields: Any
) -> None:
    """Call a method; an answer of `fine` is as good as success."""
    method = service.methods()[rpc]
    try:
        await method.call(method.request(**fields))  # type: ignore[misc]
    except Status as status:
        if status.code != fine:
            raise
