"""Tasks as records: created, read, listed, deleted, refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2

from tests.local.services.tasks.tasks_cloud import Cloud

QUEUE = "projects/shop/locations/europe-west1/queues/q"
TOO_RECENT = "The task cannot be created because a task with this name existed too recently."
FULL = tasks_v2.Task.View.FULL


def _refusal(call: Any, *args: Any, **kwargs: Any) -> Any:
    with pytest.raises(exceptions.GoogleAPICallError) as raised:
        call(*args, **kwargs)
    return raised.value.grpc_status_code.name, raised.value.message


def _paused(cloud: Cloud) -> Any:
    name = cloud.queue()
    cloud.client.pause_queue(name=name)
    return name


def test_a_task_with_nothing_but_a_url_gets_everything_else(cloud: Cloud) -> None:
    queue = _paused(cloud)
    task = cloud.task(queue)
    assert task.name.startswith(f"{queue}/tasks/")
    assert task.http_request.http_method == tasks_v2.HttpMethod.POST
    assert task.dispatch_deadline == timedelta(minutes=10)
    assert (task.dispatch_count, task.response_count) == (0, 0)
    assert "first_attempt" not in task


def test_generated_ids_are_digits_unique_and_in_no_order(cloud: Cloud) -> None:
    queue = _paused(cloud)
    ids = [cloud.task(queue).name.rpartition("/")[2] for _ in range(20)]
    assert all(id_.isdigit() for id_ in ids)
    assert len(set(ids)) == 20
    assert ids != sorted(ids)


def test_create_time_is_whole_seconds_and_schedule_time_microseconds(cloud: Cloud) -> None:
    queue = _paused(cloud)
    when = cloud.clock.now().replace(microsecond=123456) + timedelta(hours=1)
    task = cloud.client.create_task(
        parent=queue,
        task=tasks_v2.Task(
            http_request={"url": cloud.target.url},
            schedule_time=when,
            dispatch_deadline=timedelta(seconds=20, microseconds=1500),
        ),
    )
    assert task.create_time.microsecond == 0
    assert task.schedule_time == when
    assert task.dispatch_deadline == timedelta(seconds=20, milliseconds=1)


def test_a_schedule_time_in_the_past_becomes_now(cloud: Cloud) -> None:
    queue = _paused(cloud)
    task = cloud.task(queue, later=-3600)
    assert abs(task.schedule_time - cloud.clock.now()) < timedelta(seconds=5)


def test_what_only_the_platform_sets_is_not_taken_from_the_caller(cloud: Cloud) -> None:
    queue = _paused(cloud)
    given = tasks_v2.Task(
        http_request={"url": cloud.target.url},
        create_time=datetime(2001, 1, 1, tzinfo=UTC),
        dispatch_count=7,
        response_count=7,
        first_attempt={"dispatch_time": datetime(2001, 1, 1, tzinfo=UTC)},
    )
    task = cloud.client.create_task(parent=queue, task=given)
    assert (task.dispatch_count, task.response_count) == (0, 0)
    assert task.create_time.year > 2001
    assert "first_attempt" not in task


def test_the_basic_view_has_headers_and_no_body(cloud: Cloud) -> None:
    queue = _paused(cloud)
    created = cloud.task(queue, body=b"secret", headers={"content-type": "text/plain"})
    basic = cloud.client.get_task(name=created.name)
    full = cloud.client.get_task(request={"name": created.name, "response_view": FULL})
    for task in (created, basic):
        assert (task.view, task.http_request.body) == (tasks_v2.Task.View.BASIC, b"")
    assert (full.view, full.http_request.body) == (FULL, b"secret")
    assert dict(basic.http_request.headers) == {
        "content-type": "text/plain",
        "User-Agent": "Google-Cloud-Tasks",
    }


def test_every_method_that_answers_a_task_honours_the_view(cloud: Cloud) -> None:
    queue = _paused(cloud)
    task = tasks_v2.Task(http_request={"url": cloud.target.url, "body": b"x"})
    created = cloud.client.create_task(
        request={"parent": queue, "task": task, "response_view": FULL}
    )
    (listed,) = cloud.client.list_tasks(request={"parent": queue, "response_view": FULL})
    ran = cloud.client.run_task(request={"name": created.name, "response_view": FULL})
    assert [t.http_request.body for t in (created, listed, ran)] == [b"x"] * 3


def test_tasks_are_listed_a_page_at_a_time(cloud: Cloud) -> None:
    queue = _paused(cloud)
    names = sorted(cloud.task(queue).name for _ in range(3))
    pages = list(cloud.client.list_tasks(request={"parent": queue, "page_size": 2}).pages)
    assert [[task.name for task in page.tasks] for page in pages] == [names[:2], names[2:]]
    assert not pages[1].next_page_token


def test_a_page_holds_a_thousand_at_most(cloud: Cloud) -> None:
    queue = _paused(cloud)
    url = cloud.target.url
    for _ in range(11):
        requests = [
            tasks_v2.CreateTaskRequest(parent=queue, task={"http_request": {"url": url}})
            for _ in range(100)
        ]
        cloud.client.batch_create_tasks(parent=queue, requests=requests)
    request = {"parent": queue, "page_size": 5000}
    pages = list(cloud.client.list_tasks(request=request).pages)
    assert [len(page.tasks) for page in pages] == [1000, 100]


def test_a_page_token_nobody_gave_is_refused(cloud: Cloud) -> None:
    queue = _paused(cloud)
    request = {"parent": queue, "page_token": "nonsense"}
    assert _refusal(cloud.client.list_tasks, request=request)[0] == "INVALID_ARGUMENT"


def test_a_page_token_is_good_for_two_hours(cloud: Cloud) -> None:
    queue = _paused(cloud)
    for _ in range(2):
        cloud.task(queue)
    first = next(iter(cloud.client.list_tasks(request={"parent": queue, "page_size": 1}).pages))
    request = {"parent": queue, "page_token": first.next_page_token}
    assert len(list(cloud.client.list_tasks(request=request))) == 1
    cloud.advance(2 * 3600 + 1)
    assert _refusal(cloud.client.list_tasks, request=request)[0] == "INVALID_ARGUMENT"


def test_a_negative_page_size_is_refused(cloud: Cloud) -> None:
    request = {"parent": _paused(cloud), "page_size": -1}
    assert _refusal(cloud.client.list_tasks, request=request)[0] == "INVALID_ARGUMENT"


def test_a_pending_name_is_taken(cloud: Cloud) -> None:
    queue = _paused(cloud)
    cloud.task(queue, name=f"{queue}/tasks/one")
    refusal = _refusal(cloud.task, queue, name=f"{queue}/tasks/one")
    assert refusal == ("ALREADY_EXISTS", "Requested entity already exists")


def test_a_completed_name_stays_taken_for_an_hour(cloud: Cloud) -> None:
    queue = cloud.queue()
    name = f"{queue}/tasks/one"
    cloud.task(queue, name=name)
    cloud.idle()
    assert _refusal(cloud.task, queue, name=name) == ("ALREADY_EXISTS", TOO_RECENT)
    cloud.advance(3000)
    assert _refusal(cloud.task, queue, name=name) == ("ALREADY_EXISTS", TOO_RECENT)
    cloud.advance(600)
    assert cloud.task(queue, name=name).name == name


def test_a_deleted_name_stays_taken(cloud: Cloud) -> None:
    queue = _paused(cloud)
    task = cloud.task(queue, name=f"{queue}/tasks/one")
    cloud.client.delete_task(name=task.name)
    assert _refusal(cloud.task, queue, name=task.name) == ("ALREADY_EXISTS", TOO_RECENT)


def test_a_purged_name_stays_taken(cloud: Cloud) -> None:
    queue = _paused(cloud)
    task = cloud.task(queue, name=f"{queue}/tasks/one")
    cloud.client.purge_queue(name=queue)
    assert _refusal(cloud.task, queue, name=task.name) == ("ALREADY_EXISTS", TOO_RECENT)


def test_an_exhausted_name_stays_taken(cloud: Cloud) -> None:
    queue = cloud.queue(retry_config=tasks_v2.RetryConfig(max_attempts=1))
    cloud.target.script["/"].append(500)
    task = cloud.task(queue, name=f"{queue}/tasks/one")
    cloud.idle()
    assert _refusal(cloud.task, queue, name=task.name) == ("ALREADY_EXISTS", TOO_RECENT)


def test_a_reset_frees_every_name(cloud: Cloud) -> None:
    queue = cloud.queue()
    cloud.target.script["/"].append(500)
    task = cloud.task(queue, name=f"{queue}/tasks/one")
    cloud.do(_call(cloud.tasks.reset))
    assert cloud.task(queue, name=task.name, later=60).dispatch_count == 0


async def _call(function: Any) -> None:
    function()


def test_a_task_named_under_another_queue_is_refused(cloud: Cloud) -> None:
    queue = _paused(cloud)
    refusal = _refusal(cloud.task, queue, name=f"{queue}-other/tasks/one")
    assert refusal == (
        "INVALID_ARGUMENT",
        f"The queue name from request ('{queue}') must be the same as the queue name in the "
        f"named task ('{queue}-other').",
    )


@pytest.mark.parametrize("id_", ["not a valid id", "x" * 501, "", "dot.", "a/b", "line\n", "ü"])
def test_a_bad_task_id_is_refused_with_a_link(cloud: Cloud, id_: str) -> None:
    queue = _paused(cloud)
    with pytest.raises(exceptions.InvalidArgument) as raised:
        cloud.task(queue, name=f"{queue}/tasks/{id_}")
    assert raised.value.message == (
        f'Task ID "{id_}" can contain only letters ([A-Za-z]), numbers ([0-9]), hyphens (-), or '
        "underscores (_). Task ID must between 1 and 500 characters."
    )
    assert raised.value.details[0].links[0].description == "Definition of task ID"


def test_a_task_id_may_have_five_hundred_characters(cloud: Cloud) -> None:
    queue = _paused(cloud)
    assert cloud.task(queue, name=f"{queue}/tasks/{'x_-9' * 125}")


def test_something_that_is_no_task_name_is_refused(cloud: Cloud) -> None:
    assert _refusal(cloud.client.get_task, name="one")[0] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", "HttpRequest.url is required."),
        ("example.com/path", "HttpTarget.url must start with 'http://' or 'https://'."),
        ("ftp://example.com/", "HttpTarget.url must start with 'http://' or 'https://'."),
        ("http://", "HttpRequest.url is not a valid URL."),
        ("http://[::1", "HttpRequest.url is not a valid URL."),
        ("http://a.test:99999999/", "HttpRequest.url is not a valid URL."),
        ("http://a.test/" + "x" * 2070, "HttpRequest.url must be at most 2083 characters."),
        ("http://a.test/" + "ü" * 400, "HttpRequest.url must be at most 2083 characters."),
    ],
)
def test_a_bad_url_is_refused(cloud: Cloud, url: str, text: str) -> None:
    task = tasks_v2.Task(http_request={"url": url})
    refusal = _refusal(cloud.client.create_task, parent=_paused(cloud), task=task)
    assert refusal == ("INVALID_ARGUMENT", text)


@pytest.mark.parametrize("path", ["/%zz", "/" + "x" * 2000])
def test_a_strange_but_possible_url_is_accepted(cloud: Cloud, path: str) -> None:
    assert cloud.task(_paused(cloud), path)


def test_a_task_without_a_target_is_refused(cloud: Cloud) -> None:
    refusal = _refusal(cloud.client.create_task, parent=_paused(cloud), task=tasks_v2.Task())
    assert refusal[0] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("method", "ok"),
    [("POST", True), ("PUT", True), ("PATCH", True), ("GET", False), ("DELETE", False)],
)
def test_only_post_put_and_patch_may_have_a_body(cloud: Cloud, method: str, ok: bool) -> None:
    queue = _paused(cloud)
    if ok:
        assert cloud.task(queue, http_method=method, body=b"x")
    else:
        refusal = _refusal(cloud.task, queue, http_method=method, body=b"x")
        assert refusal[0] == "INVALID_ARGUMENT"
        assert cloud.task(queue, http_method=method)


@pytest.mark.parametrize(("seconds", "ok"), [(14, False), (15, True), (1800, True), (1801, False)])
def test_a_dispatch_deadline_is_fifteen_seconds_to_thirty_minutes(
    cloud: Cloud, seconds: int, ok: bool
) -> None:
    queue = _paused(cloud)
    deadline = timedelta(seconds=seconds)
    if ok:
        assert cloud.task(queue, dispatch_deadline=deadline).dispatch_deadline == deadline
    else:
        assert _refusal(cloud.task, queue, dispatch_deadline=deadline) == (
            "INVALID_ARGUMENT",
            "Task.dispatchDeadline must be between [15s, 30m].",
        )


def test_a_task_holds_a_hundred_kilobytes_headers_included(cloud: Cloud) -> None:
    queue = _paused(cloud)
    assert cloud.task(queue, body=b"x" * (100 * 1024 - 10), headers={"X-Abc": "12345"})
    refusal = _refusal(cloud.task, queue, body=b"x" * (100 * 1024 - 9), headers={"X-Abc": "12345"})
    assert refusal == ("INVALID_ARGUMENT", "Task size too large")


def test_headers_are_less_than_eighty_kilobytes(cloud: Cloud) -> None:
    refusal = _refusal(cloud.task, _paused(cloud), headers={"X-Long": "x" * 80 * 1024})
    assert refusal[0] == "INVALID_ARGUMENT"


def test_a_schedule_time_is_thirty_days_ahead_at_most(cloud: Cloud) -> None:
    queue = _paused(cloud)
    assert cloud.task(queue, later=30 * 86400 - 5)
    assert _refusal(cloud.task, queue, later=30 * 86400 + 3600)[0] == "INVALID_ARGUMENT"
    when = datetime(2100, 1, 1, tzinfo=UTC)
    task = tasks_v2.Task(http_request={"url": "http://a.test"}, schedule_time=when)
    assert _refusal(cloud.client.create_task, parent=queue, task=task) == (
        "INVALID_ARGUMENT",
        "The Task.scheduleTime, 2099-12-31T16:00:00-08:00, is too far in the future. Schedule "
        "time must be no more than 720h in the future.",
    )


def test_a_token_needs_a_service_account(cloud: Cloud) -> None:
    refusal = _refusal(cloud.task, _paused(cloud), oidc_token={"audience": "x"})
    assert refusal[0] == "INVALID_ARGUMENT"


def test_a_tasks_own_retry_configuration_is_checked(cloud: Cloud) -> None:
    queue = _paused(cloud)
    retry = tasks_v2.RetryConfig(max_attempts=-2)
    assert _refusal(cloud.task, queue, retry_config=retry) == (
        "INVALID_ARGUMENT",
        "RetryConfig.maxAttempts must be greater or equal to -1.",
    )


@pytest.mark.parametrize("method", ["get_task", "delete_task", "run_task"])
def test_an_unknown_task_is_not_found(cloud: Cloud, method: str) -> None:
    name = f"{_paused(cloud)}/tasks/unknown"
    refusal = _refusal(getattr(cloud.client, method), name=name)
    assert refusal == ("NOT_FOUND", "Requested entity was not found.")


def test_a_task_just_deleted_is_remembered_by_get(cloud: Cloud) -> None:
    task = cloud.task(_paused(cloud))
    cloud.client.delete_task(name=task.name)
    assert _refusal(cloud.client.get_task, name=task.name) == (
        "NOT_FOUND",
        "The task no longer exists, though a task with this name existed recently. The task "
        "either successfully completed or was deleted.",
    )


def test_a_task_is_deleted_once(cloud: Cloud) -> None:
    task = cloud.task(_paused(cloud))
    cloud.client.delete_task(name=task.name)
    assert _refusal(cloud.client.delete_task, name=task.name)[0] == "NOT_FOUND"


def test_a_deleted_task_never_fires(cloud: Cloud) -> None:
    task = cloud.task(cloud.queue(), later=60)
    cloud.client.delete_task(name=task.name)
    cloud.advance(120)
    assert not cloud.target.hits


def test_a_later_task_is_gone_later(cloud: Cloud) -> None:
    queue = _paused(cloud)
    cloud.task(queue)
    cloud.advance(3600)
    later = cloud.task(queue)
    cloud.advance(31 * 86400 - 1800)
    assert [task.name for task in cloud.client.list_tasks(parent=queue)] == [later.name]
    cloud.advance(3600)
    assert not list(cloud.client.list_tasks(parent=queue))


def test_a_task_is_gone_thirty_one_days_after_its_creation(cloud: Cloud) -> None:
    queue = _paused(cloud)
    cloud.task(queue)
    cloud.advance(31 * 86400 - 60)
    assert len(list(cloud.client.list_tasks(parent=queue))) == 1
    cloud.advance(120)
    assert not list(cloud.client.list_tasks(parent=queue))
