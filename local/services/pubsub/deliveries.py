"""What becomes of a message between its topic and the acknowledgement of each subscription."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from google.pubsub_v1 import types

from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.moments import SECOND, micros, moment
from local.services.pubsub import names
from local.services.pubsub.backlog import LEASED, Backlog, Entry
from local.services.pubsub.pulls import Pulls
from local.services.pubsub.registry import Registry
from local.services.pubsub.subscription import Subscription

Message = types.PubsubMessage.pb()

NAME = "pubsub"
"""Of the service, to the clock."""
FIRST_MESSAGE_ID = 10_000_000_000_000_000
SWEEP = 3600 * SECOND
"""Expired messages leave the file on the hour (they are not delivered before that either)."""
BATCH = 1000

_LAST_ID = "pubsub.last_message_id"


class Deliveries:
    """The transitions of messages. No sockets, no waiting."""

    def __init__(self, database: Database, clock: Clock, registry: Registry) -> None:
        self._database = database
        self._clock = clock
        self._registry = registry
        self.backlog = Backlog(database)
        self.pulls = Pulls()

    def together(self) -> AbstractContextManager[None]:
        """What is done inside is written at once, or not at all."""
        return self._database.transaction()

    def publish(self, topic: str, messages: Iterable[Any]) -> list[str]:
        """Give messages an id and the time, hand them to every subscription; return the ids."""
        self._registry.topic(topic)
        now = self._clock.now()
        with self._database.transaction():
            stamped = self._stamped(messages, now)
            for subscription in self._registry.subscribers(topic):
                ordered = subscription.proto.enable_message_ordering
                rows = [
                    (message.ordering_key if ordered else "", message.SerializeToString())
                    for message in stamped
                    if subscription.accepts(message.attributes)
                ]
                self.backlog.add(subscription.number, micros(now), rows)
        self._clock.changed(NAME)
        return [message.message_id for message in stamped]

    def ready(self, subscription: Subscription, limit: int) -> list[Entry]:
        """What can be delivered now, at most `limit`; what is older than the retention is not."""
        now = micros(self._clock.now())
        entries = self.backlog.take(subscription.number, now, limit)
        if all(entry.published + subscription.retention > now for entry in entries):
            return entries
        self.sweep(subscription)
        return self.ready(subscription, limit)

    def leasable(self, subscription: Subscription, limit: int) -> Iterator[Entry]:
        """What a puller can be given now: behind each entry also the rest of its ordering key."""
        left = limit
        for entry in self.ready(subscription, limit):
            run = [entry, *self.backlog.followers(subscription.number, entry, left - 1)]
            yield from run[:left]
            left -= len(run)
            if left <= 0:
                return

    def acknowledge(self, subscription: Subscription, entry: Entry) -> None:
        """Settle a message that was delivered."""
        now = micros(self._clock.now())
        retain = subscription.proto.retain_acked_messages
        with self._database.transaction():
            self.backlog.settle(subscription.number, entry, now, retain=retain)
        self._returned(subscription, entry.row)

    def fail(self, subscription: Subscription, entry: Entry, since: int | None = None) -> None:
        """An attempt failed (now, or at `since`): again later, or to the dead-letter topic."""
        since = micros(self._clock.now()) if since is None else since
        limit = subscription.max_attempts
        with self._database.transaction():
            taken_back = self.backlog.block(subscription.number, entry.ordering, entry.row)
            if limit is None or entry.attempt < limit or not self._bury(subscription, entry):
                due = since + subscription.backoff(entry.attempt)
                self.backlog.fail(subscription.number, entry.row, due)
        self._returned(subscription, entry.row, *taken_back)

    def expire_leases(self) -> None:
        """Every lease that is over is a failed attempt."""
        now = micros(self._clock.now())
        for subscription in list(self._registry.subscriptions.values()):
            while (first := self.backlog.first(subscription.number, LEASED)) and first <= now:
                for entry in self.backlog.overdue(subscription.number, now, BATCH):
                    self.fail(subscription, entry, entry.due)

    def sweep(self, subscription: Subscription) -> None:
        """Drop what is older than the subscription's retention, and say so."""
        now = micros(self._clock.now())
        with self._database.transaction():
            lost = self.backlog.expire(subscription.number, now - subscription.retention + 1, now)
        if lost:
            print(f"pubsub: {lost} expired undelivered: {subscription.name}", file=sys.stderr)
        self._clock.changed(NAME)

    def sweep_due(self) -> None:
        """Sweep the subscriptions whose time it is."""
        now = micros(self._clock.now())
        for subscription in list(self._registry.subscriptions.values()):
            due = self.next_sweep(subscription)
            if due is not None and due <= now:
                self.sweep(subscription)

    def next_sweep(self, subscription: Subscription) -> int | None:
        """When the next sweep would find something."""
        oldest = self.backlog.oldest(subscription.number)
        if oldest is None:
            return None
        return -(-(oldest + subscription.retention) // SWEEP) * SWEEP

    def seek(self, subscription: Subscription, to: int) -> None:
        """Acknowledge everything published before `to`; deliver the rest, again where need be."""
        with self._database.transaction():
            self.backlog.seek(subscription.number, to, micros(self._clock.now()))
        self._clock.changed(NAME)

    def drop(self, subscription: Subscription) -> None:
        """Forget the whole backlog of a subscription."""
        self.backlog.clear(subscription.number)
        self._clock.changed(NAME)

    def _stamped(self, messages: Iterable[Any], now: datetime) -> list[Any]:
        last = int(self._database.get(_LAST_ID) or FIRST_MESSAGE_ID)
        stamped = []
        for message in messages:
            last += 1
            copy = Message()
            copy.CopyFrom(message)
            copy.message_id = str(last)
            copy.publish_time.FromDatetime(now)
            stamped.append(copy)
        self._database.put(_LAST_ID, str(last))
        return stamped

    def _bury(self, subscription: Subscription, entry: Entry) -> bool:
        """Move a message to the dead-letter topic; False if that topic is gone."""
        topic = subscription.proto.dead_letter_policy.dead_letter_topic
        if topic not in self._registry.topics:
            return False
        self.publish(topic, [_obituary(subscription, entry)])
        self.backlog.settle(subscription.number, entry, micros(self._clock.now()))
        return True

    def _returned(self, subscription: Subscription, *rows: int) -> None:
        self.pulls.returned(subscription.number, rows)
        self._clock.changed(NAME)


def _obituary(subscription: Subscription, entry: Entry) -> Any:
    message = Message.FromString(entry.message)
    published = moment(entry.published).isoformat(timespec="milliseconds")
    prefix = "CloudPubSubDeadLetterSource"
    attributes: Mapping[str, str] = {
        f"{prefix}DeliveryCount": str(entry.attempt),
        f"{prefix}Subscription": names.short(subscription.name),
        f"{prefix}SubscriptionProject": names.project(subscription.name),
        f"{prefix}TopicPublishTime": published,
    }
    message.attributes.update(attributes)
    return message
