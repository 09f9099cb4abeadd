"""Pub/Sub: both services, and the pump that pushes messages to endpoints."""

import asyncio
import contextlib
import zlib
from datetime import datetime
from typing import Any

from local.kernel import background
from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.delivery import Deliverer
from local.kernel.identity import Issuer
from local.kernel.moments import moment
from local.services.pubsub import push
from local.services.pubsub.backlog import LEASED, READY, Entry
from local.services.pubsub.deliveries import NAME, Deliveries
from local.services.pubsub.publisher import Publisher
from local.services.pubsub.registry import Registry
from local.services.pubsub.subscriber import Subscriber
from local.services.pubsub.subscription import DAY, Proto, Subscription, completed

PUSH_CONCURRENCY = 16
"""Push deliveries in flight per subscription; the platform finds its own number."""


class PubSub:
    """Topics and subscriptions, as the two gRPC services and as their pump."""

    def __init__(
        self, database: Database, clock: Clock, deliverer: Deliverer, issuer: Issuer
    ) -> None:
        self._clock = clock
        self._deliverer = deliverer
        self._registry = Registry(database)
        self._deliveries = Deliveries(database, clock, self._registry)
        self._pusher = push.Pusher(issuer)
        self._tasks: set[asyncio.Task[None]] = set()
        self.publisher = Publisher(self._registry, self._deliveries)
        self.subscriber = Subscriber(self._registry, self._deliveries, clock)
        clock.register(self)

    def create_eventarc_subscription(
        self,
        *,
        project: str,
        region: str,
        function: str,
        topic: str,
        url: str,
        service_account: str,
        retry: bool,
    ) -> str:
        """The subscription of a function's Eventarc trigger; returns its name.

        `topic` is an id or a full name (NOT_FOUND if there is none). Called again for the same
        function it brings endpoint, account and `retry` up to date and keeps everything else, for
        instance a dead-letter policy; with another topic it starts anew.
        """
        topic = topic if "/" in topic else f"projects/{project}/topics/{topic}"
        self._registry.topic(topic)
        name = f"projects/{project}/subscriptions/{_eventarc_id(region, function)}"
        current = self._registry.subscriptions.get(name)
        if current and current.proto.topic != topic:
            self._registry.delete_subscription(current)
            self._deliveries.drop(current)
            current = None
        if current is None:
            current = self._registry.add_subscription(_eventarc_settings(name, topic))
        config = current.proto.push_config
        config.push_endpoint = push.eventarc_endpoint(url, topic)
        config.oidc_token.service_account_email = service_account
        config.oidc_token.audience = url
        current.single_attempt = not retry
        self._registry.save(current)
        self._clock.changed(NAME)
        return name

    def backlog(self) -> dict[str, int]:
        """Messages not yet acknowledged, by subscription name."""
        subscriptions = self._registry.subscriptions.values()
        return {s.name: self._deliveries.backlog.count(s.number) for s in subscriptions}

    async def run(self) -> None:
        """Push what is due, end leases, drop what expired; until cancelled."""
        try:
            while True:
                self._deliveries.expire_leases()
                self._deliveries.sweep_due()
                for subscription in list(self._registry.subscriptions.values()):
                    self._push(subscription)
                await self._clock.wait_until(_earliest(self._own_dues()), NAME)
        finally:
            await self._stop()

    def next_due(self) -> datetime | None:
        """The earliest push, end of a lease, or message for somebody who waits for one."""
        return _earliest(self._own_dues() + self._awaited())

    def _own_dues(self) -> list[int]:
        """What the pump itself has to do."""
        backlog, dues = self._deliveries.backlog, []
        for subscription in self._registry.subscriptions.values():
            dues += [backlog.first(subscription.number, LEASED)]
            dues += [self._deliveries.next_sweep(subscription)]
            if self._slots(subscription) > 0:
                dues += [backlog.first(subscription.number, READY)]
        return [due for due in dues if due is not None]

    def _awaited(self) -> list[int]:
        """What those who pull are about to take."""
        backlog, pulls = self._deliveries.backlog, self._deliveries.pulls
        numbers = [s.number for s in self._registry.subscriptions.values()]
        dues = [backlog.first(number, READY) for number in numbers if pulls.waiting(number)]
        return [due for due in dues if due is not None]

    def _slots(self, subscription: Subscription) -> int:
        if not subscription.endpoint:
            return 0
        return PUSH_CONCURRENCY - self._deliveries.backlog.held(subscription.number)

    def _push(self, subscription: Subscription) -> None:
        for entry in self._deliveries.ready(subscription, self._slots(subscription)):
            self._start(subscription, entry)

    def _start(self, subscription: Subscription, entry: Entry) -> None:
        """Begin one delivery: time stands still, and nobody else takes the message, until it ends.

        Both begin here and not in the task, which starts running only later.
        """
        backlog, number = self._deliveries.backlog, subscription.number
        ending = contextlib.ExitStack()
        ending.callback(self._clock.changed, NAME)
        ending.enter_context(self._clock.busy())
        backlog.hold(number, entry.row)
        ending.callback(backlog.release, number, entry.row)
        task = background.begin(self._deliver(subscription, entry))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: ending.close())

    async def _deliver(self, subscription: Subscription, entry: Entry) -> None:
        reply = await self._deliverer.send(self._pusher.request(subscription, entry))
        if push.acknowledges(reply) or subscription.single_attempt:
            self._deliveries.acknowledge(subscription, entry)
        else:
            self._deliveries.fail(subscription, entry)

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _earliest(dues: list[int]) -> datetime | None:
    return moment(min(dues)) if dues else None


def _eventarc_id(region: str, function: str) -> str:
    """As Eventarc names them: the trigger, then the subscription, each with a number."""
    digits = zlib.crc32(f"{region}/{function}".encode())
    return f"eventarc-{region}-{function}-{digits % 10**6:06}-sub-{digits % 997:03}"


def _eventarc_settings(name: str, topic: str) -> Any:
    proto = Proto(name=name, topic=topic, labels={"goog-eventarc": ""})
    proto.message_retention_duration.seconds = DAY
    proto.expiration_policy.SetInParent()
    proto.retry_policy.minimum_backoff.seconds = 10
    proto.retry_policy.maximum_backoff.seconds = 600
    return completed(proto)
