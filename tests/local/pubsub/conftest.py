"""The local Pub/Sub, an endpoint to push to, and other Pub/Subs to compare it with."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from google.cloud import pubsub_v1
from pubsub_cloud import Endpoint, Local, eventually


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    running = Local(tmp_path / "state.db")
    yield running
    running.stop()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    running = Endpoint()
    yield running
    running.close()


@pytest.fixture(scope="module")
def googles() -> Iterator[str]:
    """Google's own emulator, where there is one: its `host:port`."""
    gcloud = shutil.which("gcloud")
    if not gcloud or not shutil.which("java"):
        pytest.skip("no gcloud or no java here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host_port = f"127.0.0.1:{free.getsockname()[1]}"
    command = [gcloud, "beta", "emulators", "pubsub", "start", "--quiet"]
    process = subprocess.Popen(
        [*command, f"--host-port={host_port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually(lambda: process.poll() is not None or _listens(host_port), "emulator", 60)
        if process.poll() is not None:
            pytest.skip("gcloud here has no Pub/Sub emulator")
        yield host_port
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


NAMED = os.environ.get("PUBSUB_EMULATOR_HOST")

CLOUDS = [
    "local",
    *(["named"] if NAMED else []),
    pytest.param("google", marks=pytest.mark.slow),
]


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    """The official clients, of the local cloud, of Google's emulator, and of the one that
    `PUBSUB_EMULATOR_HOST` names."""
    if request.param == "local":
        running = request.getfixturevalue("local")
        yield SimpleNamespace(publisher=running.publisher, subscriber=running.subscriber)
        return
    host_port = NAMED if request.param == "named" else request.getfixturevalue("googles")
    with grpc.insecure_channel(host_port) as channel:
        publisher = pubsub_v1.PublisherClient.get_transport_class("grpc")(channel=channel)
        subscriber = pubsub_v1.SubscriberClient.get_transport_class("grpc")(channel=channel)
        yield SimpleNamespace(
            publisher=pubsub_v1.PublisherClient(transport=publisher),
            subscriber=pubsub_v1.SubscriberClient(transport=subscriber),
        )


def _listens(host_port: str) -> bool:
    host, port = host_port.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
