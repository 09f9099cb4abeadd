"""Faults of REST calls: what the plan says of a method holds over HTTP as it does over gRPC."""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.protobuf.struct_pb2 import Struct

from local.http.rest.routes import Router
from local.http.rest.transcoding import Binding, routes
from local.kernel.faults import Faults, Plan, Rule
from local.kernel.rpc import Method
from local.kernel.status import Status
from local.testing import LocalCloud, local_cloud

BINDINGS = (
    Binding("POST", "/v1/{name=echoes/*}:tell", "Tell", "*"),
    Binding("POST", "/v1/{name=echoes/*}:repeat", "Repeat", "*"),
)


class Echoes:
    """A service that keeps what it was told."""

    name = "test.Echoes"

    def __init__(self) -> None:
        self.told: list[str] = []
        self.faults = Faults()
        self.router = Router(routes(self, BINDINGS), self.faults)

    def methods(self) -> dict[str, Method]:
        """RPC name → method."""
        return {
            "Tell": Method(call=self._tell, request=Struct, response=Struct, subject=_name),
            "Repeat": Method(
                call=self._repeat,
                request=Struct,
                response=Struct,
                subject=_name,
                server_stream=True,
            ),
        }

    async def _tell(self, request: Any) -> Any:
        self.told.append(request["name"])
        return request

    async def _repeat(self, request: Any) -> Any:
        self.told.append(request["name"])
        yield request
        yield request

    def ask(self, name: str, verb: str = "tell", caller: str = "consumer") -> Any:
        """The answer to a call, or the name of its code."""
        path = f"/v1/echoes/{name}:{verb}"
        try:
            return asyncio.run(self.router.dispatch("POST", path, {}, {}, caller=caller))
        except Status as status:
            return status.code.name


def _name(request: Any) -> str:
    return str(request["name"])


@pytest.fixture
def echoes() -> Echoes:
    return Echoes()


def test_nothing_goes_wrong_without_a_plan_and_each_call_is_counted(echoes: Echoes) -> None:
    assert echoes.ask("a") == {"name": "echoes/a"}
    assert echoes.ask("a", "repeat") == [{"name": "echoes/a"}] * 2
    assert dict(echoes.faults.counts) == {("test.Echoes", "Tell"): 1, ("test.Echoes", "Repeat"): 1}


@pytest.mark.parametrize("verb", ["tell", "repeat"])
def test_an_error_comes_instead_of_the_call_and_a_lost_reply_after_it(
    echoes: Echoes, verb: str
) -> None:
    echoes.faults.use(Plan(errors=1, code="ABORTED"))
    assert (echoes.ask("a", verb), echoes.told) == ("ABORTED", [])
    echoes.faults.use(Plan(lost_replies=1))
    assert (echoes.ask("a", verb), echoes.told) == ("UNAVAILABLE", ["echoes/a"])


def test_who_is_no_function_is_spared(echoes: Echoes) -> None:
    echoes.faults.use(Plan(errors=1))
    assert echoes.ask("a", caller="") == {"name": "echoes/a"}


def test_a_rule_covers_a_service_and_its_method(echoes: Echoes) -> None:
    echoes.faults.use(Plan(rules=(Rule(service="Echoes", method="Tell", errors=1),)))
    assert echoes.ask("a") == "UNAVAILABLE"
    assert echoes.ask("a", "repeat") == [{"name": "echoes/a"}] * 2


def test_what_a_call_is_about_decides_with_the_seed(echoes: Echoes) -> None:
    def story(names: list[str]) -> dict[str, Any]:
        echoes.faults.use(Plan(seed=1, errors=0.5))
        return {name: echoes.ask(name) for name in names}

    names = [f"e{it}" for it in range(20)]
    assert story(names) == story(names[::-1])
    assert len({str(it) == "UNAVAILABLE" for it in story(names).values()}) == 2


def test_a_chosen_call_has_its_hook(echoes: Echoes) -> None:
    seen: list[tuple[str, str, str]] = []
    echoes.faults.hooks["consumer"] = lambda *call: seen.append(call)
    echoes.ask("a")
    echoes.ask("a", caller="reminder")
    assert seen == [("test.Echoes", "Tell", "echoes/a")]


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with local_cloud() as made:
        yield made


def test_what_a_function_publishes_over_http_has_the_faults_of_the_plan(
    cloud: LocalCloud, source: Path
) -> None:
    """The port that its environment names answers HTTP, and tells who asks."""
    cloud.deploy(source, "environment")
    path = f"/v1/{cloud.topic('told')}:publish"
    body = {"messages": [{"data": base64.b64encode(b"{}").decode()}]}

    def status(host: str) -> int:
        return requests.post(f"http://{host}{path}", json=body, timeout=10).status_code

    own = cloud.call("environment").json()["PUBSUB_EMULATOR_HOST"]
    anybody = cloud.env["PUBSUB_EMULATOR_HOST"]
    assert (status(own), status(anybody)) == (200, 200)
    cloud.faults(rules=[{"service": "Publisher", "errors": 1.0}])
    assert (status(own), status(anybody)) == (503, 200)
    cloud.faults()
    assert status(own) == 200
