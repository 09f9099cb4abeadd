"""The outside world of the demo: a mail provider and an inventory service, on one port.

Both keep one effect per `Idempotency-Key`, as real providers do, and count what arrived.
"""

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Provider:
    """Serves until closed.

    `before_answer` sees every request before it is answered; a ConnectionError that it raises loses
    the answer. `is_down` says of every request whether it is answered 503 and forgotten.
    """

    def __init__(self) -> None:
        self.mails: dict[str, dict[str, Any]] = {}
        """By Idempotency-Key."""
        self.orders: dict[str, dict[str, Any]] = {}
        """What the inventory was told, by Idempotency-Key."""
        self.requests: Counter[str] = Counter()
        """Requests seen, by Idempotency-Key."""
        self.changed: set[str] = set()
        """Keys that came again with other content."""
        self.before_answer: Callable[[dict[str, Any]], None] = lambda body: None
        self.is_down: Callable[[], bool] = lambda: False
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The server's address; mails are posted to `/mail` below it, orders to `/inventory`."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def receive(self, path: str, key: str, body: dict[str, Any]) -> None:
        """Keep a request whose idempotency key is new; count one whose key is known."""
        kept = self.mails if path == "/mail" else self.orders
        with self._lock:
            self.requests[key] += 1
            if kept.setdefault(key, body) != body:
                self.changed.add(key)
        self.before_answer(body)

    def kept(self) -> Counter[tuple[str, str]]:
        """Return how many mails were kept, by (template, user)."""
        with self._lock:
            return Counter((mail["template"], mail["user_id"]) for mail in self.mails.values())

    def repeats(self) -> int:
        """Return how many requests came with a key that was known already."""
        return sum(self.requests.values()) - len(self.requests)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed has hung up: that is the story, not an error in it."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_down = provider.is_down()
            if not is_down:
                provider.receive(self.path, self.headers["Idempotency-Key"], body)
            self.send_response(503 if is_down else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """The timeline tells enough."""

    return Handler
