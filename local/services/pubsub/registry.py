"""Which topics and subscriptions there are: kept in memory, and in the state file."""

from typing import Any

from google.pubsub_v1 import types

from local.kernel.database import Database
from local.services.pubsub import names
from local.services.pubsub.subscription import Proto, Subscription

Topic = types.Topic.pb()

_TABLES = """
CREATE TABLE IF NOT EXISTS pubsub_topics (name TEXT PRIMARY KEY, proto BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pubsub_subscriptions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    single_attempt INTEGER NOT NULL,
    proto BLOB NOT NULL
);
"""


class Registry:
    """Topics and subscriptions by name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_TABLES)
        self.topics: dict[str, Any] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self._load()

    def topic(self, name: str) -> Any:
        """The topic, or NOT_FOUND."""
        if name not in self.topics:
            names.check(name, "topics")
            raise names.not_found(name)
        return self.topics[name]

    def put_topic(self, proto: Any) -> None:
        """Add or replace a topic."""
        self.topics[proto.name] = proto
        self._database.execute(
            "INSERT OR REPLACE INTO pubsub_topics VALUES (?, ?)",
            (proto.name, proto.SerializeToString()),
        )

    def delete_topic(self, name: str) -> None:
        """Delete a topic; its subscriptions stay, without one."""
        self.topic(name)
        with self._database.transaction():
            self._database.execute("DELETE FROM pubsub_topics WHERE name = ?", (name,))
            for subscription in self.subscribers(name):
                subscription.proto.topic = names.DELETED_TOPIC
                self.save(subscription)
        del self.topics[name]

    def subscription(self, name: str) -> Subscription:
        """The subscription, or NOT_FOUND."""
        if name not in self.subscriptions:
            names.check(name, "subscriptions")
            raise names.not_found(name)
        return self.subscriptions[name]

    def subscribers(self, topic: str) -> list[Subscription]:
        """The subscriptions attached to a topic."""
        return [s for s in self.subscriptions.values() if s.proto.topic == topic]

    def add_subscription(self, proto: Any, *, single_attempt: bool = False) -> Subscription:
        """A new subscription; ALREADY_EXISTS if there is one of this name."""
        if proto.name in self.subscriptions:
            raise names.already_exists(proto.name)
        cursor = self._database.execute(
            "INSERT INTO pubsub_subscriptions (name, single_attempt, proto) VALUES (?, ?, ?)",
            (proto.name, single_attempt, proto.SerializeToString()),
        )
        assert cursor.lastrowid is not None
        subscription = Subscription(cursor.lastrowid, proto, single_attempt)
        self.subscriptions[proto.name] = subscription
        return subscription

    def save(self, subscription: Subscription) -> None:
        """Keep changed settings."""
        self._database.execute(
            "UPDATE pubsub_subscriptions SET single_attempt = ?, proto = ? WHERE number = ?",
            (
                subscription.single_attempt,
                subscription.proto.SerializeToString(),
                subscription.number,
            ),
        )

    def delete_subscription(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        del self.subscriptions[subscription.name]
        self._database.execute(
            "DELETE FROM pubsub_subscriptions WHERE number = ?", (subscription.number,)
        )

    def _load(self) -> None:
        for name, data in self._database.execute("SELECT name, proto FROM pubsub_topics"):
            self.topics[name] = Topic.FromString(data)
        rows = self._database.execute(
            "SELECT number, single_attempt, proto FROM pubsub_subscriptions ORDER BY number"
        )
        for number, single_attempt, data in rows:
            proto = Proto.FromString(data)
            self.subscriptions[proto.name] = Subscription(number, proto, bool(single_attempt))
