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
import re
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

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
        with _session().post(
            url,
            json=body,
            headers=dict(headers),
            timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
            allow_redirects=False,
            stream=True,
        ) as response:
            names = {name.lower(): value for name, value in response.headers.items()}
            return Reply(
                status=response.status_code, start=_start(response, timeout), headers=names
            )
    except (requests.RequestException, OSError, ValueError) as error:
        failure = _failure(error)
    # Outside of the block above: what the library says of its error has the URL in it.
    raise failure


def _failure(error: Exception) -> BundleError:
    kind = type(error).__name__
    if isinstance(error, requests.exceptions.InvalidJSONError | UnicodeError):
        return PermanentError(f"This cannot be sent ({kind}).")
    return UnavailableError(
        f"The other side did not answer ({kind}).", outcome_unknown=_thread.is_sent
    )


def _session() -> requests.Session:
    """This thread's session: it keeps its connections open, and is not shared safely."""
    session: requests.Session | None = getattr(_thread, "session", None)
    if session is None:
        session = requests.Session()
        session.trust_env = False  # no proxies and no .netrc: the URL says it all
        session.mount("http://", _Adapter())
        session.mount("https://", _Adapter())
        _thread.session = session
    return session


def _start(response: requests.Response, patience: float) -> str:
    """How the body begins. A short one is read whole, which lets the connection be used again; one
    that comes drop by drop is left after `patience` seconds."""
    start, deadline = b"", time.monotonic() + patience
    try:
        while len(start) < READ and time.monotonic() < deadline:
            piece: bytes = response.raw.read1(READ - len(start), decode_content=True)
            if not piece:
                break
            start += piece
    except (urllib3.exceptions.HTTPError, OSError):
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


class _Adapter(HTTPAdapter):
    """Connections that note when a request begins to leave."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
