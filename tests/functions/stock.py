"""An inventory service over a socket, and beside it the metadata server of the function."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from common.process import settings
from functions.shop import settings as shop
from tests.common.web_server import Answer, Asked, WebServer, serving

GOOGLE = {"Metadata-Flavor": "Google"}
LOST = Answer(status=0)
REFUSED = Answer(status=413)
KNOWN = Answer(status=409, body=b'{"name": "invalid_idempotent_request"}')


@dataclass
class Stock:
    """The service, and what it and the metadata server were asked."""

    server: WebServer

    @property
    def url(self) -> str:
        """Where it is told."""
        return f"{self.server.url}/orders"

    @property
    def posted(self) -> list[Asked]:
        """All that it was told, in order."""
        return [it for it in self.server.asked if it.method == "POST"]

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Key and content of each."""
        return [(it.headers["idempotency-key"], json.loads(it.body)) for it in self.posted]

    @property
    def audiences(self) -> list[str]:
        """Those for which a token was asked for."""
        queries = [urlsplit(it.path).query for it in self.server.asked if it.method == "GET"]
        return [parse_qs(query)["audience"][0] for query in queries]


@contextmanager
def stocked(
    environment: pytest.MonkeyPatch, answer: Callable[[Asked], Answer] = lambda asked: Answer()
) -> Iterator[Stock]:
    """A service that answers so, which the functions tell of orders."""

    def either(asked: Asked) -> Answer:
        return (
            Answer(body=b"who.we.are", headers=GOOGLE) if asked.method == "GET" else answer(asked)
        )

    with serving(either) as server:
        environment.setenv("INVENTORY_URL", f"{server.url}/orders?shop=1#top")
        environment.setenv("GCE_METADATA_HOST", server.url.removeprefix("http://"))
        settings.current.cache_clear()
        shop.current.cache_clear()
        yield Stock(server)
