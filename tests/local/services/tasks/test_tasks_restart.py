"""What a restart keeps, and what a kill loses: nothing that was accepted."""

import functools
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.cloud.tasks_v2 import Queue, RetryConfig

from tests.local.services.tasks.tasks_cloud import Cloud, Start
from tests.local.services.tasks.test_tasks_limits import Gate

SERVER = """
import asyncio, sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric import rsa
from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.delivery import Deliverer
from local.kernel.faults import Faults
from local.kernel.identity import Issuer
from local.services.tasks.service import Tasks

async def main(path):
    database = Database(Path(path))
    clock = Clock(database)
    issuer = Issuer(url="https://i.test", key=rsa.generate_private_key(65537, 2048), key_id="k")
    await Tasks(database, clock, Deliverer(clock, Faults()), issuer).run()

asyncio.run(main(sys.argv[1]))
"""


def test_pending_tasks_still_fire_after_a_restart(start: Start) -> None:
    cloud = start()
    cloud.client.create_queue(
        parent="projects/p/locations/l", queue={"name": "projects/p/locations/l/queues/q"}
    )
    task = cloud.task("projects/p/locations/l/queues/q", later=3600)
    cloud = start()
    assert cloud.client.get_task(name=task.name) == task
    # The target has moved to another port; the attempt is what counts.
    cloud.advance(3600)
    assert cloud.client.get_task(name=task.name).dispatch_count > 0


def test_names_and_queue_names_stay_taken_after_a_restart(start: Start) -> None:
    cloud = start()
    queue, gone = cloud.queue(), cloud.queue("gone")
    name = cloud.task(queue, name=f"{queue}/tasks/one").name
    cloud.idle()
    cloud.client.delete_queue(name=gone)
    cloud = start()
    with pytest.raises(exceptions.AlreadyExists):
        cloud.task(queue, name=name)
    with pytest.raises(exceptions.FailedPrecondition):
        cloud.queue("gone")


def test_a_queue_keeps_its_configuration_and_state(start: Start) -> None:
    cloud = start()
    name = cloud.queue(retry_config=RetryConfig(max_attempts=7))
    cloud.client.pause_queue(name=name)
    queue = start().client.get_queue(name=name)
    assert (queue.state, queue.retry_config.max_attempts) == (Queue.State.PAUSED, 7)


def test_a_request_id_is_remembered_over_a_restart(start: Start) -> None:
    cloud = start()
    queue = cloud.queue()
    task = {"http_request": {"url": "http://127.0.0.1:1/"}, "name": f"{queue}/tasks/one"}
    request = {
        "parent": queue,
        "requests": [{"parent": queue, "task": task}],
        "request_id": "one",
    }
    first = cloud.client.batch_create_tasks(request=request).operation
    assert start().client.batch_create_tasks(request=request).operation == first


def _was_hit(cloud: Cloud, times: int) -> bool:
    return len(cloud.target.hits) == times


def _running(path: Path) -> int:
    """How many attempts the state file says are running."""
    with closing(sqlite3.connect(path)) as connection:
        sql = "SELECT count(*) FROM tasks_task WHERE due_us IS NULL"
        return int(connection.execute(sql).fetchone()[0])


def test_what_was_in_flight_at_a_kill_is_delivered_again(cloud: Cloud, tmp_path: Path) -> None:
    queue = cloud.queue(retry_config=RetryConfig(min_backoff=timedelta(seconds=1)))
    gate = Gate(cloud)
    cloud.target.script["/"].append(gate)
    cloud.client.pause_queue(name=queue)
    cloud.task(queue)
    # A second process on a copy of the state: the first keeps the target answering.
    state = tmp_path / "copy.db"
    with closing(sqlite3.connect(state, isolation_level=None)) as copy:
        cloud.database._connection.backup(copy)
        config = Queue.pb()(name=queue, state=Queue.State.RUNNING)
        config.MergeFrom(Queue.pb(cloud.client.get_queue(name=queue)))
        config.state = Queue.State.RUNNING
        copy.execute("UPDATE tasks_queue SET config = ?", (config.SerializeToString(),))
    for expected in (1, 2):
        process = subprocess.Popen([sys.executable, "-c", SERVER, state], cwd=_root())
        try:
            cloud.until(functools.partial(_was_hit, cloud, expected), f"request {expected}")
            if expected == 1:
                assert _running(state) == 1
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(10)
        gate.open()
    counts = [hit.headers["X-CloudTasks-TaskRetryCount"] for hit in cloud.target.hits]
    assert counts == ["0", "1"]


def _root() -> Path:
    return Path(__file__).parents[4]
