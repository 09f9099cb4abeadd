"""What the guarantee costs: the bundle against the naive design, the stock client, and nothing.

    python -m tests.bench.peers

The same event (`payment.failed`) goes to four functions under the same framework, which send the
same message to the same provider:

    nothing   answers
    naive     Redis GET, send, Redis SET: sent twice when two deliveries overlap or one is killed
    stock     a create and a batch with Google's client, around the send, without leases or retries
    bundle    `consumer`, as it is

CPU time is that of a function's own processes, per event. Latency is from handing the event to the
function to the provider receiving the message, with so many events on their way at once, where each
call of Firestore takes 10 ms and each of Redis 1 ms more. Redis is a server of a few lines here,
asked by a client of a few lines, which costs less than the real ones: what a real one costs makes
the naive design slower. A cold start is from the start of a process to its first answer; each
function is deployed from a folder in which its bytecode is made as Google's build makes it.
"""

import contextlib
import http.client
import os
import shutil
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from google.cloud import firestore as google

from common.cloud import firestore
from common.cloud.firestore import Create, Update
from deployment.kinds.functions import BUILD
from deployment.table import source as uploaded
from local.demo.provider import Provider
from local.demo.stage import Stage
from local.testing import LocalCloud
from tests.bench import workers
from tests.bench.events import HEADERS, Event, pushed
from tests.bench.rates import table
from tests.common.wire import running
from tests.functions.shop_cloud import ROOT, SCHEDULER, TASKS

NAMES = ("nothing", "naive", "stock", "bundle")
IN_FLIGHT = (1, 8, 64)
EVENTS = 200
"""Events of one round."""
ROUNDS = 10
"""Of each measurement, one of each function after the other: whatever else the machine does falls
on all of them. The median counts, and of a ratio that of its rounds."""
FIRESTORE, REDIS = 0.010, 0.001
"""Seconds that a call takes more, where latency is measured."""

PEERS = """
import base64, json, os, socket, threading

import functions_framework
import requests
from google.cloud import firestore

here = threading.local()
database = None


def read(event):
    return json.loads(base64.b64decode(event.data["message"]["data"]))


def send(event):
    if not hasattr(here, "session"):
        here.session = requests.Session()
    payload = event["payload"]
    message = {
        "to": payload["email"],
        "subject": f"Your payment for order {payload['order_id']} failed",
        "text": f"Please try again: order {payload['order_id']}, {payload['total']}.",
        "html": f"<p>Please try again: order {payload['order_id']}, {payload['total']}.</p>",
        "template": "payment_retry",
        "user_id": event["user_id"],
    }
    key = {"Idempotency-Key": event["event_id"]}
    here.session.post(os.environ["MESSAGING_URL"], json=message, headers=key).raise_for_status()
    return message


def redis(*words):
    if not hasattr(here, "redis"):
        connection = socket.create_connection(("127.0.0.1", int(os.environ["REDIS_PORT"])))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        here.redis, here.answers = connection, connection.makefile("rb")
    parts = [f"*{len(words)}", *(f"${len(word.encode())}\\r\\n{word}" for word in words), ""]
    here.redis.sendall("\\r\\n".join(parts).encode())
    head = here.answers.readline().strip()
    if head[:1] != b"$":
        return head
    return None if head == b"$-1" else here.answers.read(int(head[1:]) + 2)[:-2]


@functions_framework.cloud_event
def nothing(cloud_event):
    read(cloud_event)


@functions_framework.cloud_event
def naive(cloud_event):
    event = read(cloud_event)
    if redis("GET", event["event_id"]) is None:
        send(event)
        redis("SET", event["event_id"], "done", "EX", "604800")


@functions_framework.cloud_event
def stock(cloud_event):
    global database
    database = database or firestore.Client()
    event = read(cloud_event)
    record = database.collection("stock").document(event["event_id"])
    try:
        record.create({"state": "in_progress", "at": firestore.SERVER_TIMESTAMP})
    except Exception:
        return
    message = send(event)
    batch = database.batch()
    batch.update(record, {"state": "done"})
    batch.create(database.collection("sent").document(event["event_id"]), message)
    batch.commit()
"""
BARE = '''
import functions_framework
from google.cloud import firestore


@functions_framework.cloud_event
def bare(event):
    """Baseline of a cold start."""
'''
Row = Sequence[object]


