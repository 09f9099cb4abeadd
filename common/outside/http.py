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
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from common.errors import BundleError, PermanentError, UnavailableError
from common.outside import answers, connections, destinations
from common.outside.answers import Reply
from common.outside.connections import NoAnswerError
from common.outside.destinations import Destination

READ_TIMEOUT = 20.0
"""Seconds."""
AGENT = "functions/1"
"""Resend refuses whoever sends no User-Agent."""


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
    try:
        content = json.dumps(body, allow_nan=False).encode()
        return connections.post(url, content, {**_FIXED, **headers}, timeout=timeout)
    except NoAnswerError as error:
        failure: BundleError = UnavailableError(
            f"The other side did not answer ({error}).", outcome_unknown=error.was_sent
        )
    except ValueError as error:
        failure = PermanentError(f"This cannot be sent ({type(error).__name__}).")
    # Outside of the block above: the error has in it where to, or what was to be sent.
    raise failure


def _secrets(url: str) -> list[str]:
    """What a URL may hold that is not to be shown: its path, its password, what is in its query."""
    parts = urlsplit(url)
    path = [piece for piece in parts.path.split("/") if len(piece) > 8]
    return [*path, parts.password or "", *(value for _, value in parse_qsl(parts.query))]


def _texts(body: Mapping[str, Any]) -> list[str]:
    """What of a message an answer must not bring into a log: whom it goes to."""
    return [body["to"]] if isinstance(body.get("to"), str) else []


_FIXED = {"Content-Type": "application/json", "Accept": "*/*"}
