"""Real function processes that are killed: by SIGKILL at every commit, and by SIGTERM."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from common.cloud import firestore
from common.idempotency.record import record_id
from local.testing import LocalCloud, local_cloud
from tests.common.wire import ENVIRONMENT, Wire, running

ROOT = Path(__file__).parents[3]
SOURCE = Path(__file__).parent / "killed"
PATIENCE = 30.0
EFFECTS = ("write", "mail", "done")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with local_cloud(tmp_path_factory.mktemp("cloud")) as made:
        environment = {**ENVIRONMENT, "GOOGLE_CLOUD_PROJECT": made.project}
        made.deploy(SOURCE, "worker", env={**environment, "PYTHONPATH": str(ROOT)})
        yield made


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with running() as made:
        yield made


class TestSigkill:
    @pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
    @pytest.mark.parametrize("commit", [1, 2, 3, 4])
    def test_whatever_was_committed_is_not_repeated(
        self, cloud: LocalCloud, commit: int, before: bool
    ) -> None:
        """The worker is killed right before, or after, one of its four commits is applied."""
        key = f"{commit} {before}"
        cloud.crash("worker", service="Firestore", method="Commit", count=commit, before=before)
        with pytest.raises(requests.RequestException):
            cloud.call("worker", {"key": key})
        cloud.advance("61s")
        answer = _eventually(lambda: _answer(cloud, key))
        assert answer["status"] == ("duplicate" if (commit, before) == (4, False) else "done")
        client = cloud.firestore()
        found = [client.document(f"effects/{key} {name}").get() for name in EFFECTS]
        assert [it.get("times") for it in found] == [1, 1, 1]


def _answer(cloud: LocalCloud, key: str) -> Any:
    try:
        answer = cloud.call("worker", {"key": key})
    except requests.RequestException:  # the next worker is not there yet
        return None
    return answer.json() if answer.status_code == 200 else None


class TestSigterm:
    """As Cloud Run sends it, ten seconds before SIGKILL; here the grace is a split second."""

    def test_work_in_progress_is_given_back(self, wire: Wire) -> None:
        with _worker(wire) as worker, _asked(worker, key="back", seconds=6) as answers:
            _eventually(lambda: "write" in str(_record("back").get("steps")))
            worker.process.terminate()
            _eventually(lambda: _record("back").get("state") == "waiting")
        assert answers == [409]

    def test_what_ends_within_the_grace_is_done(self, wire: Wire) -> None:
        grace = {"GRACE": "5", "LAST_CALL": "6"}
        with _worker(wire, **grace) as worker, _asked(worker, key="soon", seconds=1) as answers:
            _eventually(lambda: "write" in str(_record("soon").get("steps")))
            worker.process.terminate()
        assert (answers, _record("soon")["state"]) == ([200], "done")

    def test_held_work_is_left_alone_in_the_middle_of_an_effect(self, wire: Wire) -> None:
        asked = {"key": "held", "seconds": 1.5, "on_unknown_outcome": "hold"}
        with _worker(wire) as worker, _asked(worker, **asked) as answers:
            _eventually(lambda: "write" in str(_record("held").get("steps")))
            worker.process.terminate()
        assert (answers, _record("held")["state"]) == ([200], "done")


class _Worker:
    """The real server, as the platform starts it."""

    def __init__(self, wire: Wire, extra: dict[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        source = SOURCE / "main.py"
        server = ["-m", "functions_framework", "--target=worker", f"--source={source}"]
        emulator = {"FIRESTORE_EMULATOR_HOST": wire.address, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, *server, "--host=127.0.0.1", f"--port={port}"],
            env={**os.environ, **ENVIRONMENT, **emulator, **extra},
            start_new_session=True,
        )
        _eventually(self._answers)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/robots.txt", timeout=PATIENCE).status_code == 404
        except requests.RequestException:
            return False

    def end(self) -> None:
        """Wait for it after SIGTERM; kill what is left."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def _worker(wire: Wire, **extra: str) -> Iterator[_Worker]:
    worker = _Worker(wire, extra)
    try:
        yield worker
    finally:
        worker.end()


@contextmanager
def _asked(worker: _Worker, **asked: Any) -> Iterator[list[int]]:
    """A call in the background; its status code is there at the end."""
    codes: list[int] = []

    def ask() -> None:
        codes.append(requests.post(worker.url, json=asked, timeout=PATIENCE).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    yield codes
    thread.join(PATIENCE)


def _record(key: str) -> dict[str, Any]:
    return dict(firestore.read(f"idempotency/{record_id('worker', key)}").data)


def _eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found
