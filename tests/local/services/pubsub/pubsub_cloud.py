"""The local Pub/Sub on a free port, in a thread of its own, and an endpoint to push to."""

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
from google.cloud import pubsub_v1
from google.pubsub_v1 import PublisherClient as RawPublisher

from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.delivery import Deliverer
from local.kernel.faults import Faults
from local.kernel.identity import open_issuer
from local.kernel.rpc import serve
from local.services.pubsub.service import PubSub

PROJECT = "projects/shop"


def eventually(condition: Callable[[], Any], what: str, seconds: float = 10) -> Any:
    """Wait for a condition to hold; return what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)
    return found


@functools.cache
def signing_key() -> str:
    """One key for all tests: making one takes longer than most of them."""
    database = Database(":memory:")
    assert open_issuer(database, "http://issuer.test").key
    return str(database.get("identity.key"))


class Endpoint:
    """An HTTP server that remembers what it got and answers as told."""

    def __init__(self) -> None:
        self.requests: list[SimpleNamespace] = []
        self.answers: list[int] = []
        """The next statuses, then 200 for ever."""
        self.gate = threading.Event()
        """Cleared: requests wait."""
        self.is_held: Callable[[SimpleNamespace], bool] = lambda request: True
        """Which of them do."""
        self.gate.set()
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = SimpleNamespace(path=self.path, headers=self.headers, body=body)
                self.send_response(endpoint.answer(request))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request: SimpleNamespace) -> int:
        with self._lock:
            self.requests.append(request)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            status = self.answers.pop(0) if self.answers else 200
        if self.is_held(request):
            self.gate.wait(20)
        with self._lock:
            self.at_once -= 1
        return status

    def wait_for(self, count: int) -> list[SimpleNamespace]:
        """The requests, once there are that many."""
        eventually(lambda: len(self.requests) >= count, f"{count} requests")
        return self.requests

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


class Local:
    """A running local Pub/Sub, with the official clients."""

    def __init__(self, state: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.call(self._start(state))
        self.channels: list[grpc.Channel] = []
        self.publisher = pubsub_v1.PublisherClient(transport=self._transport("Publisher"))
        self.subscriber = pubsub_v1.SubscriberClient(transport=self._transport("Subscriber"))

    def call(self, work: Awaitable[Any]) -> Any:
        """Run a coroutine in the cloud's loop."""

        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    def do(self, function: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
        """Call a function in the cloud's loop."""

        async def run() -> Any:
            return function(*args, **named)

        return self.call(run())

    def advance(self, **delta: float) -> None:
        """Move the clock."""
        self.call(self.clock.advance(timedelta(**delta)))

    def idle(self) -> None:
        """Wait until nothing is in flight or due."""
        self.call(self.clock.idle())

    def topic(self, name: str = "events") -> str:
        """A new topic's full name."""
        return str(self.publisher.create_topic(name=f"{PROJECT}/topics/{name}").name)

    def subscription(self, name: str = "reader", topic: str = "events", **settings: Any) -> str:
        """A new subscription's full name."""
        request = {
            "name": f"{PROJECT}/subscriptions/{name}",
            "topic": f"{PROJECT}/topics/{topic}",
            **settings,
        }
        return str(self.subscriber.create_subscription(request=request).name)

    def publish(self, *data: bytes, topic: str = "events", **attributes: str) -> list[str]:
        """Publish messages in one request; return their ids."""
        messages = [{"data": one, "attributes": attributes} for one in data]
        return self.publish_all(f"{PROJECT}/topics/{topic}", messages)

    def publish_all(self, topic: str, messages: list[dict[str, Any]]) -> list[str]:
        """Publish these in one request; return their ids."""
        request = {"topic": topic, "messages": messages}
        return list(RawPublisher.publish(self.publisher, request=request).message_ids)

    def pull(self, subscription: str, count: int = 10) -> list[Any]:
        """What is there now."""
        request = {
            "subscription": subscription,
            "max_messages": count,
            "return_immediately": True,
        }
        return list(self.subscriber.pull(request=request).received_messages)

    def stop(self) -> None:
        """Stop everything, as at the end of the process."""
        for channel in self.channels:
            channel.close()
        self.call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self, state: Path) -> None:
        self.database = Database(state)
        self.database.put("identity.key", signing_key())
        self.clock = Clock(self.database)
        self.deliverer = Deliverer(self.clock, Faults())
        self.issuer = open_issuer(self.database, "http://issuer.test")
        self.service = PubSub(self.database, self.clock, self.deliverer, self.issuer)
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", 64 << 20)])
        serve(self._server, self.service.publisher, Faults())
        serve(self._server, self.service.subscriber, Faults())
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        self._pump = asyncio.create_task(self.service.run())

    async def _stop(self) -> None:
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        await self._server.stop(None)
        await self.deliverer.close()
        self.database.close()

    def _transport(self, kind: str) -> Any:
        channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self.channels.append(channel)
        client = getattr(pubsub_v1, f"{kind}Client")
        return client.get_transport_class("grpc")(channel=channel)
