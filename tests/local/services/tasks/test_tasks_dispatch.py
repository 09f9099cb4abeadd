"""What reaches a target: the request, its headers, and what the answer does."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from google.cloud import tasks_v2
from google.rpc import code_pb2

from tests.local.services.tasks.tasks_cloud import Cloud

X = "X-CloudTasks-"


def _counts(cloud: Cloud, path: str = "/") -> Any:
    return [
        (
            int(hit.headers[f"{X}TaskRetryCount"]),
            int(hit.headers[f"{X}TaskExecutionCount"]),
            hit.headers.get(f"{X}TaskPreviousResponse"),
        )
        for hit in cloud.target.at(path)
    ]


def _patient(cloud: Cloud) -> Any:
    """A queue that tries again after ten minutes, so that a slow machine changes nothing."""
    return cloud.queue(retry_config=tasks_v2.RetryConfig(min_backoff=timedelta(minutes=10)))


async def _reset(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


def test_a_task_reaches_its_target_once(cloud: Cloud) -> None:
    queue = cloud.queue()
    task = cloud.task(queue, "/work", body=b"hello", http_method="PUT")
    cloud.idle()
    (hit,) = cloud.target.hits
    assert (hit.method, hit.path, hit.body) == ("PUT", "/work", b"hello")
    assert hit.headers["User-Agent"] == "Google-Cloud-Tasks"
    assert hit.headers[f"{X}QueueName"] == "q"
    assert hit.headers[f"{X}TaskName"] == task.name.rpartition("/")[2]
    assert abs(float(hit.headers[f"{X}TaskETA"]) - cloud.clock.now().timestamp()) < 2
    assert _counts(cloud, "/work") == [(0, 0, None)]


def test_the_retry_reason_comes_with_retries_only_and_is_empty(cloud: Cloud) -> None:
    cloud.target.script["/"].append(500)
    cloud.task(cloud.queue())
    cloud.advance(1)
    reasons = [hit.headers.get(f"{X}TaskRetryReason") for hit in cloud.target.hits]
    assert reasons == [None, ""]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_completes_a_task(cloud: Cloud, status: int) -> None:
    queue = cloud.queue()
    cloud.target.script["/"].append(status)
    cloud.task(queue)
    cloud.idle()
    assert len(cloud.target.hits) == 1
    assert not list(cloud.client.list_tasks(parent=queue))


@pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 409, 500, 501])
def test_anything_else_is_tried_again(cloud: Cloud, status: int) -> None:
    cloud.target.script["/"].append(status)
    cloud.task(cloud.queue())
    cloud.advance(5)
    assert _counts(cloud) == [(0, 0, None), (1, int(status < 500), str(status))]


def test_a_redirect_is_a_failed_attempt_and_not_followed(cloud: Cloud) -> None:
    cloud.target.script["/"].append((302, {"Location": "/elsewhere"}))
    cloud.task(cloud.queue())
    cloud.advance(1)
    assert [hit.path for hit in cloud.target.hits] == ["/", "/"]


def test_the_counters_of_the_recorded_sequence(cloud: Cloud) -> None:
    cloud.target.script["/"].extend([503, 404, 429, 500, 302])
    cloud.task(cloud.queue())
    cloud.advance(600)
    assert _counts(cloud) == [
        (0, 0, None),
        (1, 0, "503"),
        (2, 1, "404"),
        (3, 2, "429"),
        (4, 2, "500"),
        (5, 3, "302"),
    ]


def test_no_response_counts_as_no_execution(cloud: Cloud) -> None:
    cloud.target.script["/"].append(_reset)
    task = cloud.task(_patient(cloud), later=60)
    cloud.advance(60)
    seen = cloud.client.get_task(name=task.name)
    assert (seen.dispatch_count, seen.response_count) == (1, 0)
    assert seen.last_attempt.response_status.code == code_pb2.UNAVAILABLE
    cloud.advance(3600)
    assert _counts(cloud) == [(0, 0, None), (1, 0, None)]


def test_an_unreachable_target_is_tried_again(cloud: Cloud) -> None:
    queue = cloud.queue()
    task = tasks_v2.Task(http_request={"url": "http://127.0.0.1:1/"})
    name = cloud.client.create_task(parent=queue, task=task).name
    cloud.advance(1)
    seen = cloud.client.get_task(name=name)
    assert seen.dispatch_count > 1
    assert seen.response_count == 0


@pytest.mark.parametrize("url", ["http://a b.test/", "http://x.invalid:80:80/"])
def test_a_url_that_cannot_be_called_hurts_nobody_else(cloud: Cloud, url: str) -> None:
    queue = cloud.queue()
    task = tasks_v2.Task(http_request={"url": url})
    try:
        cloud.client.create_task(parent=queue, task=task)
    except Exception as refused:
        assert "URL" in str(refused)  # noqa: PT017
    cloud.task(queue, "/other")
    cloud.until(lambda: cloud.target.at("/other"), "the other task's request")


def test_a_passed_deadline_is_a_504_and_no_execution(cloud: Cloud) -> None:
    async def stall(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    cloud.target.script["/"].append(stall)
    task = cloud.task(_patient(cloud), dispatch_deadline=timedelta(seconds=15), later=3600)
    # Nobody waits 15 seconds in a test: the shortest deadline the platform has is made shorter.
    row = cloud.database.execute("SELECT spec FROM tasks_task").fetchone()[0]
    spec = tasks_v2.Task.pb().FromString(row)
    spec.dispatch_deadline.FromMilliseconds(100)
    cloud.do(_store(cloud, spec.SerializeToString()))
    cloud.advance(3600)
    seen = cloud.client.get_task(name=task.name)
    assert seen.last_attempt.response_status.code == code_pb2.DEADLINE_EXCEEDED
    assert (seen.dispatch_count, seen.response_count) == (1, 0)
    cloud.advance(3600)
    assert _counts(cloud) == [(0, 0, None), (1, 0, "504")]


async def _store(cloud: Cloud, spec: bytes) -> None:
    cloud.database.execute("UPDATE tasks_task SET spec = ?", (spec,))


def test_attempts_are_recorded(cloud: Cloud) -> None:
    cloud.target.script["/"].extend([404, 500])
    task = cloud.task(_patient(cloud), later=60)
    cloud.advance(60)
    first = cloud.client.get_task(name=task.name)
    assert first.first_attempt.dispatch_time == task.schedule_time
    assert "response_time" not in first.first_attempt
    assert first.last_attempt.schedule_time == task.schedule_time
    assert first.last_attempt.response_time == task.schedule_time
    assert first.last_attempt.response_status.code == code_pb2.NOT_FOUND
    assert first.schedule_time == task.schedule_time + timedelta(seconds=600)
    cloud.advance(600)
    second = cloud.client.get_task(name=task.name)
    assert second.first_attempt == first.first_attempt
    assert second.last_attempt.dispatch_time == first.schedule_time
    assert (second.dispatch_count, second.response_count) == (2, 2)


def test_the_eta_of_a_retry_is_the_time_it_was_scheduled_for(cloud: Cloud) -> None:
    cloud.target.script["/"].append(404)
    task = cloud.task(_patient(cloud), later=60)
    cloud.advance(3600)
    etas = [float(hit.headers[f"{X}TaskETA"]) for hit in cloud.target.hits]
    start = task.schedule_time.timestamp()
    assert etas == [pytest.approx(start, abs=1e-5), pytest.approx(start + 600, abs=1e-5)]


def test_google_only_headers_are_dropped_and_the_callers_kept(cloud: Cloud) -> None:
    headers = {
        "X-Agent": "me",
        "x-lower": "kept",
        "Host": "evil.test",
        "User-Agent": "evil",
        "Content-Length": "3",
        "X-Google-Thing": "evil",
        "X-AppEngine-QueueName": "evil",
        "x-cloudtasks-taskretrycount": "99",
        "X-CloudTasks-QueueName": "evil",
        "X-CLOUDTASKS-TASKPREVIOUSRESPONSE": "200",
    }
    task = cloud.task(cloud.queue(), body=b"four", headers=headers)
    assert dict(task.http_request.headers) == {
        "X-Agent": "me",
        "x-lower": "kept",
        "User-Agent": "Google-Cloud-Tasks",
    }
    cloud.idle()
    (hit,) = cloud.target.hits
    assert "evil" not in " ".join(hit.headers.values())
    assert hit.headers.getall(f"{X}TaskRetryCount") == ["0"]
    assert hit.headers.getall(f"{X}QueueName") == ["q"]
    assert f"{X}TaskPreviousResponse" not in hit.headers
    assert (hit.headers["X-Agent"], hit.headers["Content-Length"]) == ("me", "4")


def test_a_cookie_is_not_sent_back(cloud: Cloud) -> None:
    queue = cloud.queue()
    cloud.target.script["/"].append((500, {"Set-Cookie": "a=b"}))
    url = cloud.target.url.replace("127.0.0.1", "localhost")
    cloud.client.create_task(parent=queue, task={"http_request": {"url": url}})
    cloud.advance(1)
    assert ["Cookie" in hit.headers for hit in cloud.target.hits] == [False, False]


def test_no_content_type_is_invented(cloud: Cloud) -> None:
    queue = cloud.queue()
    cloud.task(queue, "/none", body=b"x")
    cloud.task(queue, "/own", body=b"x", headers={"content-type": "application/json"})
    cloud.idle()
    assert "Content-Type" not in cloud.target.at("/none")[0].headers
    assert cloud.target.at("/own")[0].headers["Content-Type"] == "application/json"


def test_a_scheduled_task_fires_at_its_time_and_not_before(cloud: Cloud) -> None:
    task = cloud.task(cloud.queue(), later=3600)
    cloud.advance(3000)
    assert not cloud.target.hits
    cloud.advance(600)
    assert cloud.target.hits[0].at == task.schedule_time


def test_a_scheduled_task_fires_in_real_time_too(cloud: Cloud) -> None:
    task = cloud.task(cloud.queue(), later=0.2)
    cloud.until(lambda: cloud.target.hits, "the request")
    late = cloud.target.hits[0].at - task.schedule_time
    assert timedelta(0) <= late < timedelta(seconds=5)


def test_tasks_fire_in_the_order_of_their_times(cloud: Cloud) -> None:
    queue, other = cloud.queue(), cloud.queue("other")
    cloud.task(queue, "/3", later=30)
    cloud.task(other, "/2", later=20)
    cloud.task(queue, "/1", later=10)
    cloud.advance(60)
    assert [hit.path for hit in cloud.target.hits] == ["/1", "/2", "/3"]


def test_a_task_made_by_a_task_fires_within_the_same_advance(cloud: Cloud) -> None:
    queue = cloud.queue()

    async def chain(request: web.Request) -> web.Response:
        await asyncio.to_thread(cloud.task, queue, "/next", later=100)
        return web.Response()

    cloud.target.script["/"].append(chain)
    first = cloud.task(queue, later=60)
    cloud.advance(300)
    (hit,) = cloud.target.at("/next")
    assert hit.at == first.schedule_time + timedelta(seconds=100)


def test_a_lost_acknowledgement_is_delivered_again_and_completes_once(cloud: Cloud) -> None:
    queue = cloud.queue()
    cloud.target.script["/"].append(_reset)
    cloud.task(queue)
    cloud.advance(1)
    assert [count for count, _, _ in _counts(cloud)] == [0, 1]
    assert not list(cloud.client.list_tasks(parent=queue))


def test_many_tasks_of_many_queues_all_arrive_once(cloud: Cloud) -> None:
    queues = [cloud.queue(f"q{n}") for n in range(5)]
    for n, queue in enumerate(queues):
        requests = [
            {"parent": queue, "task": {"http_request": {"url": f"{cloud.target.url}/{n}/{i}"}}}
            for i in range(60)
        ]
        cloud.client.batch_create_tasks(request={"parent": queue, "requests": requests})
    cloud.advance(10)
    assert sorted(hit.path for hit in cloud.target.hits) == sorted(
        f"/{n}/{i}" for n in range(5) for i in range(60)
    )


def test_a_queues_target_overrides_its_tasks(cloud: Cloud) -> None:
    host, _, port = cloud.target.url.removeprefix("http://").partition(":")
    override = tasks_v2.HttpTarget(
        uri_override={
            "scheme": "HTTP",
            "host": host,
            "port": int(port),
            "path_override": {"path": "/all"},
            "query_override": {"query_params": "a=1"},
        },
        http_method="PUT",
        header_overrides=[{"header": {"key": "X-Queue", "value": "theirs"}}],
    )
    queue = cloud.queue(http_target=override)
    task = {"http_request": {"url": "https://a.test/own?b=2", "headers": {"x-queue": "own"}}}
    cloud.client.create_task(parent=queue, task=task)
    cloud.idle()
    (hit,) = cloud.target.at("/all")
    assert (hit.method, hit.headers["X-Queue"]) == ("PUT", "theirs")
