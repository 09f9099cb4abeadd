"""Feeds a function from its topic as Eventarc does, through a push subscription."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from local import runtime
from local.catalog import Entry
from local.pubsub.service import PubSub
from local.rpc import Service
from local.status import Status

DEFAULT_ACCOUNT = "eventarc@{project}.iam.gserviceaccount.com"
RETRY = "RETRY_POLICY_RETRY"
ACK_DEADLINE = 600


def ours(pubsub: PubSub) -> Callable[[Entry], Awaitable[str]]:
    """Subscribes with our Pub/Sub, which delivers CloudEvents."""

    async def subscribe(entry: Entry) -> str:
        project, region, function = runtime.parts(entry.name)
        trigger = entry.body["eventTrigger"]
        account = trigger.get("serviceAccountEmail") or DEFAULT_ACCOUNT.format(project=project)
        await _create_topic(pubsub.publisher, trigger["pubsubTopic"])
        return pubsub.create_eventarc_subscription(
            project=project,
            region=region,
            function=function,
            topic=trigger["pubsubTopic"],
            url=entry.body["url"],
            service_account=account,
            retry=trigger.get("retryPolicy") == RETRY,
        )

    return subscribe


def foreign(publisher: Service, subscriber: Service) -> Callable[[Entry], Awaitable[str]]:
    """Subscribes with somebody else's, which delivers plain pushes; the framework converts them."""

    async def subscribe(entry: Entry) -> str:
        project, region, function = runtime.parts(entry.name)
        name = f"projects/{project}/subscriptions/eventarc-{region}-{function}-local"
        topic = entry.body["eventTrigger"]["pubsubTopic"]
        await _create_topic(publisher, topic)
        with contextlib.suppress(Status):
            await _call(subscriber, "DeleteSubscription", subscription=name)
        await _call(
            subscriber,
            "CreateSubscription",
            name=name,
            topic=topic,
            ack_deadline_seconds=ACK_DEADLINE,
            push_config={"push_endpoint": f"{entry.body['url']}/{topic}"},
        )
        return name

    return subscribe


def unsubscriber(subscriber: Service) -> Callable[[str], Awaitable[None]]:
    """Deletes a subscription; that it is gone already is fine."""

    async def unsubscribe(name: str) -> None:
        try:
            await _call(subscriber, "DeleteSubscription", subscription=name)
        except Status as status:
            if status.code != grpc.StatusCode.NOT_FOUND:
                raise

    return unsubscribe


async def _create_topic(publisher: Service, topic: str) -> None:
    try:
        await _call(publisher, "CreateTopic", name=topic)
    except Status as status:
        if status.code != grpc.StatusCode.ALREADY_EXISTS:
            raise


async def _call(service: Service, rpc: str, **fields: Any) -> Any:
    method = service.methods()[rpc]
    return await method.call(method.request(**fields))  # type: ignore[misc]
