"""How often one event crosses from one module to another, and from one room to another.

    python -m tests.bench.crossings

A crossing is a call whose caller and callee are in different modules of `common` or `functions`;
the return is not counted again. The event runs in this process against a local cloud, with the mail
only recorded, so what it prints is a count and not a time.
"""

import base64
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from cloudevents.http import CloudEvent

from local.testing import LocalCloud, local_cloud

ACCOUNT = "tasks@local-project.iam.gserviceaccount.com"
ADDRESS = "http://127.0.0.1:1"
EVENTS: list[tuple[str, str, dict[str, Any]]] = [
    ("order.placed", "order", {"order_id": "o", "total": 1, "cart_id": "c"}),
    ("duplicate", "order", {"order_id": "o", "total": 1, "cart_id": "c"}),
    ("cart.abandoned", "cart", {"cart_id": "d", "total": 1}),
]


class Crossings:
    """Counts the calls from one module to another while it is installed as the profile function."""

    def __init__(self) -> None:
        self.modules: Counter[tuple[str, str]] = Counter()

    def __call__(self, frame: FrameType, what: str, argument: object) -> None:
        caller = frame.f_back
        if what != "call" or caller is None:
            return
        pair = (_module(caller), _module(frame))
        if pair[0] != pair[1] and all(pair):
            self.modules[pair] += 1

    @property
    def rooms(self) -> Counter[tuple[str, str]]:
        """The same from one room to another: a folder of `common`, or a top-level folder."""
        found: Counter[tuple[str, str]] = Counter()
        for (one, other), count in self.modules.items():
            if _room(one) != _room(other):
                found[_room(one), _room(other)] += count
        return found


def counted(do: Callable[[], None]) -> Crossings:
    """The crossings of one call of `do`."""
    crossings = Crossings()
    sys.setprofile(crossings)
    try:
        do()
    finally:
        sys.setprofile(None)
    return crossings


def main() -> None:
    """Print a row for each event."""
    with (
        tempfile.TemporaryDirectory() as folder,
        local_cloud(Path(folder)) as cloud,
        patch.dict(os.environ, _environment(cloud)),
    ):
        cloud.queue("reminders")
        cloud.queue("inventory")
        _measure()


def _measure() -> None:
    from functions.consumer import consumer

    _deliver(consumer, "user.signed_up", "sign-up", {"email": "u@example.com"})
    _deliver(consumer, "order.placed", "warm", {"order_id": "w", "total": 1, "cart_id": "w"})
    _deliver(consumer, "cart.abandoned", "warm too", {"cart_id": "x", "total": 1})
    print(f"{'':16}{'module borders':>16}{'modules':>9}{'both ways':>11}", end="")
    print(f"{'room borders':>14}{'rooms':>7}")
    for name, event_id, payload in EVENTS:
        event_type = "order.placed" if name == "duplicate" else name
        found = counted(lambda: _deliver(consumer, event_type, event_id, payload))  # noqa: B023
        modules, rooms = found.modules, found.rooms
        print(f"{name:16}{modules.total():>16}{_ends(modules):>9}{_both_ways(modules):>11}", end="")
        print(f"{rooms.total():>14}{_ends(rooms):>7}")


def _deliver(
    consumer: Callable[[CloudEvent], Any], event_type: str, event_id: str, payload: dict[str, Any]
) -> None:
    event = {"event_id": event_id, "event_type": event_type, "user_id": "u", "payload": payload}
    data = base64.b64encode(json.dumps(event).encode()).decode()
    attributes = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//s"}
    consumer(CloudEvent(attributes, {"message": {"data": data, "messageId": event_id}}))


def _environment(cloud: LocalCloud) -> dict[str, str]:
    return {
        **cloud.env,
        "LOCATION": cloud.region,
        "REMINDER_URL": ADDRESS,
        "REMINDER_AUDIENCE": ADDRESS,
        "FANOUT_URL": ADDRESS,
        "FANOUT_AUDIENCE": ADDRESS,
        "TASKS_SERVICE_ACCOUNT": ACCOUNT,
        "SCHEDULER_SERVICE_ACCOUNT": ACCOUNT,
        "INVENTORY_URL": ADDRESS,
    }


def _ends(pairs: Counter[tuple[str, str]]) -> int:
    return len({end for pair in pairs for end in pair})


def _both_ways(pairs: Counter[tuple[str, str]]) -> int:
    """How many pairs of modules call each other."""
    return sum((other, one) in pairs for one, other in pairs) // 2


def _module(frame: FrameType) -> str:
    name = str(frame.f_globals.get("__name__"))
    return name if name.startswith(("common.", "functions.")) else ""


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[0] if parts[0] == "functions" else ".".join(parts[:2])


if __name__ == "__main__":
    main()
