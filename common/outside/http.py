"""Calls to others over HTTP: one POST of JSON, with an idempotency key.

A handler says `work.step("sms", lambda key: http.post_json(url, {"to": number}, key=key))`. A call
either has succeeded when `post_json` returns, or raises: PermanentError when the other side refused
it for good, TransientError when it is worth another try. After a TransientError the call may have
arrived all the same (its answer was lost), which is why it carries the key: the other side drops
the repeat if it honours `Idempotency-Key`.
"""

import hashlib
import re
import threading
from collections.abc import Mapping
from typing import Any

import requests
import urllib3

from common.errors import TransientError
from common.outside import answers

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 20.0
"""Seconds."""

_thread = threading.local()


def post_json(
    url: str,
    body: Mapping[str, Any],
    *,
    key: str,
    headers: Mapping[str, str] | None = None,
    timeout: float = READ_TIMEOUT,
) -> None:
    """Post a JSON object; any 2xx answer is the other side's yes. Redirects are not followed.

    `key` is the same for every attempt at this call and for no other; a step gives one. `timeout`
    is in seconds. Raises PermanentError or TransientError.
    """
    sent = {**(headers or {}), "Idempotency-Key": header_key(key)}
    try:
        with _session().post(
            url,
            json=body,
            headers=sent,
            timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
            allow_redirects=False,
            stream=True,
        ) as response:
            answers.check_http(response.status_code, _start(response))
    except requests.RequestException as error:
        raise TransientError(f"The other side did not answer ({type(error).__name__}).") from error


def header_key(key: str) -> str:
    """The key as a header can carry it: as it is if it is short ASCII, else its SHA-256."""
    if re.fullmatch(r"[!-~]{1,200}", key):
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _session() -> requests.Session:
    """This thread's session: it keeps its connections open, and is not shared safely."""
    session: requests.Session | None = getattr(_thread, "session", None)
    if session is None:
        session = requests.Session()
        session.trust_env = False  # no proxies and no .netrc: the URL says it all
        _thread.session = session
    return session


def _start(response: requests.Response) -> str:
    """How the body begins. A short one is read whole, which lets the connection be used again."""
    try:
        start: bytes = response.raw.read(answers.SHOWN, decode_content=True)
    except (urllib3.exceptions.HTTPError, OSError):
        return ""  # the status has been given, and it decides
    return start.decode("utf-8", "replace")
