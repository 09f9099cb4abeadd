"""The control API of the local cloud, at LOCAL_URL: what Google's services have no call for."""

import os
from typing import Any

import requests

from operations.errors import OperationsError

TIMEOUT = 3600
"""Seconds: moving the clock by a year takes minutes."""


def call(method: str, name: str, body: Any = None) -> Any:
    """Ask the local cloud for something. Raises OperationsError with what it says."""
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


def idle() -> None:
    """Wait until nobody is at work. Raises OperationsError."""
    call("POST", "idle", {})


def announce(url: str) -> None:
    """Tell the local cloud where its console is. Raises OperationsError."""
    call("POST", "console", {"url": url})
