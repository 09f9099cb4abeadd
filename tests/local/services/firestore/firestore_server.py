"""Servers to run the contract tests against: ours in a thread, Google's emulator, and Google."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_admin_v1 import FirestoreAdminClient
from google.cloud.firestore_admin_v1.types import Database as Database_

from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.faults import Faults
from local.kernel.rpc import serve
from local.services.firestore.service import Firestore


@dataclass
class Server:
    """A running server and, if it is ours, its inside."""

    address: str
    """Empty: the real service, in `project` and `database`."""
    loop: asyncio.AbstractEventLoop | None = None
    firestore: Firestore | None = None
    clock: Clock | None = None
    project: str = ""
    database: str = "(default)"

    def advance(self, delta: timedelta) -> None:
        """Move our server's clock."""
        assert self.loop
        assert self.clock
        asyncio.run_coroutine_threadsafe(self.clock.advance(delta), self.loop).result(20)

    def call(self, function: Any, *arguments: Any) -> Any:
        """Call something of our server's on its own thread."""
        assert self.loop
        done: Future[Any] = Future()

        def run() -> None:
            try:
                done.set_result(function(*arguments))
            except BaseException as error:
                done.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return done.result(20)


async def _serve(path: str, started: Future[Server], stop: Future[None]) -> None:
    database = Database(path)
    clock = Clock(database)
    service = Firestore(database, clock)
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    serve(server, service, Faults())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    pump = asyncio.create_task(service.run())
    loop = asyncio.get_running_loop()
    started.set_result(Server(f"127.0.0.1:{port}", loop, service, clock))
    await asyncio.wrap_future(stop)
    pump.cancel()
    await server.stop(None)
    database.close()


def run_server(path: str) -> Iterator[Server]:
    """Our server on a free port, in a thread of its own, with its state in this file."""
    started: Future[Server] = Future()
    stop: Future[None] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(path, started, stop)))
    thread.start()
    try:
        yield started.result(20)
    finally:
        stop.set_result(None)
        thread.join(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_emulator() -> Iterator[Server]:
    """Google's emulator, where gcloud and Java are found."""
    if not (shutil.which("gcloud") and shutil.which("java")):
        pytest.skip("Google's emulator needs gcloud and Java")
    address = f"127.0.0.1:{_free_port()}"
    command = ["gcloud", "emulators", "firestore", "start", f"--host-port={address}", "--quiet"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for(process, address)
            yield Server(address)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run_real(project: str) -> Iterator[Server]:
    """A database of its own of the real service, deleted afterwards."""
    admin = FirestoreAdminClient()
    created = f"contract-{uuid.uuid4().hex[:12]}"
    settings = Database_(
        location_id=os.environ.get("CONTRACT_LOCATION", "europe-west1"),
        type_=Database_.DatabaseType.FIRESTORE_NATIVE,
    )
    parent = f"projects/{project}"
    admin.create_database(parent=parent, database=settings, database_id=created).result(600)
    try:
        yield Server("", project=project, database=created)
    finally:
        admin.delete_database(name=f"{parent}/databases/{created}").result(600)


def _wait_for(process: subprocess.Popen[bytes], address: str) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.skip("Google's emulator did not start (is the component installed?)")


def connect(
    server: Server, database: str = "", project: str = "", *, asynchronous: bool = False
) -> Any:
    """A stock client of a server, in a project nobody else uses where that costs nothing."""
    make = firestore.AsyncClient if asynchronous else firestore.Client
    project = project or server.project or f"p-{uuid.uuid4().hex[:12]}"
    with pytest.MonkeyPatch.context() as environment:
        if not server.address:
            environment.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
            return make(project=project, database=database or server.database)
        environment.setenv("FIRESTORE_EMULATOR_HOST", server.address)
        return make(
            project=project,
            database=database or server.database,
            credentials=AnonymousCredentials(),
        )
