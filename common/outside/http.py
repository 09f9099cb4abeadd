"""Calls to others over HTTP: one POST of JSON, with an idempotency key.

A handler says `work.step("sms", lambda key: http.post_json(url, {"to": number}, key=key))`. A call
either has succeeded when `post_json` returns, or raises. PermanentError: this call can never
succeed. UnavailableError: the other side is down, or refuses us; the work waits. After one with
`outcome_unknown` the call may have arrived all the same (its answer was lost), which is why it
carries the key: the other side drops the repeat if it honours `Idempotency-Key`.

No error names the URL, which may hold a key, nor repeats an address or a token of the answer.
"""

import functools
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import certifi
import urllib3
from msgspec import Struct
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout, make_headers, parse_url

from common.errors import BundleError, PermanentError, UnavailableError
from common.outside import answers, destinations
from common.outside.answers import Reply
from common.outside.destinations import Destination

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 20.0
"""Seconds."""
READ = 4000
"""Bytes of an answer's body that are looked at."""
AGENT = "functions/1"
"""Resend refuses whoever sends no User-Agent."""

_thread = threading.local()


def post_json(
    url: str,
    body: Mapping[str, Any],
    *,
    key: str,
    headers: Mapping[str, str] | None = None,
    token: str | None = None,
    timeout: float = READ_TIMEOUT,
) -> None:
    """Post a JSON object; a 2xx answer is the other side's yes. Redirects are not followed.

    `key` is the same for every attempt at this call and for no other; a step gives one. `token` is
    sent as a bearer token, and is a part of the destination; one that is replaced now and then is
    given as a header. `timeout` is in seconds. Raises PermanentError, KeyKnownError or
    UnavailableError.
    """
    sent = {**(headers or {}), "User-Agent": AGENT, "Idempotency-Key": header_key(key)}
    if token:
        sent["Authorization"] = f"Bearer {token}"

    def call() -> None:
        answers.check(_reply(url, body, sent, timeout), secrets)

    def secrets() -> list[str]:
        bearer = sent.get("Authorization", "").partition(" ")[2]
        return [text for text in (bearer, *_secrets(url), *_texts(body)) if text]

    destinations.reach(destination(url, token), call)


@functools.lru_cache(maxsize=64)
def destination(url: str, token: str | None = None) -> Destination:
    """The other side of this URL, reached with this token."""
    parts = urlsplit(url)
    return destinations.named(f"{parts.scheme}://{parts.hostname}", "http", url, token or "")


def header_key(key: str) -> str:
    """The key as a header can carry it: as it is if it is short ASCII, else its SHA-256."""
    if re.fullmatch(r"[!-~]{1,200}", key):
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _reply(url: str, body: Mapping[str, Any], headers: Mapping[str, str], timeout: float) -> Reply:
    """What the other side answers. Raises UnavailableError, or PermanentError for what JSON or a
    header cannot carry."""
    _thread.is_sent = False
    try:
        content, at = _content(body), _place(url)
        response = _pool(at).urlopen(
            "POST",
            at.path,
            content,
            {**_FIXED, **headers, **at.login},
            retries=False,
            redirect=False,
            timeout=Timeout(connect=min(CONNECT_TIMEOUT, timeout), read=timeout),
            preload_content=False,
        )
        try:
            names = {name.lower(): value for name, value in response.headers.items()}
            return Reply(status=response.status, start=_start(response, timeout), headers=names)
        finally:
            response.close()
    except (HTTPError, OSError, ValueError) as error:
        failure = _failure(error)
    # Outside of the block above: what the library says of its error has the URL in it.
    raise failure


class _NoJsonError(ValueError):
    """What is to be sent is not JSON."""


def _content(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode()
    except ValueError as error:
        raise _NoJsonError from error


def _failure(error: Exception) -> BundleError:
    kind = type(error).__name__
    if isinstance(error, _NoJsonError | UnicodeError):
        return PermanentError(f"This cannot be sent ({kind}).")
    return UnavailableError(
        f"The other side did not answer ({kind}).", outcome_unknown=_thread.is_sent
    )


class _Place(Struct, frozen=True, kw_only=True):
    """A URL, taken apart."""

    scheme: str
    host: str
    port: int | None
    path: str
    """With what follows its question mark."""
    login: Mapping[str, str]
    """The header that says the name and password of the URL, if it has them."""


@functools.lru_cache(maxsize=64)
def _place(url: str) -> _Place:
    """Raises ValueError for what is no URL of the web."""
    found = parse_url(url)
    if found.scheme not in _POOLS or not found.host:
        raise ValueError("this is no URL of the web")
    login = make_headers(basic_auth=unquote(found.auth)) if found.auth else {}
    return _Place(
        scheme=found.scheme,
        host=found.host,
        port=found.port,
        path=found.request_uri,
        login={name.title(): value for name, value in login.items()},
    )


def _pool(at: _Place) -> urllib3.HTTPConnectionPool:
    """This thread's connection to a place, which it keeps open. The environment has no say in it:
    there are no proxies, and no passwords but those of the URL."""
    pools: dict[Any, urllib3.HTTPConnectionPool] = vars(_thread).setdefault("pools", {})
    origin = at.scheme, at.host, at.port
    if origin not in pools:
        pools[origin] = _POOLS[at.scheme](at.host, at.port)
    return pools[origin]


def _start(response: urllib3.BaseHTTPResponse, patience: float) -> str:
    """How the body begins. A short one is read whole, which lets the connection be used again; one
    that comes drop by drop is left after `patience` seconds."""
    start, deadline = b"", time.monotonic() + patience
    try:
        while len(start) < READ and time.monotonic() < deadline:
            piece = response.read1(READ - len(start), decode_content=True)
            if not piece:
                break
            start += piece
    except (HTTPError, OSError):
        pass  # the status has been given, and it decides
    return start.decode("utf-8", "replace")


def _secrets(url: str) -> list[str]:
    """What a URL may hold that is not to be shown: its path, its password, what is in its query."""
    parts = urlsplit(url)
    path = [piece for piece in parts.path.split("/") if len(piece) > 8]
    return [*path, parts.password or "", *(value for _, value in parse_qsl(parts.query))]


def _texts(body: Mapping[str, Any]) -> list[str]:
    """What of a message an answer must not bring into a log: whom it goes to."""
    return [body["to"]] if isinstance(body.get("to"), str) else []


class _Noted:
    """A connection that notes when a request begins to leave."""

    def send(self, data: Any) -> None:
        _leave(self)
        super().send(data)  # type: ignore[misc]


def _leave(connection: Any) -> None:
    """A request begins to leave: from now on it may arrive, even if its answer does not."""
    if getattr(connection, "sock", None) is None:
        connection.connect()
    _thread.is_sent = True


class _Http(_Noted, HTTPConnection):
    pass


class _Https(_Noted, HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Https


def _verified(host: str, port: int | None) -> urllib3.HTTPConnectionPool:
    return _HttpsPool(host, port, cert_reqs="CERT_REQUIRED", ca_certs=certifi.where())


_POOLS: dict[str, Callable[[str, int | None], urllib3.HTTPConnectionPool]] = {
    "http": _HttpPool,
    "https": _verified,
}
_FIXED = {"Content-Type": "application/json", "Accept": "*/*"}
