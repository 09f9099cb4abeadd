"""A reset forgets what happened and keeps what is deployed."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.kernel.database import Database
from local.services import statefile
from local.testing import LocalCloud, Refused, local_cloud
from tests.local.counts import Counts

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def cloud(source_of_module: Path) -> Iterator[LocalCloud]:
    """A cloud to which something happened, and which has forgotten that."""
    with local_cloud() as made:
        url = made.deploy(source_of_module, "target")
        made.deploy(source_of_module, "consumer", topic="events")
        queue = made.queue("q")
        made.job("yearly", "0 0 1 1 *", url)
        task = {"name": f"{queue}/tasks/t", "http_request": {"url": url}}
        made.tasks().create_task(parent=queue, task=task)
        made.tasks().create_task(
            parent=queue, task={**task, "name": f"{queue}/tasks/l", "schedule_time": _later(made)}
        )
        made.publish({"n": 1})
        made.advance("400d")
        made.faults(seed=1, errors=0.5)
        made.reset()
        yield made


def _later(cloud: LocalCloud) -> datetime:
    return cloud.now() + timedelta(days=20)


def test_every_table_is_kept_or_forgotten(cloud: LocalCloud) -> None:
    database = Database(cloud.path / "cloud.sqlite")
    rows = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    assert {name for (name,) in rows} == {*statefile.KEPT, *statefile.FORGOTTEN}
    database.close()


def test_documents_tasks_and_faults_are_gone(cloud: LocalCloud) -> None:
    assert list(cloud.firestore().collection("counts").stream()) == []
    status = cloud.status()
    assert status["queues"][0]["tasks"] == 0
    assert status["faults"]["plan"] == {}
    assert (status["deliveries"], cloud.log("target")) == ({}, [])


def test_the_clock_is_real_again(cloud: LocalCloud) -> None:
    assert abs(cloud.now() - datetime.now(UTC)) < HOUR
    due = datetime.fromisoformat(cloud.status()["jobs"][0]["scheduleTime"])
    assert due - datetime.now(UTC) < timedelta(days=366)


def test_what_is_deployed_works_on_and_names_are_free(cloud: LocalCloud, counts: Counts) -> None:
    url, queue = cloud.env["TARGET_URL"], f"projects/{cloud.project}/locations/local/queues/q"
    task = {"name": f"{queue}/tasks/t", "http_request": {"url": url}}
    cloud.tasks().create_task(parent=queue, task=task)
    (message,) = cloud.publish({"n": 2})
    cloud.idle()
    assert counts(cloud) == {"t": 1, message: 1}


def test_an_advance_under_way_is_ended_and_says_so(
    cloud: LocalCloud, source_of_module: Path, tmp_path: Path, until: Callable[..., None]
) -> None:
    url, queue = cloud.deploy(source_of_module, "gated"), cloud.queue("g")
    request = {"url": url, "body": bytes(tmp_path / "never")}
    cloud.tasks().create_task(parent=queue, task={"http_request": request})
    until(lambda: cloud.log("gated") == ["began"])
    said: list[str] = []

    def move() -> None:
        try:
            cloud.advance("1h")
        except Refused as refused:
            said.append(str(refused))

    moving = threading.Thread(target=move)
    moving.start()
    until(lambda: cloud.now() == cloud.now())  # it stands still: the advance is under way
    cloud.reset()
    moving.join(10)
    assert said == ["the local cloud began anew"]
