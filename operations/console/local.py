"""What only the local cloud can do: it is asked of its control API, at LOCAL_URL."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import requests
from werkzeug.wrappers import Request

from operations.console.views import body_of
from operations.errors import OperationsError

TIMEOUT = 3600
"""Seconds: moving the clock by a year takes minutes."""
CHANGES = ("publish", "advance", "tick", "faults", "crash")

Answer = Callable[[Request], Any]


def views() -> Mapping[str, Answer]:
    """What is answered to GET /api/local/NAME."""
    return {f"local/{name}": _getting(name) for name in ("status", "clock")}


def actions() -> Mapping[str, Answer]:
    """What is done for POST /api/local/NAME."""
    return {f"local/{name}": _posting(name) for name in CHANGES}


def announce(url: str) -> None:
    """Tell the local cloud where its console is. Raises OperationsError."""
    _call("POST", "console", {"url": url})


def _getting(name: str) -> Answer:
    return lambda request: _call("GET", name, None)


def _posting(name: str) -> Answer:
    return lambda request: _call("POST", name, body_of(request))


def _call(method: str, name: str, body: Any) -> Any:
    url = f"{os.environ['LOCAL_URL']}/local/v1/{name}"
    try:
        answer = requests.request(method, url, json=body, timeout=TIMEOUT)
        document = answer.json()
    except (requests.RequestException, ValueError) as error:
        text = f"the local cloud does not answer ({type(error).__name__})"
        raise OperationsError(text) from error
    if not answer.ok:
        raise OperationsError(str(document.get("error", {}).get("message", "refused")))
    return document
