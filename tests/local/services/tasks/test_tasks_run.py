"""RunTask: now, whatever the queue and the schedule say."""

from datetime import timedelta

import pytest
from google.api_core import exceptions
from google.cloud.tasks_v2 import RateLimits, RetryConfig

from tests.local.services.tasks.tasks_cloud import Cloud
from tests.local.services.tasks.test_tasks_limits import Gate


def test_a_future_task_of_a_paused_queue_runs_now(cloud: Cloud) -> None:
    queue = cloud.queue()
    cloud.client.pause_queue(name=queue)
    task = cloud.task(queue, later=3600)
    cloud.client.run_task(name=task.name)
    cloud.idle()
    assert len(cloud.target.hits) == 1
    assert not list(cloud.client.list_tasks(parent=queue))


def test_running_answers_before_the_target_does(cloud: Cloud) -> None:
    gate = Gate(cloud)
    cloud.target.script["/"].append(gate)
    task = cloud.task(cloud.queue(), later=3600)
    ran = cloud.client.run_task(name=task.name)
    assert (ran.dispatch_count, ran.response_count) == (1, 0)
    assert "response_time" not in ran.last_attempt
    gate.open()
    cloud.idle()


def test_running_takes_no_token_and_no_slot(cloud: Cloud) -> None:
    limits = RateLimits(max_dispatches_per_second=0.001, max_concurrent_dispatches=1)
    queue = cloud.queue(rate_limits=limits)
    gate = Gate(cloud)
    cloud.target.script["/"].append(gate)
    cloud.task(queue)
    cloud.until(lambda: gate.waiting, "the first request")
    second = cloud.task(queue, "/second")
    cloud.client.run_task(name=second.name)
    cloud.until(lambda: cloud.target.at("/second"), "the second request")
    gate.open()
    cloud.idle()


def test_a_success_leaves_nothing_to_fire_at_the_original_time(cloud: Cloud) -> None:
    task = cloud.task(cloud.queue(), later=3600)
    cloud.client.run_task(name=task.name)
    cloud.advance(7200)
    assert len(cloud.target.hits) == 1


def test_a_failure_waits_its_backoff_from_the_call(cloud: Cloud) -> None:
    queue = cloud.queue(retry_config=RetryConfig(min_backoff=timedelta(seconds=60)))
    cloud.target.script["/"].append(500)
    task = cloud.task(queue, later=3600)
    ran = cloud.client.run_task(name=task.name)
    cloud.idle()
    called = ran.last_attempt.dispatch_time
    assert cloud.client.get_task(name=task.name).schedule_time == called + timedelta(seconds=60)
    cloud.advance(7200)
    assert len(cloud.target.hits) == 2


def test_a_task_that_runs_already_is_run_again(cloud: Cloud) -> None:
    gates = [Gate(cloud, 500), Gate(cloud, 500)]
    cloud.target.script["/"].extend(gates)
    task = cloud.task(cloud.queue())
    cloud.until(lambda: gates[0].waiting, "the first request")
    assert cloud.client.run_task(name=task.name).dispatch_count == 2
    cloud.until(lambda: gates[1].waiting, "the second request")
    gates[0].open()
    cloud.until(lambda: cloud.client.get_task(name=task.name).response_count == 1, "an answer")
    # Nothing more is due until the second attempt is answered too.
    due = cloud.tasks.next_due()
    assert due is not None
    assert due > cloud.clock.now() + timedelta(days=1)
    gates[1].open()
    cloud.idle()
    cloud.advance(600)
    counts = [hit.headers["X-CloudTasks-TaskRetryCount"] for hit in cloud.target.hits]
    assert counts == ["0", "1", "2"]


def test_a_finished_task_cannot_be_run(cloud: Cloud) -> None:
    task = cloud.task(cloud.queue())
    cloud.idle()
    with pytest.raises(exceptions.NotFound):
        cloud.client.run_task(name=task.name)


def test_a_given_up_task_cannot_be_run(cloud: Cloud) -> None:
    cloud.target.script["/"].append(500)
    task = cloud.task(cloud.queue(retry_config=RetryConfig(max_attempts=1)))
    cloud.idle()
    with pytest.raises(exceptions.NotFound):
        cloud.client.run_task(name=task.name)
