"""Talks to a running cloud over HTTP, with the standard library alone: it starts in no time."""

import json
import urllib.error
import urllib.request
from typing import Any

from local.kernel.state import Folder

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Refused(Exception):
    """What was asked was not done; the text says why, in one sentence."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        """The HTTP code, if there was an answer."""


def call(folder: Folder, verb: str, body: dict[str, Any] | None = None) -> Any:
    """POST `/local/v1/VERB` (GET without a body) to the cloud of a folder and return its answer."""
    url = folder.read_env().get("LOCAL_URL") if folder.locked() else None
    if not url:
        raise Refused(f"no local cloud is running in {folder.path}")
    return request(url, "GET" if body is None else "POST", f"/local/v1/{verb}", body)


def request(url: str, verb: str, path: str, body: Any = None) -> Any:
    """Send an HTTP request to the cloud at `url` and return the JSON document it answers; raises
    Refused."""
    asked = urllib.request.Request(url + path, method=verb)
    if body is not None:
        asked.data = json.dumps(body).encode()
        asked.add_header("Content-Type", "application/json")
    try:
        with _direct.open(asked) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(_message(error), error.code) from error
    except (OSError, ValueError) as error:
        raise Refused(f"the local cloud at {url} does not answer: {error}") from error


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError):
        return f"the local cloud answered {error.code}"
