"""Rates, concurrency, pause, purge, and deleting what runs."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.tasks_v2 import RateLimits, RetryConfig

from tests.local.services.tasks.tasks_cloud import Cloud


class Gate:
    """A handler that answers when it is told to."""

    def __init__(self, cloud: Cloud, status: int = 200) -> None:
        self._cloud = cloud
        self._event = asyncio.Event()
        self._status = status
        self.waiting = 0

    async def __call__(self, request: Any) -> Any:
        self.waiting += 1
        await self._event.wait()
        return self._status

    def open(self) -> None:
        self._cloud.loop.call_soon_threadsafe(self._event.set)


def _rate(per_second: Any, concurrent: int = 1000) -> Any:
    return RateLimits(max_dispatches_per_second=per_second, max_concurrent_dispatches=concurrent)


@pytest.mark.parametrize("rate", [0.5, 1, 2.5, 7, 40])
def test_a_rate_is_used_fully_and_never_exceeded(cloud: Cloud, rate: float) -> None:
    queue = cloud.queue(rate_limits=_rate(rate))
    when = cloud.clock.now() + timedelta(seconds=60)
    for _ in range(30):
        task = {"http_request": {"url": cloud.target.url}, "schedule_time": when}
        cloud.client.create_task(parent=queue, task=task)
    cloud.advance(200)
    times = [hit.at for hit in cloud.target.hits]
    width = timedelta(seconds=max(1, 1 / rate))
    most = max(sum(t <= u < t + width for u in times) for t in times)
    assert len(times) == 30
    assert most <= math.ceil(rate)
    assert (times[-1] - times[0]).total_seconds() <= 30 / rate


def test_half_a_task_a_second_is_one_every_two_seconds(cloud: Cloud) -> None:
    queue = cloud.queue(rate_limits=_rate(0.5))
    when = cloud.clock.now() + timedelta(seconds=60)
    for _ in range(4):
        task = {"http_request": {"url": cloud.target.url}, "schedule_time": when}
        cloud.client.create_task(parent=queue, task=task)
    cloud.advance(120)
    assert cloud.gaps() == [2, 2, 2]


def test_retries_take_tokens_too(cloud: Cloud) -> None:
    queue = cloud.queue(rate_limits=_rate(1))
    cloud.target.script["/"].extend([500] * 3)
    cloud.task(queue, later=60)
    cloud.advance(120)
    assert cloud.gaps() == [1, 1, 1]


def test_no_more_run_at_once_than_allowed_and_a_freed_slot_is_filled(cloud: Cloud) -> None:
    queue = cloud.queue(rate_limits=_rate(500, concurrent=2))
    gates = [Gate(cloud) for _ in range(3)]
    cloud.target.script["/"].extend(gates)
    for _ in range(3):
        cloud.task(queue)
    cloud.until(lambda: len(cloud.target.hits) == 2, "two requests")
    assert gates[2].waiting == 0
    gates[0].open()
    cloud.until(lambda: gates[2].waiting, "the third request")
    gates[1].open()
    gates[2].open()
    cloud.idle()


def test_a_task_in_backoff_holds_no_slot(cloud: Cloud) -> None:
    retry = RetryConfig(min_backoff=timedelta(hours=1))
    queue = cloud.queue(rate_limits=_rate(500, concurrent=1), retry_config=retry)
    cloud.target.script["/fails"].append(500)
    cloud.task(queue, "/fails")
    cloud.idle()
    cloud.task(queue, "/works")
    cloud.idle()
    assert cloud.target.at("/works")


def test_a_paused_queue_takes_tasks_and_dispatches_none_until_it_is_resumed(cloud: Cloud) -> None:
    queue = cloud.queue()
    cloud.client.pause_queue(name=queue)
    cloud.task(queue)
    cloud.advance(3600)
    assert not cloud.target.hits
    cloud.client.resume_queue(name=queue)
    cloud.idle()
    assert len(cloud.target.hits) == 1


def test_what_runs_during_a_pause_finishes_and_its_retry_waits(cloud: Cloud) -> None:
    queue = cloud.queue()
    gate = Gate(cloud, status=500)
    cloud.target.script["/"].append(gate)
    task = cloud.task(queue)
    cloud.until(lambda: gate.waiting, "the request")
    cloud.client.pause_queue(name=queue)
    gate.open()
    cloud.idle()
    cloud.advance(3600)
    assert len(cloud.target.hits) == 1
    assert cloud.client.get_task(name=task.name).response_count == 1
    cloud.client.resume_queue(name=queue)
    cloud.idle()
    assert len(cloud.target.hits) == 2


def test_a_raised_rate_holds_at_once(cloud: Cloud) -> None:
    queue = cloud.queue(rate_limits=_rate(0.01))
    for _ in range(20):
        cloud.task(queue)
    cloud.client.update_queue(queue={"name": queue, "rate_limits": _rate(100)})
    cloud.advance(5)
    assert len(cloud.target.hits) == 20


@pytest.mark.parametrize("verb", ["delete", "purge", "delete queue"])
@pytest.mark.parametrize("status", [200, 500])
def test_what_is_deleted_while_it_runs_finishes_and_is_not_repeated(
    cloud: Cloud, verb: str, status: int
) -> None:
    queue = cloud.queue()
    gate = Gate(cloud, status)
    cloud.target.script["/"].append(gate)
    task = cloud.task(queue, name=f"{queue}/tasks/one")
    cloud.until(lambda: gate.waiting, "the request")
    if verb == "delete":
        cloud.client.delete_task(name=task.name)
    elif verb == "purge":
        cloud.client.purge_queue(name=queue)
    else:
        cloud.client.delete_queue(name=queue)
    gate.open()
    cloud.advance(3600)
    assert len(cloud.target.hits) == 1
    with pytest.raises(exceptions.NotFound):
        cloud.client.get_task(name=task.name)


def test_deleting_what_runs_disturbs_no_other_task(cloud: Cloud) -> None:
    queue = cloud.queue(rate_limits=_rate(500, concurrent=1))
    gate = Gate(cloud)
    cloud.target.script["/"].append(gate)
    task = cloud.task(queue)
    for n in range(3):
        cloud.task(queue, f"/{n}")
    cloud.until(lambda: gate.waiting, "the request")
    cloud.client.delete_task(name=task.name)
    gate.open()
    cloud.idle()
    assert sorted(hit.path for hit in cloud.target.hits) == ["/", "/0", "/1", "/2"]


def test_what_is_overdue_longest_starts_first(cloud: Cloud) -> None:
    queue = cloud.queue(rate_limits=_rate(1))
    cloud.client.pause_queue(name=queue)
    for minutes in (3, 1, 2):
        cloud.task(queue, f"/{minutes}", later=60 * minutes)
    cloud.advance(600)
    cloud.client.resume_queue(name=queue)
    cloud.advance(10)
    assert [hit.path for hit in cloud.target.hits] == ["/1", "/2", "/3"]


def test_purging_stops_later_retries(cloud: Cloud) -> None:
    queue = cloud.queue(retry_config=RetryConfig(min_backoff=timedelta(seconds=60)))
    cloud.target.script["/"].append(500)
    cloud.task(queue)
    cloud.idle()
    cloud.client.purge_queue(name=queue)
    cloud.advance(600)
    assert len(cloud.target.hits) == 1


def test_tasks_created_after_a_purge_are_dispatched(cloud: Cloud) -> None:
    queue = cloud.queue()
    cloud.client.purge_queue(name=queue)
    cloud.task(queue)
    cloud.idle()
    assert len(cloud.target.hits) == 1


def test_idle_waits_for_what_a_rate_holds_back_and_not_for_what_is_due_later(cloud: Cloud) -> None:
    queue = cloud.queue(rate_limits=_rate(20))
    for _ in range(30):
        cloud.task(queue)
    cloud.task(queue, "/later", later=3600)
    cloud.idle()
    assert (len(cloud.target.at("/")), len(cloud.target.at("/later"))) == (30, 0)


def test_no_second_sees_more_leave_than_the_rate_however_late_a_task_leaves(cloud: Cloud) -> None:
    """The first ten are held up on their way; the next ten count from when those arrived."""
    queue = cloud.queue(rate_limits=_rate(10))

    class Slow:
        """What every function is asked before it is called: here it takes a while."""

        def limit(self, url: str) -> None:
            return None

        @contextlib.asynccontextmanager
        async def serving(self, url: str) -> AsyncIterator[None]:
            await asyncio.sleep(0 if cloud.target.hits else 0.4)
            yield

    cloud.deliverer.targets = Slow()
    for _ in range(20):
        cloud.task(queue)
    cloud.idle()
    times = [hit.at for hit in cloud.target.hits]
    second = timedelta(seconds=0.9)  # the last tenth is the network's
    assert len(times) == 20
    assert max(sum(t <= u < t + second for u in times) for t in times) <= 10
