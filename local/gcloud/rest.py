"""Requests to the local cloud: plain HTTP on a socket, because `http.client` takes longer to import
than most commands take."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from local.gcloud.errors import ApiError, GcloudError

TIMEOUT = 180.0
"""Seconds; a function may take a minute to start."""
SAFE = "/:-_.~()*"


class Cloud:
    """The local cloud at one address."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **query: str) -> Any:
        """A resource; raises ApiError."""
        return self.call("GET", path, query=query)

    def find(self, path: str) -> Any:
        """A resource, None if it does not exist."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == "NOT_FOUND":
                return None
            raise

    def post(self, path: str, body: Any = None, **query: str) -> Any:
        """Create, or do."""
        return self.call("POST", path, body or {}, query)

    def put(self, path: str, body: Any) -> Any:
        """Create or replace."""
        return self.call("PUT", path, body)

    def patch(self, path: str, body: Any, **query: str) -> Any:
        """Change."""
        return self.call("PATCH", path, body, query)

    def delete(self, path: str) -> Any:
        """Remove."""
        return self.call("DELETE", path)

    def each(self, path: str, key: str, **query: str) -> Iterator[Any]:
        """Yield everything in a collection, page by page."""
        page: dict[str, str] = {}
        while True:
            answer = self.get(path, **query, **page)
            yield from answer.get(key, ())
            if not answer.get("nextPageToken"):
                return
            page = {"pageToken": answer["nextPageToken"]}

    def call(
        self, verb: str, path: str, body: Any = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """One request; raises ApiError for what the cloud refuses."""
        target = quote(path, safe=SAFE) + (f"?{urlencode(query)}" if query else "")
        content = b"" if body is None else json.dumps(body).encode()
        code, text = self._exchange(verb, target, content)
        answer = json.loads(text) if text else {}
        if code >= 400:
            error = answer.get("error", {})
            raise ApiError(error.get("status", f"HTTP {code}"), error.get("message", ""), code)
        return answer

    def _exchange(self, verb: str, target: str, content: bytes) -> tuple[int, bytes]:
        """Sends and receives until the server closes the connection."""
        address = urlsplit(self.url)
        head = (
            f"{verb} {target} HTTP/1.0\r\nHost: {address.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        try:
            with socket.create_connection(
                (address.hostname, address.port or 80), TIMEOUT
            ) as connection:
                connection.sendall(head.encode() + content)
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError as error:
            raise GcloudError(f"no local cloud answers at {self.url}: {error}") from error
        status, _, text = answer.partition(b"\r\n\r\n")
        if not status.startswith(b"HTTP/"):
            raise GcloudError(f"{self.url} closed the connection without an answer")
        return int(status.split(None, 2)[1]), text


def environment() -> dict[str, str]:
    """The addresses of the running cloud: $LOCAL_URL, or the file it keeps them in."""
    values = {"GOOGLE_CLOUD_PROJECT": "local-project"}
    if os.environ.get("LOCAL_URL"):
        return {**values, "LOCAL_URL": os.environ["LOCAL_URL"]}
    path = os.path.join(os.environ.get("LOCAL_STATE") or ".local", "env")
    try:
        with open(path, encoding="utf-8") as file:
            return {**values, **dict(line.rstrip("\n").split("=", 1) for line in file)}
    except OSError as error:
        raise GcloudError(
            "this is the local gcloud, and no local cloud is running; start one with "
            "./deploy.sh local"
        ) from error