class Redis(socketserver.ThreadingTCPServer):
    """GET and SET, in the protocol of Redis; `delay` is how many seconds an answer takes more."""

    daemon_threads = True
    delay = 0.0

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        super().__init__(("127.0.0.1", 0), _Connection)


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        assert isinstance(self.server, Redis)
        while head := self.rfile.readline():
            words = []
            for _ in range(int(head[1:])):
                words.append(self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2])
            if self.server.delay:
                time.sleep(self.server.delay)
            self.wfile.write(self._answer(words, self.server.kept))

    def _answer(self, words: list[bytes], kept: dict[bytes, bytes]) -> bytes:
        if words[0] == b"SET":
            kept[words[1]] = words[2]
            return b"+OK\r\n"
        found = kept.get(words[1])
        return b"$-1\r\n" if found is None else b"$%d\r\n%s\r\n" % (len(found), found)


@dataclass
class Peers:
    """The functions, deployed side by side, and what they have around them."""

    cloud: LocalCloud
    redis: Redis
    urls: dict[str, str] = field(default_factory=dict)
    received: dict[str, float] = field(default_factory=dict)
    """When the provider received the message to a user."""

    def note(self, message: Mapping[str, Any]) -> None:
        """The provider has received this message."""
        self.received.setdefault(message["user_id"], time.monotonic())

    def cpu(self, name: str) -> float:
        """Milliseconds of CPU time that an event takes."""
        process = workers.serving(self.urls[name])
        before, used, events = workers.cpu_seconds(process), 0.0, 0
        while used <= 0:  # the system counts in hundredths of a second: a few events may take none
            self.deliver(name, EVENTS, 8)
            events += EVENTS
            used = workers.cpu_seconds(process) - before
        return used / events * 1000

    def latency(self, name: str, in_flight: int) -> list[float]:
        """Milliseconds from handing over each event to its message."""
        began = self.deliver(name, max(EVENTS, 4 * in_flight), in_flight)
        return [(self.received[user] - at) * 1000 for user, at in began.items()]

    def deliver(self, name: str, count: int, in_flight: int) -> dict[str, float]:
        """Deliver new events; by their users, when each was handed to the function."""
        began: dict[str, float] = {}
        events = [payment(uuid.uuid4().hex) for _ in range(count)]
        left = iter(events)
        threads = [
            threading.Thread(target=_work, args=[self.urls[name], left, began])
            for _ in range(in_flight)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(began) == count, f"{name} did not take every event"
        return began


def payment(user: str) -> Event:
    """An event that needs no sign-up."""
    payload = {"order_id": user[:8], "total": 12.5, "email": f"{user}@example.com"}
    ids = {"event_id": uuid.uuid4().hex, "user_id": user}
    return {**ids, "event_type": "payment.failed", "payload": payload}


_lock = threading.Lock()


def _work(url: str, left: Iterator[Event], began: dict[str, float]) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    while True:
        with _lock:
            event = next(left, None)
        if event is None:
            connection.close()
            return
        body, at = pushed(event), time.monotonic()
        connection.request("POST", "/", body, dict(HEADERS))
        answer = connection.getresponse()
        answer.read()
        if answer.status < 300:
            began[event["user_id"]] = at


@contextlib.contextmanager
def deployed() -> Iterator[Peers]:
    """The four functions, each with as many threads as events are ever in flight."""
    with contextlib.ExitStack() as closing:
        provider = closing.enter_context(contextlib.closing(Provider()))
        redis = closing.enter_context(Redis())
        threading.Thread(target=redis.serve_forever, daemon=True).start()
        closing.callback(redis.shutdown)
        stage = closing.enter_context(contextlib.closing(Stage()))
        cloud = closing.enter_context(contextlib.closing(LocalCloud(stage.folder)))
        peers = Peers(cloud, redis)
        provider.before_answer = peers.note
        _deploy(peers, provider, closing)
        yield peers


def _deploy(peers: Peers, provider: Provider, closing: contextlib.ExitStack) -> None:
    environment = {
        "LOCATION": peers.cloud.region,
        "MESSAGING_URL": f"{provider.url}/mail",
        "REDIS_PORT": str(peers.redis.server_address[1]),
        "REMINDER_URL": "http://127.0.0.1:1",
        "REMINDER_AUDIENCE": "https://reminder.example",
        "FANOUT_URL": "http://127.0.0.1:1",
        "FANOUT_AUDIENCE": "https://fanout.example",
        "TASKS_SERVICE_ACCOUNT": TASKS,
        "SCHEDULER_SERVICE_ACCOUNT": SCHEDULER,
    }
    folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
    for name, source in _built(folder).items():
        entry_point = "consumer" if name == "bundle" else name
        # A topic that nothing is published to: the events come from here.
        how: dict[str, Any] = {"topic": f"of-{name}", "entry_point": entry_point}
        peers.urls[name] = peers.cloud.deploy(
            source, name, env=environment, concurrency=max(IN_FLIGHT), **how
        )


def _built(folder: Path) -> dict[str, Path]:
    """The source of each function, with its bytecode."""
    for place, text in (("peers", PEERS), ("bare", BARE)):
        (folder / place).mkdir()
        (folder / place / "main.py").write_text(text)
    for path in uploaded.files(ROOT):
        copy = folder / "bundle" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    build = [sys.executable, "-m", "compileall", "-f", "-q", "."]
    subprocess.run(build, cwd=folder, env={**os.environ, **BUILD}, check=True)
    own = {name: folder / name for name in ("bundle", "bare")}
    return {**dict.fromkeys(NAMES, folder / "peers"), **own}


def main() -> None:
    """Print the tables."""
    with deployed() as peers:
        for name in NAMES:
            peers.deliver(name, 50, 8)
        table("CPU time of an event", ("", "ms", "÷ naive", "events a CPU second"), cpu(peers))
        header = ("", "s", "÷ the first", "s of CPU", "÷ the first")
        table("Cold start, to the first answer", header, cold_starts(peers))
        peers.cloud.faults(rules=[{"service": "Firestore", "latency": FIRESTORE}])
        peers.redis.delay = REDIS
        for name in NAMES:
            peers.deliver(name, max(IN_FLIGHT), max(IN_FLIGHT))
        parts = [f"{name}, {part}" for name in NAMES[1:] for part in ("50 %", "95 %")]
        found = list(latencies(peers))
        table("Milliseconds from the event to its message", ("in flight", *parts), found)
    table("A claim and its completion, CPU of the calling thread", ("", "ms", "÷ stock"), commits())


def cpu(peers: Peers) -> list[Row]:
    """Rows: what an event costs each function."""
    rounds = [[peers.cpu(name) for name in NAMES] for _ in range(ROUNDS)]
    usual, ratios = _compared(rounds, NAMES.index("naive"))
    return [
        (name, ms, ratio, 1000 / ms) for name, ms, ratio in zip(NAMES, usual, ratios, strict=True)
    ]


def cold_starts(peers: Peers) -> list[Row]:
    """Rows: to an answer about nothing, and to one whose event is done."""
    ignored = {**payment("nobody"), "event_type": "of.no.interest"}
    cases = {
        "imports Firestore": ("bare", lambda: ignored),
        "naive, an event done": ("naive", lambda: payment(uuid.uuid4().hex)),
        "stock, an event done": ("stock", lambda: payment(uuid.uuid4().hex)),
        "bundle, first answer": ("bundle", lambda: {**ignored, "event_id": uuid.uuid4().hex}),
        "bundle, an event done": ("bundle", lambda: payment(uuid.uuid4().hex)),
    }
    masters = {name: workers.serving(url) for name, url in peers.urls.items()}

    def start(name: str, event: Callable[[], Event]) -> tuple[float, float]:
        return workers.cold_start(masters[name], HEADERS, pushed(event()))

    rounds = [[start(*case) for case in cases.values()] for _ in range(ROUNDS)]
    took = _compared([[it[0] for it in starts] for starts in rounds])
    used = _compared([[it[1] for it in starts] for starts in rounds])
    return list(zip(cases, *took, *used, strict=True))


def _compared(rounds: Sequence[Sequence[float]], base: int = 0) -> tuple[list[float], list[float]]:
    """The medians of what was measured side by side, and of their ratios to one of it."""
    ratios = [[value / each[base] for value in each] for each in rounds]
    return _medians(rounds), _medians(ratios)


def _medians(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.median(values) for values in zip(*rounds, strict=True)]


def latencies(peers: Peers) -> Iterator[Row]:
    """Rows: by how many events are on their way at once, the median and the slowest 5 %."""
    for in_flight in IN_FLIGHT:
        found = [peers.latency(name, in_flight) for name in NAMES[1:]]
        parts = ((statistics.median(it), statistics.quantiles(it, n=20)[-1]) for it in found)
        yield (str(in_flight), *(value for part in parts for value in part))


RECORD: dict[str, Any] = {
    **{"format": 1, "state": "in_progress", "scope": "consumer", "key": "payment.failed:e-1"},
    **{"owner": "0" * 32, "write_id": "1" * 32, "identity": "2" * 64, "attempts": 1, "steps": {}},
    **dict.fromkeys(("lease_until", "first_seen", "expire_at"), datetime(2030, 1, 1, tzinfo=UTC)),
}
MESSAGE: dict[str, Any] = {
    **{"user_id": "u-1", "template": "payment_retry", "to": "ada@example.com", "state": "sent"},
    **{"subject": "Your payment", "transport": "http", "key": "3" * 32, "text": "x" * 300},
    **dict.fromkeys(("sent_at", "expire_at"), datetime(2030, 1, 1, tzinfo=UTC)),
}
DONE = {"state": "done", "steps.message": '"sent"', "write_id": "4" * 32, "result": '"sent"'}


def commits() -> list[Row]:
    """Rows: the two commits of an event with its message document, by either client."""
    with running():
        client = google.Client(project=os.environ["GOOGLE_CLOUD_PROJECT"])

        def ours() -> None:
            name = uuid.uuid4().hex
            claimed = firestore.commit([Create(path=f"claims/{name}", fields=RECORD)])
            done = Update(path=f"claims/{name}", fields=DONE, update_time=claimed)
            firestore.commit([done, Create(path=f"messages/{name}", fields=MESSAGE)])

        def stock() -> None:
            name = uuid.uuid4().hex
            record = client.document(f"claims/{name}")
            fence = client.write_option(last_update_time=record.create(RECORD).update_time)
            batch = client.batch()
            batch.update(record, DONE, option=fence)
            batch.create(client.document(f"messages/{name}"), MESSAGE)
            batch.commit()

        rounds = [[_thread_time(call) for call in (ours, stock)] for _ in range(ROUNDS)]
        client.close()
    return list(zip(("bundle", "stock"), *_compared(rounds, 1), strict=True))


def _thread_time(call: Callable[[], None], times: int = 100) -> float:
    call()
    began = time.thread_time()
    for _ in range(times):
        call()
    return (time.thread_time() - began) / times * 1000


if __name__ == "__main__":
    main()
