"""What only the local cloud can do, for its page."""

from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.wrappers import Request

from operations.console.views import body_of
from operations.place import cloud

CHANGES = ("publish", "advance", "tick", "faults", "crash")

Answer = Callable[[Request], Any]


def views() -> Mapping[str, Answer]:
    """What is answered to GET /api/local/NAME."""
    return {f"local/{name}": _getting(name) for name in ("status", "clock")}


def actions() -> Mapping[str, Answer]:
    """What is done for POST /api/local/NAME."""
    return {f"local/{name}": _posting(name) for name in CHANGES}


def _getting(name: str) -> Answer:
    return lambda request: cloud.call("GET", name)


def _posting(name: str) -> Answer:
    return lambda request: cloud.call("POST", name, body_of(request))
