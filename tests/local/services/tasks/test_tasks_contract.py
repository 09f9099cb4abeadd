"""Contract: what every Cloud Tasks does, asked through the official client, in real time."""

import re
from datetime import timedelta
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.tasks_v2 import HttpMethod, Queue, RateLimits, RetryConfig, Task

from tests.local.services.tasks.tasks_contract import NOWHERE, Service, soon

BODY = {"http_method": "POST", "body": b"x"}


def test_a_new_queue_has_the_platforms_defaults(service: Service) -> None:
    queue = service.client.get_queue(name=service.queue())
    assert queue.state == Queue.State.RUNNING
    assert queue.rate_limits.max_dispatches_per_second == 500
    assert queue.rate_limits.max_concurrent_dispatches == 1000
    assert (queue.retry_config.max_attempts, queue.retry_config.max_doublings) == (100, 16)
    assert queue.retry_config.min_backoff == timedelta(seconds=0.1)
    assert queue.retry_config.max_backoff == timedelta(hours=1)


@pytest.mark.parametrize(
    "config",
    [
        {"rate_limits": RateLimits(max_dispatches_per_second=501)},
        {"rate_limits": RateLimits(max_concurrent_dispatches=5001)},
        {"rate_limits": RateLimits(max_concurrent_dispatches=-1)},
        {"retry_config": RetryConfig(max_attempts=-2)},
    ],
)
def test_a_limit_out_of_range_is_invalid(service: Service, config: dict[str, Any]) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        service.queue(**config)


def test_pause_and_resume_switch_the_state(service: Service) -> None:
    queue = service.paused()
    assert service.client.get_queue(name=queue).state == Queue.State.PAUSED
    assert service.client.resume_queue(name=queue).state == Queue.State.RUNNING


def test_a_mask_limits_what_an_update_changes(service: Service) -> None:
    queue = service.queue()
    change = Queue(name=queue, retry_config=RetryConfig(max_attempts=7, max_doublings=3))
    mask = {"paths": ["retry_config.max_attempts"]}
    updated = service.client.update_queue(queue=change, update_mask=mask)
    assert (updated.retry_config.max_attempts, updated.retry_config.max_doublings) == (7, 16)


def test_a_missing_queue_is_not_found(service: Service) -> None:
    missing, client = service.name(), service.client
    for verb in ("get", "pause", "resume", "purge"):
        with pytest.raises(exceptions.NotFound):
            getattr(client, f"{verb}_queue")(name=missing)
    with pytest.raises(exceptions.NotFound):
        client.list_tasks(parent=missing)
    with pytest.raises(exceptions.NotFound):
        service.task(missing)


def test_a_task_gets_what_it_leaves_out(service: Service) -> None:
    queue = service.paused()
    task = service.task(queue)
    assert re.fullmatch(re.escape(queue) + r"/tasks/\d+", task.name)
    assert task.http_request.http_method == HttpMethod.POST
    assert task.dispatch_deadline == timedelta(minutes=10)
    assert (task.dispatch_count, task.view) == (0, Task.View.BASIC)


@pytest.mark.parametrize("seconds", [14, 1801])
def test_a_dispatch_deadline_out_of_range_is_invalid(service: Service, seconds: int) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        service.task(service.paused(), dispatch_deadline=timedelta(seconds=seconds))


@pytest.mark.parametrize("url", ["", "ftp://contract.invalid", "contract.invalid"])
def test_a_bad_url_is_invalid(service: Service, url: str) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        service.task(service.paused(), url)


def test_a_get_has_no_body(service: Service) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        service.task(service.paused(), http={"http_method": "GET", "body": b"x"})


def test_a_schedule_time_is_thirty_days_ahead_at_most(service: Service) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        service.task(service.paused(), schedule_time=soon(31 * 86400))


@pytest.mark.parametrize("id_", ["a b", "x" * 501, "dot."])
def test_a_bad_task_id_is_invalid(service: Service, id_: str) -> None:
    queue = service.paused()
    with pytest.raises(exceptions.InvalidArgument):
        service.task(queue, name=f"{queue}/tasks/{id_}")


