"""The connections of a thread: one to each place that it calls, kept open from call to call.

    Place(url) ──▶ Connection ──POST──▶ Reply
                       │
                       └─ the other side has hung up meanwhile: connected again

This is the standard library's client, and nothing around it: what a library for the web adds
costs as much again. A redirect is an answer like any other, and the environment has no say: there
are no proxies, and no passwords but those of the URL.
"""

import functools
import http.client
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from select import POLLIN, poll
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import certifi
from msgspec import Struct

from common.outside.answers import Reply

CONNECT_TIMEOUT = 5.0
"""Seconds."""
READ = 4000
"""Bytes of an answer's body that are looked at."""


class NoAnswerError(Exception):
    """There was no answer. The text is the kind of error alone; the cause may show the URL."""

    def __init__(self, kind: str, *, was_sent: bool) -> None:
        super().__init__(kind)
        self.was_sent = was_sent
        """Whether the request has begun to leave, and so may have arrived."""


def post(url: str, content: bytes, headers: Mapping[str, str], *, timeout: float) -> Reply:
    """Post this to a URL of the web, over this thread's connection; what the other side answers.

    `timeout` is how many seconds each part of the answer may take. Raises NoAnswerError, and
    UnicodeError for a header that cannot be sent.
    """
    at = _at(url)
    connection = _kept(at)
    try:
        return connection.exchange(at, content, headers, timeout)
    except (OSError, ValueError, http.client.HTTPException) as error:
        connection.close()
        if isinstance(error, UnicodeError):
            raise
        raise NoAnswerError(type(error).__name__, was_sent=connection.is_sent) from error


class Place(Struct, frozen=True, kw_only=True):
    """A URL, taken apart."""

    scheme: str
    host: str
    port: int
    path: str
    """With what follows its question mark."""
    login: Mapping[str, str]
    """The header that says the name and password of the URL, if it has them."""


class Connection(http.client.HTTPConnection):
    """A connection that notes when a request begins to leave."""

    is_sent = False
    """Whether the last request has begun to leave."""

    def exchange(
        self, at: Place, content: bytes, headers: Mapping[str, str], timeout: float
    ) -> Reply:
        """Post the content and read the answer; raises whatever the library raises."""
        self._begin(min(CONNECT_TIMEOUT, timeout))
        self.request("POST", at.path, content, {**headers, **at.login})
        self.sock.settimeout(timeout)
        response = self.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        start = _start(response, timeout)
        if not (response.isclosed() or response.length == 0):
            self.close()  # there is more of it, which would be the next answer
        response.close()
        return Reply(status=response.status, start=start, headers=names)

    def __del__(self) -> None:
        """Hang up: the thread whose connection this was has ended."""
        self.close()

    def send(self, data: Any) -> None:
        """Let a part of the request leave."""
        _leave(self)
        super().send(data)

    def _begin(self, timeout: float) -> None:
        self.timeout, self.is_sent = timeout, False
        if self.sock is not None and _is_readable(self.sock):
            self.close()  # nobody has asked anything: they have hung up
        elif self.sock is not None:
            self.sock.settimeout(timeout)


class SecureConnection(Connection, http.client.HTTPSConnection):
    """The same to a place whose certificate somebody vouches for."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port, context=_verifying())


def _leave(connection: Connection) -> None:
    """A request begins to leave: from now on it may arrive, even if its answer does not."""
    if connection.sock is None:
        connection.connect()
    connection.is_sent = True


def _is_readable(sock: socket.socket, patience: float = 0.0) -> bool:
    """Whether there is something to read, or the end, within so many seconds."""
    waiting = poll()
    waiting.register(sock, POLLIN)
    return bool(waiting.poll(patience * 1000))


def _start(response: http.client.HTTPResponse, patience: float) -> str:
    """How the body begins. A short one is read whole, which lets the connection be used again; one
    that comes drop by drop is left after `patience` seconds."""
    start, deadline = b"", time.monotonic() + patience
    try:
        while len(start) < READ and time.monotonic() < deadline:
            piece = response.read1(READ - len(start))
            if not piece:
                break
            start += piece
    except (OSError, http.client.HTTPException):
        pass  # the status has been given, and it decides
    return start.decode("utf-8", "replace")


def _at(url: str) -> Place:
    try:
        return _place(url)
    except ValueError as error:
        raise NoAnswerError(type(error).__name__, was_sent=False) from error


@functools.lru_cache(maxsize=64)
def _place(url: str) -> Place:
    """Raises ValueError for what is no URL of the web."""
    parts = urlsplit(url)
    if parts.scheme not in _CONNECTIONS or not parts.hostname or " " in parts.netloc:
        raise ValueError("this is no URL of the web")
    query = parts.query
    return Place(
        scheme=parts.scheme,
        host=parts.hostname.encode("idna").decode(),
        port=parts.port or _CONNECTIONS[parts.scheme].default_port,
        path=quote(parts.path or "/", safe=_KEPT) + (query and f"?{quote(query, safe=_KEPT)}"),
        login=_login(parts.username, parts.password),
    )


def _login(name: str | None, password: str | None) -> Mapping[str, str]:
    if name is None:
        return {}
    said = f"{unquote(name)}:{unquote(password or '')}"
    return {"Authorization": f"Basic {b64encode(said.encode()).decode()}"}


def _kept(at: Place) -> Connection:
    connections: dict[Any, Connection] = vars(_thread).setdefault("connections", {})
    origin = at.scheme, at.host, at.port
    if origin not in connections:
        connections[origin] = _CONNECTIONS[at.scheme](at.host, at.port)
    return connections[origin]


@functools.cache
def _verifying() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())


_thread = threading.local()
_CONNECTIONS: dict[str, type[Connection]] = {"http": Connection, "https": SecureConnection}
_KEPT = "!$%&'()*+,-./:;=?@_~"
"""Characters of a path or a query that stand as they are; a percent sign stands for another."""
