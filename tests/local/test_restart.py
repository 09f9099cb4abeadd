"""`kill -9` of everything, at any moment, and up again: nothing accepted is lost."""

import contextlib
import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.testing import LocalCloud, Refused
from tests.local.counts import Counts

PROJECT = Path(__file__).parents[2]


class Outside:
    """A cloud in a process of its own, which can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def up(self) -> Iterator[LocalCloud]:
        """It runs inside; at the end, if it still does, it is asked to stop."""
        environ = {**os.environ, "LOCAL_STATE": str(self.folder), "LOCAL_PORT": "0"}
        command = [sys.executable, "-m", "local", "up"]
        with subprocess.Popen(command, cwd=PROJECT, env=environ, stdout=subprocess.PIPE) as process:
            self.process = process
            assert process.stdout
            try:
                while not process.stdout.readline().startswith(b"local cloud: http"):
                    assert process.poll() is None
                with contextlib.closing(LocalCloud(self.folder)) as cloud:
                    yield cloud
            finally:
                process.terminate()

    def kill(self, *, functions: bool = True) -> Any:
        """SIGKILL the cloud, and all it started if asked; returns what it started."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for child in children if functions else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        return children


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path / "cloud")


def create_task(cloud: LocalCloud, queue: Any, name: Any, url: Any, **fields: Any) -> None:
    task = {"name": f"{queue}/tasks/{name}", "http_request": {"url": url}, **fields}
    cloud.tasks().create_task(parent=queue, task=task)


def test_pending_tasks_documents_and_the_clock_survive(
    outside: Outside, source: Path, counts: Counts
) -> None:
    with outside.up() as cloud:
        url, queue = cloud.deploy(source, "target"), cloud.queue("q")
        cloud.advance("3d")
        cloud.firestore().document("a/b").set({"x": 1})
        create_task(cloud, queue, "t", url, schedule_time=cloud.now() + timedelta(hours=2))
        before = cloud.now()
        outside.kill()
    with outside.up() as cloud:
        assert cloud.now() >= before
        assert cloud.env["TARGET_URL"] == url
        assert cloud.firestore().document("a/b").get().get("x") == 1
        cloud.advance("2h")
        assert counts(cloud) == {"t": 1}


def test_what_was_in_flight_is_delivered_again(
    outside: Outside, source: Path, until: Callable[..., None]
) -> None:
    with outside.up() as cloud:
        url, queue = cloud.deploy(source, "slow"), cloud.queue("q")
        request = {"url": url, "body": b"1"}
        create_task(cloud, queue, "t", url, http_request=request)
        until(lambda: cloud.log("slow") == ["began"])
        outside.kill()
    with outside.up() as cloud:
        cloud.idle()
        assert cloud.log("slow") == ["began", "began"]
        assert cloud.status()["queues"][0]["tasks"] == 0


def test_a_message_not_acknowledged_is_delivered_again(
    outside: Outside, source: Path, counts: Counts
) -> None:
    """Accepted while nobody could take it: the function dies at every call."""
    with outside.up() as cloud:
        cloud.deploy(source, "consumer", topic="events")
        cloud.crash("consumer", method="Commit", before=True)
        (message,) = cloud.publish({"n": 1})
        outside.kill()
    with outside.up() as cloud:
        cloud.advance("15m")
        assert counts(cloud) == {message: 1}


def test_functions_do_not_outlive_a_killed_cloud(outside: Outside, source: Path) -> None:
    """And the next cloud has their ports."""
    with outside.up() as cloud:
        url = cloud.deploy(source, "hello")
        orphans = outside.kill(functions=False)
    with outside.up() as cloud:
        assert cloud.env["HELLO_URL"] == url
        _, alive = psutil.wait_procs(orphans, timeout=5)
        assert alive == []


def test_a_function_whose_source_is_gone_does_not_keep_the_cloud_down(
    outside: Outside, source: Path
) -> None:
    with outside.up() as cloud:
        cloud.deploy(source, "hello")
    (source / "main.py").unlink()
    with outside.up() as cloud:
        path = f"/v2/projects/{cloud.project}/locations/local/functions/hello"
        assert cloud.request("GET", path)["state"] == "FAILED"


def test_a_function_that_was_deployed_is_shown_when_it_runs_again(
    outside: Outside, source: Path
) -> None:
    """A deployment that compares what is there finds nothing to do."""
    with outside.up() as cloud:
        cloud.deploy(source, "hello")
        outside.kill()
    with outside.up() as cloud:
        path = f"/v2/projects/{cloud.project}/locations/local/functions/hello"
        assert cloud.request("GET", path)["state"] == "ACTIVE"


@pytest.mark.slow
def test_killed_again_and_again_it_loses_nothing_it_accepted(
    outside: Outside, source: Path, counts: Counts
) -> None:
    """Each time a little later; whatever got a message id is processed in the end."""
    accepted: list[str] = []
    for pause in (0.05, 0.2, 0.4, 0.7):
        with outside.up() as cloud:
            cloud.deploy(source, "consumer", topic="events")
            killer = threading.Timer(pause, outside.kill)
            killer.start()
            with contextlib.suppress(Refused, OSError, http.client.HTTPException):
                while True:
                    accepted += cloud.publish({"n": len(accepted)})
            killer.join()
    with outside.up() as cloud:
        cloud.advance("1h")
        assert len(accepted) > 10
        assert set(counts(cloud)) >= set(accepted)
