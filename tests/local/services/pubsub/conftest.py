"""The local Pub/Sub, an endpoint to push to, and other Pub/Subs to compare it with."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.cloud import pubsub_v1

from tests.local.services.pubsub.pubsub_cloud import PROJECT, Endpoint, Local, eventually


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
REAL = os.environ.get("CONTRACT_PROJECT")

CLOUDS = [
    "local",
    *(["named"] if NAMED else []),
    *(["real"] if REAL else []),
    pytest.param("google", marks=pytest.mark.slow),
]


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    """The official clients, of the local cloud, of Google's emulator, of the one that
    `PUBSUB_EMULATOR_HOST` names, and of the real service in `CONTRACT_PROJECT`.

    With the project, and a beginning of names that are this test's alone: what is called so is
    deleted afterwards.
    """
    prefix = f"contract-{uuid.uuid4().hex}"
    with _clients(request) as (project, publisher, subscriber):
        yield SimpleNamespace(
            project=project, prefix=prefix, publisher=publisher, subscriber=subscriber
        )
        for subscription in subscriber.list_subscriptions(project=project):
            if f"/{prefix}" in subscription.name:
                subscriber.delete_subscription(subscription=subscription.name)
        for topic in publisher.list_topics(project=project):
            if f"/{prefix}" in topic.name:
                publisher.delete_topic(topic=topic.name)


@contextlib.contextmanager
def _clients(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any, Any]]:
    """The project and the clients of the cloud that a test is for."""
    if request.param == "local":
        running = request.getfixturevalue("local")
        yield PROJECT, running.publisher, running.subscriber
    elif request.param == "real":
        with pytest.MonkeyPatch.context() as environment:
            environment.delenv("PUBSUB_EMULATOR_HOST", raising=False)
            publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
        yield f"projects/{REAL}", publisher, subscriber
        publisher.stop()
        subscriber.close()
    else:
        host_port = NAMED if request.param == "named" else request.getfixturevalue("googles")
        with grpc.insecure_channel(host_port) as channel:
            yield (
                PROJECT,
                *(
                    client(transport=client.get_transport_class("grpc")(channel=channel))
                    for client in (pubsub_v1.PublisherClient, pubsub_v1.SubscriberClient)
                ),
            )


def _listens(host_port: str) -> bool:
    host, port = host_port.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
