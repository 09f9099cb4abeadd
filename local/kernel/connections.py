"""HTTP requests over connections that are kept open for a moment, one request at a time on each.

A request is written once. Only where the server has closed a connection that had been kept, before
a word of the response, is one that may be repeated (GET, PUT, …) written again, on another.
"""

import asyncio
import base64
import functools
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from local.kernel.responses import Reading, Response

KEPT = 1.0
"""Seconds a connection is kept for reuse: less than gunicorn's 2, so that none is reused just as
the server closes it."""
NEXT_ADDRESS = 0.25
"""Seconds after which a host's next address is tried too, where it is not this machine."""
HERE = frozenset({"127.0.0.1", "::1", "localhost"})
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 10
OURS = frozenset({"host", "content-length", "transfer-encoding"})
"""Headers that no caller sets."""
_PORTS = {"http": 80, "https": 443}
_LITERAL = "%/?:@!$&'()*+,;="
"""What stays as it is in a path or a query, beside letters, digits and `_.-~`."""

Place = tuple[str, int, bool]
"""Host, port, and whether the connection is encrypted."""


class Unsendable(OSError):
    """A URL or a header that cannot be put on the wire, or one redirect after the other."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a URL says."""

    place: Place
    host: str
    """As the header names it."""
    path: str
    """With the query."""
    authorization: str | None
    """Of the user whom the URL names."""


class Connections:
    """The connections to all servers. Used from one event loop."""

    def __init__(self) -> None:
        self._kept: dict[Place, list[_Connection]] = {}
        self._dropping: asyncio.TimerHandle | None = None

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Response:
        """Make one request. Raises OSError: it could not be sent, or there was no response."""
        target = _target(url)
        data = _written(method, target, headers, body)
        while True:
            connection = self._used(target.place) or await _opened(target.place)
            reading = Reading(method)
            try:
                return await connection.exchange(data, reading)
            except ConnectionError:
                if connection.is_new or reading.is_begun or method not in REPEATABLE:
                    raise
            finally:
                self._keep(target.place, connection)

    async def follow(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Response:
        """Make a request, and those to which the responses redirect. Raises OSError."""
        for _ in range(1 + MOST_REDIRECTS):
            response = await self.request(method, url, headers, body)
            location = response.headers.get("location")
            if response.status not in REDIRECTS or not location:
                return response
            if _becomes_get(method, response.status):
                method, body = "GET", b""
            there = urljoin(url, location)
            if _target(there).place != _target(url).place:
                headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
            url = there
        raise Unsendable("there are too many redirects")

    async def close(self) -> None:
        """Close those that are kept."""
        if self._dropping:
            self._dropping.cancel()
        for kept in self._kept.values():
            for connection in kept:
                connection.close()
        self._kept.clear()
        await asyncio.sleep(0)  # until they are closed

    def _used(self, place: Place) -> "_Connection | None":
        """A connection that is kept and still good."""
        kept, oldest = self._kept.get(place, []), asyncio.get_running_loop().time() - KEPT
        while kept:
            connection = kept.pop()
            if connection.is_free and connection.since > oldest:
                connection.is_new = False
                return connection
            connection.close()
        return None

    def _keep(self, place: Place, connection: "_Connection") -> None:
        """Keep a connection for the next request, if it is good for that."""
        if not connection.is_free:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.since = loop.time()
        self._kept.setdefault(place, []).append(connection)
        if self._dropping is None:
            self._dropping = loop.call_later(KEPT, self._drop)

    def _drop(self) -> None:
        """Close what was not used for a while."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - KEPT
        for place, kept in list(self._kept.items()):
            self._kept[place] = [it for it in kept if it.is_free and it.since > oldest]
            for connection in set(kept) - set(self._kept[place]):
                connection.close()
            if not self._kept[place]:
                del self._kept[place]
        self._dropping = loop.call_later(KEPT, self._drop) if self._kept else None


class _Connection(asyncio.Protocol):
    """One connection: free, or in the middle of a request."""

    def __init__(self) -> None:
        self.is_new = True
        self.since = 0.0
        """When its last request was over, by the event loop's clock."""
        self._is_good = True
        self._reading: Reading | None = None
        self._response: asyncio.Future[Response] | None = None

    @property
    def is_free(self) -> bool:
        """Whether it can be used for another request."""
        return self._is_good and not self._transport.is_closing()

    async def exchange(self, data: bytes, reading: Reading) -> Response:
        """Write a request and read the response. Raises OSError."""
        self._is_good = False
        self._reading = reading
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        response = await self._response
        self._reading = self._response = None
        self._is_good = reading.keeps_open and not self._transport.get_write_buffer_size()
        return response

    def close(self) -> None:
        """Close it at once."""
        self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._reading is None:  # nobody has asked for anything
            self.close()
            return
        try:
            self._settle(self._reading.feed(data))
        except ConnectionError as error:
            self._fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        self._is_good = False
        if self._reading is None:
            return
        try:
            if error:
                raise ConnectionResetError(str(error)) from error
            self._settle(self._reading.end())
        except ConnectionError as lost:
            self._fail(lost)

    def _settle(self, response: Response | None) -> None:
        if response and self._response and not self._response.done():
            self._response.set_result(response)

    def _fail(self, error: OSError) -> None:
        if self._response and not self._response.done():
            self._response.set_exception(error)


async def _opened(place: Place) -> _Connection:
    host, port, is_encrypted = place
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection,
            host,
            port,
            ssl=_encryption() if is_encrypted else None,
            # In a race of addresses asyncio loses the socket of one that is given up.
            happy_eyeballs_delay=None if host in HERE else NEXT_ADDRESS,
        )
    except TimeoutError as error:  # the network's, which is nobody's deadline
        raise ConnectionError(f"{host} does not answer") from error
    return connection


@functools.cache
def _encryption() -> ssl.SSLContext:
    return ssl.create_default_context()


def _written(method: str, target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    """The request as it goes over the wire. Raises Unsendable."""
    sent = {name: value for name, value in headers.items() if name.lower() not in OURS}
    names = {name.lower() for name in sent}
    lines = [f"{method} {target.path} HTTP/1.1", f"Host: {target.host}"]
    lines += [f"{name}: {value}" for name, value in sent.items()]
    if "accept-encoding" not in names:
        lines.append("Accept-Encoding: gzip, deflate")
    if target.authorization and "authorization" not in names:
        lines.append(f"Authorization: {target.authorization}")
    lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines)
    if any(head.count(sign) != len(lines) - 1 for sign in "\r\n") or "\0" in head:
        raise Unsendable("a header has a control character")
    try:
        return f"{head}\r\n\r\n".encode() + body
    except UnicodeEncodeError as error:
        raise Unsendable(f"a header has half a character: {error.reason}") from error


@functools.lru_cache(maxsize=1024)
def _target(url: str) -> Target:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise Unsendable(f"{url!r:.200} is no URL: {error}") from error
    if not host or not port or parts.scheme not in _PORTS:
        raise Unsendable(f"{url!r:.200} is no URL of HTTP")
    named = f"[{host}]" if ":" in host else host
    query = f"?{parts.query}" if parts.query else ""
    return Target(
        place=(host, port, parts.scheme == "https"),
        host=named if port == _PORTS[parts.scheme] else f"{named}:{port}",
        path=quote(f"{parts.path or '/'}{query}", safe=_LITERAL),
        authorization=_authorization(parts),
    )


def _authorization(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    text = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def _becomes_get(method: str, status: int) -> bool:
    """Whether a redirected request goes on as a GET."""
    return (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST")
