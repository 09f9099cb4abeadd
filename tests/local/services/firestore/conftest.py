"""The server under test: ours, Google's emulator as a referee, one that is named, or Google.

Every contract test runs against ours; those marked slow are the same tests against Google's
emulator. `@pytest.mark.ours(reason)` marks what that emulator is known to do otherwise. The one
that FIRESTORE_EMULATOR_HOST names, and the real service in CONTRACT_PROJECT, come in addition.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore

from tests.local.services.firestore.firestore_server import (
    Server,
    connect,
    run_emulator,
    run_real,
    run_server,
)

NAMED = os.environ.get("FIRESTORE_EMULATOR_HOST", "")
REAL = os.environ.get("CONTRACT_PROJECT", "")

SERVERS = [
    "ours",
    *(["named"] if NAMED else []),
    *(["real"] if REAL else []),
    pytest.param("google", marks=pytest.mark.slow),
]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ours(reason): Google's emulator differs from the service")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """The real service has no composite index: nobody made one."""
    try:
        return (yield)
    except exceptions.FailedPrecondition as error:
        if _server_of(pyfuncitem) == "real" and "requires an index" in str(error):
            pytest.skip("needs a composite index")
        raise


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The server that the contract tests talk to."""
    if request.param == "ours":
        yield from run_server(str(tmp_path_factory.mktemp("firestore") / "state.sqlite"))
    elif request.param == "named":
        yield Server(NAMED)
    elif request.param == "real":
        yield from run_real(REAL)
    else:
        yield from run_emulator()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server of ours for one test, to move its clock."""
    yield from run_server(str(tmp_path / "state.sqlite"))


@pytest.fixture(autouse=True)
def _ours_only(request: pytest.FixtureRequest) -> None:
    mark = request.node.get_closest_marker("ours")
    if mark and _server_of(request.node) in ("google", "named"):
        pytest.skip(f"Google's emulator differs: {mark.args[0]}")


@pytest.fixture
def client(server: Server) -> Iterator[firestore.Client]:
    """A stock client in an empty project, or in the emptied database of the real service."""
    made = connect(server)
    yield made
    if not server.address:
        for collection in made.collections():
            made.recursive_delete(collection)
    made.close()


def _server_of(item: Any) -> str:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("server", "") if callspec else ""
