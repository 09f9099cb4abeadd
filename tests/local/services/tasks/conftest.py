"""What the tests of Cloud Tasks share: a cloud, a restart of it, and who is held to a contract."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.local.services.tasks.tasks_cloud import PARENT, Cloud, Start, Target
from tests.local.services.tasks.tasks_contract import SERVICES, Service, named, real


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    """A signing key; making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def start(tmp_path: Path, key: rsa.RSAPrivateKey) -> Iterator[Start]:
    """Start the cloud on this test's state; calling it again is a restart."""
    running: list[Cloud] = []

    def fresh() -> Cloud:
        while running:
            running.pop().kill()
        running.append(Cloud(tmp_path / "state.db", key))
        return running[0]

    yield fresh
    while running:
        running.pop().kill()


@pytest.fixture
def cloud(start: Start) -> Cloud:
    """The cloud."""
    return start()


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """What the contract tests talk to; its queues are deleted afterwards."""
    with contextlib.ExitStack() as stack:
        if request.param == "ours":
            ours = request.getfixturevalue("cloud")
            made = Service(ours.client, PARENT, ours.target)
        else:
            made = stack.enter_context(named(Target) if request.param == "named" else real())
        stack.callback(made.close)
        yield made


@pytest.fixture
def now() -> datetime:
    """The real present."""
    return datetime.now(UTC)
