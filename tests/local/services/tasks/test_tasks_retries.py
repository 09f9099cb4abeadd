"""When a failed task is tried again, and when it is given up."""

import asyncio
from datetime import timedelta
from typing import Any

from google.cloud.tasks_v2 import RetryConfig

from tests.local.services.tasks.tasks_cloud import Cloud


def _retry(**config: Any) -> Any:
    """Backoffs and durations in seconds."""
    plain = ("max_attempts", "max_doublings")
    return RetryConfig(**{k: v if k in plain else timedelta(seconds=v) for k, v in config.items()})


def _failing(cloud: Cloud, times: Any, retry: Any, **fields: Any) -> Any:
    """A task, due in a minute, whose first attempts fail; and its queue."""
    queue = cloud.queue(retry_config=retry)
    cloud.target.script["/"].extend([500] * times)
    cloud.task(queue, later=60, **fields)
    return queue


def test_backoff_doubles_then_grows_linearly_then_holds_at_its_maximum(cloud: Cloud) -> None:
    _failing(cloud, 8, _retry(min_backoff=10, max_backoff=300, max_doublings=3))
    cloud.advance(3600)
    assert cloud.gaps() == [10, 20, 40, 80, 160, 240, 300, 300]


def test_the_default_backoff_doubles_from_a_tenth_of_a_second(cloud: Cloud) -> None:
    _failing(cloud, 4, None)
    cloud.advance(120)
    assert cloud.gaps() == [0.1, 0.2, 0.4, 0.8]


def test_the_delay_counts_from_the_response(cloud: Cloud) -> None:
    async def slow(request: Any) -> Any:
        await asyncio.sleep(0.3)
        return 500

    cloud.target.script["/"].append(slow)
    cloud.task(cloud.queue(retry_config=_retry(min_backoff=0.2)))
    cloud.until(lambda: len(cloud.target.hits) == 2, "the retry")
    assert cloud.gaps()[0] >= 0.5


def test_as_many_attempts_as_allowed_and_no_more(cloud: Cloud) -> None:
    queue = _failing(cloud, 10, _retry(max_attempts=3))
    cloud.advance(86400)
    counts = [hit.headers["X-CloudTasks-TaskRetryCount"] for hit in cloud.target.hits]
    assert counts == ["0", "1", "2"]
    assert not list(cloud.client.list_tasks(parent=queue))


def test_a_task_is_given_up_only_once_both_limits_are_spent(cloud: Cloud) -> None:
    _failing(cloud, 10, _retry(max_attempts=2, max_retry_duration=60, min_backoff=10))
    cloud.advance(86400)
    assert cloud.gaps() == [10, 20, 40]


def test_a_spent_duration_alone_does_not_give_up(cloud: Cloud) -> None:
    _failing(cloud, 10, _retry(max_attempts=4, max_retry_duration=5, min_backoff=10))
    cloud.advance(86400)
    assert len(cloud.target.hits) == 4


def test_unlimited_attempts_end_with_the_duration(cloud: Cloud) -> None:
    _failing(cloud, 99, _retry(max_attempts=-1, max_retry_duration=60, min_backoff=10))
    cloud.advance(86400)
    assert cloud.gaps() == [10, 20, 40]


def test_unlimited_attempts_last_for_thirty_one_days(cloud: Cloud) -> None:
    retry = _retry(max_attempts=-1, min_backoff=86400, max_backoff=86400)
    queue = _failing(cloud, 99, retry)
    cloud.advance(40 * 86400)
    assert len(cloud.target.hits) == 31
    assert not list(cloud.client.list_tasks(parent=queue))


def test_a_tasks_own_retry_configuration_wins_where_it_says_something(cloud: Cloud) -> None:
    own = _retry(max_attempts=3)
    _failing(cloud, 9, _retry(max_attempts=8, min_backoff=10), retry_config=own)
    cloud.advance(86400)
    assert cloud.gaps() == [10, 20]


def test_a_changed_queue_changes_the_retries_of_its_tasks(cloud: Cloud) -> None:
    queue = _failing(cloud, 9, _retry(max_attempts=8, min_backoff=600))
    cloud.advance(60)
    retry = _retry(max_attempts=2)
    cloud.client.update_queue(queue={"name": queue, "retry_config": retry})
    cloud.advance(86400)
    assert cloud.gaps() == [600]


def test_503_waits_longer_than_500(cloud: Cloud) -> None:
    queue = cloud.queue()
    cloud.target.script["/"].append(503)
    cloud.task(queue, later=60)
    cloud.advance(120)
    assert cloud.gaps() == [1]


def test_retry_after_is_respected(cloud: Cloud) -> None:
    queue = cloud.queue()
    cloud.target.script["/"].append((429, {"Retry-After": "30"}))
    cloud.task(queue, later=60)
    cloud.advance(120)
    assert cloud.gaps() == [30]


def test_429_and_503_slow_the_whole_queue_and_no_other(cloud: Cloud) -> None:
    queue, other = cloud.queue(), cloud.queue("other")
    cloud.target.script["/"].append((429, {"Retry-After": "30"}))
    first = cloud.task(queue, later=60)
    cloud.task(queue, "/same", later=61)
    cloud.task(other, "/other", later=61)
    cloud.advance(120)
    waits = [(cloud.target.at(path)[0].at - first.schedule_time) for path in ("/same", "/other")]
    assert waits[0] == timedelta(seconds=30)
    assert waits[1] < timedelta(seconds=2)


def test_a_queue_that_keeps_refusing_is_held_longer_and_longer(cloud: Cloud) -> None:
    cloud.target.script["/"].extend([503] * 5)
    cloud.task(cloud.queue(), later=60)
    cloud.advance(600)
    assert cloud.gaps() == [1, 2, 4, 8, 16]


def test_refusals_at_the_same_time_are_one_reason_to_hold(cloud: Cloud) -> None:
    queue = cloud.queue()
    cloud.target.script["/"].extend([503] * 3)
    when = cloud.clock.now() + timedelta(seconds=60)
    for _ in range(3):
        task = {"http_request": {"url": cloud.target.url}, "schedule_time": when}
        cloud.client.create_task(parent=queue, task=task)
    cloud.advance(3600)
    assert cloud.gaps() == [0, 0, 1, 0, 0]


def test_a_success_makes_the_next_hold_short_again(cloud: Cloud) -> None:
    queue = cloud.queue()
    cloud.target.script["/"].extend([503, 503, 200, 503])
    cloud.task(queue, later=60)
    cloud.task(queue, later=600)
    cloud.advance(3600)
    gaps = cloud.gaps()
    assert (gaps[0], gaps[1], gaps[3]) == (1, 2, 1)


def test_a_409_with_retry_after_slows_nothing_down(cloud: Cloud) -> None:
    cloud.target.script["/"].append((409, {"Retry-After": "30"}))
    cloud.task(cloud.queue(), later=60)
    cloud.advance(120)
    assert cloud.gaps() == [0.1]
