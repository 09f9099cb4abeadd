"""The server under test: ours, or Google's emulator as a referee.

Every contract test runs against ours; those marked slow are the same tests against Google's
emulator. `@pytest.mark.ours(reason)` marks what that emulator is known to do otherwise.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from firestore_server import Server, connect, run_emulator, run_server
from google.cloud import firestore


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ours(reason): Google's emulator differs from the service")


@pytest.fixture(scope="session", params=["ours", pytest.param("google", marks=pytest.mark.slow)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The server that the contract tests talk to."""
    if request.param == "ours":
        yield from run_server(str(tmp_path_factory.mktemp("firestore") / "state.sqlite"))
    else:
        yield from run_emulator()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server of ours for one test, to move its clock."""
    yield from run_server(str(tmp_path / "state.sqlite"))


@pytest.fixture(autouse=True)
def _ours_only(request: pytest.FixtureRequest) -> None:
    mark = request.node.get_closest_marker("ours")
    callspec = getattr(request.node, "callspec", None)
    if mark and callspec and callspec.params.get("server") == "google":
        pytest.skip(f"Google's emulator differs: {mark.args[0]}")


@pytest.fixture
def client(server: Server) -> Iterator[firestore.Client]:
    """A stock client in an empty project."""
    made = connect(server)
    yield made
    made.close()
