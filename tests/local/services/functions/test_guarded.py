"""No web page reaches a function of this machine."""

from collections.abc import Iterable
from typing import Any

import pytest

from local.services.functions.guarded import guarded
from local.testing import LocalCloud, cloud

__all__ = ["cloud"]


def code(**environ: str) -> str:
    """The status that a request with these headers gets."""
    started: list[str] = []

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        return []

    list(guarded(app)(environ, lambda status, headers: started.append(status)))
    return started[0][:3]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:8080"]
)
def test_whoever_names_this_machine_is_served(host: str) -> None:
    assert code(HTTP_HOST=host) == "200"


def test_a_probe_that_names_no_host_is_served() -> None:
    assert code() == "200"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil@127.0.0.2", "", "[", "0.0.0.0:80"]
)
def test_a_foreign_host_is_refused(host: str) -> None:
    assert code(HTTP_HOST=host) == "403"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8080"])
def test_a_web_page_is_refused(origin: str) -> None:
    assert code(HTTP_HOST="127.0.0.1:8080", HTTP_ORIGIN=origin) == "403"


def test_the_functions_of_the_cloud_are_guarded(cloud: LocalCloud, source: Any) -> None:
    cloud.deploy(source, "hello")
    assert cloud.call("hello").status_code == 200
    assert cloud.call("hello", headers={"Origin": "https://evil.example"}).status_code == 403
    assert cloud.call("hello", headers={"Host": "evil.example"}).status_code == 403
