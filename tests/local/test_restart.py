"""`kill -9` of everything, at any moment, and up again: nothing accepted is lost."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.testing import LocalCloud, Refused, local_cloud
from tests.local.counts import Counts
from tests.local.outside import Outside


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path / "cloud")


def create_task(cloud: LocalCloud, queue: Any, name: Any, url: Any, **fields: Any) -> None:
    task = {"name": f"{queue}/tasks/{name}", "http_request": {"url": url}, **fields}
    cloud.tasks().create_task(parent=queue, task=task)


@dataclass(frozen=True, kw_only=True)
class Killed:
    """What there was when a cloud was killed, and the cloud that was started after it."""

    cloud: LocalCloud
    addresses: dict[str, str]
    now: datetime
    message: str
    """Accepted while nobody could take it: the function died at the call."""
    orphans: list[psutil.Process]


@pytest.fixture(scope="module")
def after(source_of_module: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    """A cloud in the middle of everything is killed, alone, without its functions; the next one."""
    outside = Outside(tmp_path_factory.mktemp("killed") / "cloud")
    with outside.up() as cloud:
        target = cloud.deploy(source_of_module, "target")
        slow = cloud.deploy(source_of_module, "slow")
        cloud.deploy(source_of_module, "consumer", topic="events")
        queue = cloud.queue("q")
        cloud.advance("3d")
        cloud.firestore().document("a/b").set({"x": 1})
        create_task(cloud, queue, "t", target, schedule_time=cloud.now() + timedelta(hours=2))
        cloud.crash("consumer", method="Commit", before=True)
        (message,) = cloud.publish({"n": 1})
        create_task(cloud, queue, "s", slow, http_request={"url": slow, "body": b"1"})
        deadline = time.monotonic() + 20
        while cloud.log("slow") != ["began"]:
            assert time.monotonic() < deadline, "it was not called"
        before, addresses = cloud.now(), cloud.env
        orphans = outside.kill(functions=False)
    with outside.up() as cloud:
        yield Killed(cloud=cloud, addresses=addresses, now=before, message=message, orphans=orphans)


def test_documents_addresses_and_the_clock_survive(after: Killed) -> None:
    """And functions, shown as running: a deployment that compares finds nothing to do."""
    assert after.cloud.now() >= after.now
    assert after.cloud.env == after.addresses
    assert after.cloud.firestore().document("a/b").get().get("x") == 1
    path = f"/v2/projects/{after.cloud.project}/locations/local/functions/target"
    assert after.cloud.request("GET", path)["state"] == "ACTIVE"


def test_functions_do_not_outlive_a_killed_cloud(after: Killed) -> None:
    """And the next cloud has their ports."""
    _, alive = psutil.wait_procs(after.orphans, timeout=5)
    assert alive == []


def test_what_was_in_flight_is_delivered_again(after: Killed, until: Callable[..., None]) -> None:
    after.cloud.idle()
    until(lambda: after.cloud.log("slow") == ["began", "began"])


def test_pending_tasks_and_messages_survive(after: Killed, counts: Counts) -> None:
    after.cloud.advance("2h")
    assert counts(after.cloud) == {"t": 1, after.message: 1}
    assert after.cloud.status()["queues"][0]["tasks"] == 0


def test_a_function_whose_source_is_gone_does_not_keep_the_cloud_down(
    tmp_path: Path, source: Path
) -> None:
    with local_cloud(tmp_path / "cloud") as cloud:
        cloud.deploy(source, "hello")
    (source / "main.py").unlink()
    with local_cloud(tmp_path / "cloud") as cloud:
        path = f"/v2/projects/{cloud.project}/locations/local/functions/hello"
        assert cloud.request("GET", path)["state"] == "FAILED"


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
