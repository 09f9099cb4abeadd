"""The bundle as it is deployed, and whom it calls: they can be away for days."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from google.cloud.firestore_v1.base_query import FieldFilter

from local.testing import local_cloud
from tests.common.web_server import Answer, Asked, serving
from tests.functions.shop_cloud import Shop

ROOT = Path(__file__).parents[2]
UNREACHABLE = {
    # Codes after which the clients do not wait in real time until they call again.
    "Firestore": "DEADLINE_EXCEEDED",
    "CloudTasks": "INTERNAL",
}


@dataclass
class Providers:
    """Who takes the shop's messages and orders."""

    port: int = 0
    says: Answer | None = None
    """What they answer instead of their yes."""
    hangs: threading.Event | None = None
    """They take what is sent, and say nothing until this is set."""
    kept_waiting: int = 0
    """How many calls have had no answer so."""
    accepted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Path and body of whatever they said yes to."""

    def answer(self, asked: Asked) -> Answer:
        if self.hangs is not None:
            self.kept_waiting += 1
            self.hangs.wait(600)
            return Answer(status=0)
        if self.says is not None:
            return self.says
        self.accepted.append((asked.path, json.loads(asked.body)))
        return Answer(status=202)

    @contextmanager
    def up(self) -> Iterator[None]:
        """They can be reached while the block runs."""
        with serving(self.answer, port=self.port) as web:
            self.port = int(web.url.rpartition(":")[2])
            yield

    def taken(self, *users: str) -> Counter[tuple[str, str]]:
        """How often each message, and an order (`inventory`), was accepted, by user."""
        return Counter(
            (body.get("template", path.strip("/")), body["user_id"])
            for path, body in self.accepted
            if body["user_id"] in users
        )


class World(Shop):
    """The shop, whose services can be unreachable."""

    @contextmanager
    def without(self, service: str) -> Iterator[None]:
        """No function reaches this service while the block runs."""
        rule = {"service": service, "errors": 1.0, "code": UNREACHABLE[service]}
        self.cloud.faults(rules=[rule])
        try:
            yield
        finally:
            self.cloud.faults()

    def pass_time(self, **duration: float) -> None:
        """What falls due on the way is delivered."""
        self.cloud.advance(timedelta(**duration))

    def deliveries(self, function: str, **fields: Any) -> int:
        """How often a function was called, for this event for example."""
        return self.actions(function, **fields).count("received")

    def errors(self) -> list[str]:
        """What the functions have called an error."""
        logs = [
            line for name in ("consumer", "reminder", "fanout") for line in self.cloud.log(name)
        ]
        return [line for line in logs if '"severity": "ERROR"' in line]

    def is_done_at_once(self, user: str) -> bool:
        """Whether an event that needs nobody is done with its first delivery."""
        event = self.event("feature.used", user)
        self.publish(event)
        did = self.actions("consumer", event_id=event["event_id"])
        return did.count("received") == 1 and did[-1] == "done"

    def left(self, *users: str) -> list[dict[str, Any]]:
        """The dead letters of users, and of their reminders those that still wait."""
        found = []
        for collection, states in (("dead_letters", ["open"]), ("reminders", ["pending"])):
            query = self.db.collection(collection).where(filter=FieldFilter("state", "in", states))
            found += [it.to_dict() for it in query.stream()]
        return [it for it in found if it["user_id"] in users]


@contextmanager
def deployed_bundle(**settings: str) -> Iterator[World]:
    """The environment `local` of the bundle: queues, lanes and schedules as in production."""
    with local_cloud() as cloud:
        cloud.deploy_bundle(ROOT, **settings)
        yield World(cloud, provider=None)  # type: ignore[arg-type]