def test_a_task_of_another_queue_is_invalid(service: Service) -> None:
    queue = service.paused()
    with pytest.raises(exceptions.InvalidArgument):
        service.task(queue, name=f"{queue}x/tasks/one")


def test_a_pending_name_is_taken(service: Service) -> None:
    queue = service.paused()
    service.task(queue, name=f"{queue}/tasks/one")
    with pytest.raises(exceptions.AlreadyExists):
        service.task(queue, name=f"{queue}/tasks/one")


def test_a_deleted_name_stays_taken(service: Service) -> None:
    queue = service.paused()
    name = service.task(queue, name=f"{queue}/tasks/one").name
    service.client.delete_task(name=name)
    with pytest.raises(exceptions.NotFound):
        service.client.get_task(name=name)
    with pytest.raises(exceptions.AlreadyExists):
        service.task(queue, name=name)


def test_a_body_is_in_the_full_view_only(service: Service) -> None:
    queue = service.paused()
    name = service.task(queue, http=BODY).name
    assert not service.client.get_task(name=name).http_request.body
    full = service.client.get_task(request={"name": name, "response_view": Task.View.FULL})
    assert full.http_request.body == b"x"


def test_tasks_are_listed_a_page_at_a_time(service: Service) -> None:
    queue = service.paused()
    names = {service.task(queue).name for _ in range(3)}
    pages = list(service.client.list_tasks(request={"parent": queue, "page_size": 2}).pages)
    assert [len(page.tasks) for page in pages] == [2, 1]
    assert {task.name for page in pages for task in page.tasks} == names


def test_a_task_reaches_its_target_with_its_headers(service: Service) -> None:
    queue = service.queue()
    name = service.task(queue, service.target.url, name=f"{queue}/tasks/one", http=BODY).name
    (hit,) = service.hits(1)
    assert (hit.method, hit.body) == ("POST", b"x")
    assert hit.headers["X-CloudTasks-QueueName"] == queue.split("/")[-1]
    assert hit.headers["X-CloudTasks-TaskName"] == "one"
    with pytest.raises(exceptions.AlreadyExists):
        service.task(queue, service.target.url, name=name)


def test_a_failed_attempt_is_counted_and_made_again(service: Service) -> None:
    target = service.target
    target.script["/"].extend([404, 503])
    service.task(service.queue(), target.url)
    counts = [
        tuple(hit.headers[f"X-CloudTasks-Task{kind}Count"] for kind in ("Retry", "Execution"))
        for hit in service.hits(3)
    ]
    assert counts[:2] == [("0", "0"), ("1", "1")]
    assert counts[2][0] == "2"


def test_a_scheduled_task_fires_at_its_time(service: Service) -> None:
    when = soon(1)
    service.task(service.queue(), service.target.url, schedule_time=when)
    (hit,) = service.hits(1)
    assert timedelta() <= hit.at - when < timedelta(seconds=5)


def test_a_paused_queue_dispatches_when_it_is_resumed(service: Service) -> None:
    queue = service.paused()
    service.task(queue, f"{service.target.url}/held")
    service.task(service.queue(), f"{service.target.url}/free")
    service.hits(1, "/free")
    assert not service.target.at("/held")
    service.client.resume_queue(name=queue)
    service.hits(1, "/held")


def test_a_task_given_up_is_gone(service: Service) -> None:
    target = service.target
    target.script["/"].extend([500] * 9)
    queue = service.queue(retry_config=RetryConfig(max_attempts=2))
    service.task(queue, target.url)
    service.hits(2)
    service.emptied(queue)
    assert len(target.at("/")) == 2


def test_a_task_run_by_hand_runs_before_its_time(service: Service) -> None:
    queue = service.paused()
    task = service.task(queue, service.target.url, schedule_time=soon(3600))
    service.client.run_task(name=task.name)
    service.hits(1)


def test_purging_empties_a_queue(service: Service) -> None:
    queue = service.paused()
    service.task(queue, NOWHERE)
    service.client.purge_queue(name=queue)
    service.emptied(queue)
