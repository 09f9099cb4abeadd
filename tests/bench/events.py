"""What an event costs: calls, documents and dollars, CPU time, and the start of a process.

    python -m tests.bench.events

The bundle is deployed by `deploy.sh` to a local cloud of its own. Costs are per event of each
type, without the reminder or the inventory call it may lead to later. CPU time is that of
consumer's own processes while all events of a type are delivered as fast as they can be; the
baseline is a function that does nothing, fed by the same cloud in the same way. A cold start is
from the start of a process to the answer to its first event, against the same baseline.
"""

import base64
import contextlib
import json
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from local.demo.provider import Provider
from local.demo.stage import Stage
from local.testing import LocalCloud
from tests.bench import spending, workers
from tests.bench.rates import table

TOPIC = "commerce-events"
COUNT = 5
"""Events of each type whose costs are counted."""
MANY = 300
"""Events delivered to measure the CPU time of one."""
STARTS = 3
"""Cold starts of each; the best counts."""
NOTHING = '''
import functions_framework


@functions_framework.cloud_event
def nothing(event):
    """Baseline."""
'''
HEADERS = {
    "Content-Type": "application/json",
    "ce-specversion": "1.0",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    "ce-source": f"//pubsub.googleapis.com/projects/local-project/topics/{TOPIC}",
    "ce-id": "1",
}

Event = dict[str, Any]
Row = Sequence[object]


def main() -> None:
    """Print the tables."""
    with stage() as cloud:
        cloud.publish(*(sign_up(f"known-{n}") for n in range(COUNT)), topic=TOPIC)
        cloud.idle()
        used = ("", "RPCs", "commits", "writes", "reads", "tasks", "$ per million")
        table("Costs of an event", used, list(costs(cloud)))
        speed = ("", "a second", "baseline", "a CPU second", "baseline", "ratio")
        table("Throughput", speed, [throughput(cloud, kind) for kind in (feature, payment)])
        table("Cold start", ("", "s", "baseline", "ratio"), [cold_start(cloud)])


@contextlib.contextmanager
def stage() -> Iterator[LocalCloud]:
    """A local cloud with the bundle, its mail provider, and the baseline's function."""
    provider = Provider()
    urls = {"MESSAGING_URL": f"{provider.url}/mail", "INVENTORY_URL": f"{provider.url}/inventory"}
    with contextlib.ExitStack() as closing:
        closing.callback(provider.close)
        made = Stage(**urls)
        closing.callback(made.close)
        cloud = closing.enter_context(contextlib.closing(LocalCloud(made.folder)))
        source = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        (source / "main.py").write_text(NOTHING)
        cloud.deploy(source, "nothing", topic="nothing")
        yield cloud


def costs(cloud: LocalCloud) -> Iterator[Row]:
    """Rows: each type of event, and an event that was done before."""
    users = [f"known-{n}" for n in range(COUNT)]
    types = {
        "user.signed_up": [sign_up(f"new-{n}") for n in range(COUNT)],
        "order.placed": [order(user) for user in users],
        "order.placed, of a cart": [order(user, cart_id=f"cart-of-{user}") for user in users],
        "cart.abandoned": [cart(user) for user in users],
        "payment.failed": [payment(user) for user in users],
        "user.logged_in, the first": [login(user) for user in users],
        "user.logged_in, later": [login(user) for user in users],
        "feature.used, the first": [feature(user) for user in users],
    }
    types["a duplicate"] = types["order.placed"]
    for name, events in types.items():
        before = spending.so_far(cloud)
        cloud.publish(*events, topic=TOPIC)
        cloud.idle()
        spent = spending.each(spending.so_far(cloud), before, COUNT)
        used = (spent.rpcs, spent.commits, spent.writes, spent.reads, spent.tasks)
        yield (name, *used, f"{spent.dollars():.2f}")


def throughput(cloud: LocalCloud, kind: Any) -> Row:
    """The row: events by the second, and by the second of CPU time, each with the baseline's."""
    events = [kind("known-0") for _ in range(MANY)]
    per_second, per_core = _processed(cloud, "CONSUMER", TOPIC, events)
    bare_per_second, bare_per_core = _processed(cloud, "NOTHING", "nothing", events)
    ratio = per_core / bare_per_core
    return (events[0]["event_type"], per_second, bare_per_second, per_core, bare_per_core, ratio)


def cold_start(cloud: LocalCloud) -> Row:
    """The row: seconds until an event is answered by a process that was not there."""
    functions = [workers.serving(cloud.env[f"{name}_URL"]) for name in ("CONSUMER", "NOTHING")]
    rounds = [
        [
            workers.cold_start(function, HEADERS, pushed(feature("known-0")))[0]
            for function in functions
        ]
        for _ in range(STARTS)
    ]
    consumer, nothing = map(min, zip(*rounds, strict=True))
    return ("consumer", consumer, nothing, consumer / nothing)


def sign_up(user: str) -> Event:
    """An event."""
    return _event("user.signed_up", user, email=f"{user}@example.com", name=user)


def order(user: str, **more: Any) -> Event:
    """An event."""
    return _event("order.placed", user, order_id=uuid.uuid4().hex, total=12.5, **more)


def cart(user: str) -> Event:
    """An event."""
    return _event("cart.abandoned", user, cart_id=uuid.uuid4().hex, total=12.5)


def payment(user: str) -> Event:
    """An event."""
    return _event("payment.failed", user, order_id=uuid.uuid4().hex, total=12.5)


def login(user: str) -> Event:
    """An event."""
    return _event("user.logged_in", user)


def feature(user: str) -> Event:
    """An event."""
    return _event("feature.used", user)


def _event(event_type: str, user: str, **payload: Any) -> Event:
    ids = {"event_id": uuid.uuid4().hex, "user_id": user}
    return {**ids, "event_type": event_type, "payload": payload}


def _processed(
    cloud: LocalCloud, function: str, topic: str, events: Sequence[Event]
) -> tuple[float, float]:
    """Events by the second, and by the second of CPU time of the function's processes."""
    process = workers.serving(cloud.env[f"{function}_URL"])
    cpu, began = workers.cpu_seconds(process), time.monotonic()
    cloud.publish(*events, topic=topic)
    cloud.idle()
    took = time.monotonic() - began
    return len(events) / took, len(events) / (workers.cpu_seconds(process) - cpu)


def pushed(event: Event) -> bytes:
    """The body with which Pub/Sub delivers it for the first time."""
    data = base64.b64encode(json.dumps(event).encode()).decode()
    message = {"data": data, "messageId": uuid.uuid4().hex}
    return json.dumps({"message": message, "deliveryAttempt": 1}).encode()


if __name__ == "__main__":
    main()
