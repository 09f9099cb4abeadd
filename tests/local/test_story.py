"""The same seed tells the same story, whatever the threads do."""

import functools
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from local.kernel import delivery
from local.testing import local_cloud

RETRIES = {"maxAttempts": 50, "minBackoff": "1s", "maxBackoff": "4s"}
NASTY = {"duplicates": 0.3, "drops": 0.2, "lost_acks": 0.2, "reorder": 0.3}
TASKS = 20
MAIN = """
import functions_framework


@functions_framework.http
def noted(request):
    print(request.headers["X-CloudTasks-TaskName"] + "\\n", end="", flush=True)
    return "ok"
"""


def told(seed: int) -> Any:
    """How often each task was carried out by a fresh cloud, and what was injected."""
    with (
        tempfile.TemporaryDirectory() as source,
        pytest.MonkeyPatch.context() as patched,
        local_cloud() as cloud,
    ):
        patched.setattr(delivery, "HELD_BACK", 0.02)
        Path(source, "main.py").write_text(MAIN)
        url, queue = cloud.deploy(source, "noted"), cloud.queue("q", retryConfig=RETRIES)
        cloud.faults(seed=seed, **NASTY)
        for number in range(TASKS):
            task = {"name": f"{queue}/tasks/t{number}", "http_request": {"url": url}}
            cloud.tasks().create_task(parent=queue, task=task)
        cloud.advance("10m")
        status = cloud.status()
        deadline = time.monotonic() + 10
        while len(cloud.log("noted")) < status["deliveries"]["tasks"]:  # it is read a moment later
            assert time.monotonic() < deadline, "not all that was printed was read"
            time.sleep(0.01)
        return Counter(cloud.log("noted")), status["faults"]["injected"]


first = functools.cache(lambda: told(1))


def test_the_same_seed_tells_the_same_story() -> None:
    assert told(1) == first()
    assert told(2) != first()


def test_nothing_is_lost_and_something_is_repeated() -> None:
    carried_out, injected = first()
    assert len(carried_out) == TASKS
    assert max(carried_out.values()) > 1
    assert all(injected[kind] for kind in NASTY)
