"""Killed workers: at a chosen call, and by the plan."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.testing import LocalCloud, Refused, local_cloud
from tests.local.counts import Counts

RETRIES = {"maxAttempts": 200, "minBackoff": "1s", "maxBackoff": "1s"}


@pytest.fixture(scope="module")
def deployed(source_of_module: Path) -> Iterator[LocalCloud]:
    """A cloud with `target`, which commits and then reads, and a queue for it."""
    with local_cloud() as made:
        made.deploy(source_of_module, "target")
        made.deploy(source_of_module, "slow")
        made.queue("q", retryConfig=RETRIES)
        yield made


@pytest.fixture
def cloud(deployed: LocalCloud) -> Any:
    """The same, with nothing wrong."""
    deployed.faults()
    return deployed


@pytest.fixture
def create(cloud: LocalCloud) -> Any:
    """Hands tasks to a function; returns their full names' last parts, never used before."""
    return lambda count=1, **options: [one(cloud, **options) for _ in range(count)]


numbers = itertools.count()


def one(cloud: LocalCloud, function: str = "target", body: bytes = b"") -> Any:
    name = f"t{next(numbers)}"
    queue = f"projects/{cloud.project}/locations/{cloud.region}/queues/q"
    request = {"url": cloud.env[f"{function.upper()}_URL"], "body": body}
    task = {"name": f"{queue}/tasks/{name}", "http_request": request}
    cloud.tasks().create_task(parent=queue, task=task)
    return name


def kills(cloud: LocalCloud) -> Any:
    return cloud.status()["faults"]["injected"].get("kills", 0)


def test_a_worker_killed_after_its_commit_has_committed(
    cloud: LocalCloud, create: Any, counts: Counts
) -> None:
    """The reply is lost with the worker, and the delivery is made again."""
    before = kills(cloud)
    cloud.crash("target", service="Firestore", method="Commit")
    (name,) = create()
    cloud.advance("10s")
    assert counts(cloud)[name] == 2
    assert kills(cloud) == before + 1


def test_a_worker_killed_before_its_commit_has_not_committed(
    cloud: LocalCloud, create: Any, counts: Counts
) -> None:
    before = kills(cloud)
    cloud.crash("target", method="Commit", before=True)
    (name,) = create()
    cloud.advance("10s")
    assert counts(cloud)[name] == 1
    assert kills(cloud) == before + 1


def test_the_nth_matching_call_is_the_one(cloud: LocalCloud, create: Any, counts: Counts) -> None:
    cloud.crash("target", method="Commit", count=3)
    names = [create()[0], create()[0]]
    cloud.idle()
    cloud.crash("target", subject="nobody's")
    names += create()
    cloud.advance("10s")
    assert [counts(cloud)[name] for name in names] == [1, 1, 2]


def test_a_kill_now_takes_the_worker_and_the_master_makes_another(
    cloud: LocalCloud, create: Any, counts: Counts
) -> None:
    assert cloud.kill("target") == 1
    (name,) = create()
    cloud.advance("10s")
    assert counts(cloud)[name] == 1


def test_a_delivery_under_way_is_lost_with_its_worker_and_made_again(
    cloud: LocalCloud, create: Any, until: Callable[..., None]
) -> None:
    before = cloud.status()["deliveries"].get("tasks", 0)
    create(function="slow", body=b"0.5")
    until(lambda: cloud.log("slow") == ["began"])
    cloud.kill("slow")
    cloud.advance("10s")
    assert cloud.status()["deliveries"]["tasks"] == before + 2


def test_the_plan_crashes_deliveries_and_loses_none(
    cloud: LocalCloud, create: Any, counts: Counts
) -> None:
    before = kills(cloud)
    cloud.faults(seed=3, crashes=0.15)
    names = create(12)
    cloud.advance("5m")
    assert set(counts(cloud)) >= set(names)
    assert kills(cloud) > before
    assert cloud.status()["queues"][0]["tasks"] == 0


def test_a_trap_for_a_function_that_is_not_there_is_refused(cloud: LocalCloud) -> None:
    with pytest.raises(Refused, match="'reminder' was not found"):
        cloud.crash("reminder")
