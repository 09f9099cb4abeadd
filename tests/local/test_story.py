"""The same seed tells the same story, whatever the threads do."""

from pathlib import Path
from typing import Any

from local.testing import local_cloud
from tests.local.counts import Counts

RETRIES = {"maxAttempts": 50, "minBackoff": "1s", "maxBackoff": "4s"}
NASTY = {"duplicates": 0.3, "drops": 0.2, "lost_acks": 0.2, "reorder": 0.3}


def told(seed: Any, source: Path, counts: Counts) -> Any:
    """How often each of thirty tasks was carried out by a fresh cloud, and what was injected."""
    with local_cloud() as cloud:
        url, queue = cloud.deploy(source, "target"), cloud.queue("q", retryConfig=RETRIES)
        cloud.faults(seed=seed, **NASTY)
        for number in range(30):
            task = {"name": f"{queue}/tasks/t{number}", "http_request": {"url": url}}
            cloud.tasks().create_task(parent=queue, task=task)
        cloud.advance("10m")
        return counts(cloud), cloud.status()["faults"]["injected"]


def test_the_same_seed_tells_the_same_story(source: Path, counts: Counts) -> None:
    first = told(1, source, counts)
    assert told(1, source, counts) == first
    assert told(2, source, counts) != first


def test_nothing_is_lost_and_something_is_repeated(source: Path, counts: Counts) -> None:
    carried_out, injected = told(3, source, counts)
    assert len(carried_out) == 30
    assert max(carried_out.values()) > 1
    assert all(injected[kind] for kind in NASTY)
