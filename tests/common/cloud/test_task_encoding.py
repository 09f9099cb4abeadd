"""The requests that create tasks are those of Google's client."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from google.cloud import tasks_v2
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings
from hypothesis import strategies as st

from common.cloud.task_encoding import TaskEncoder
from common.cloud.tasks import Task, name
from common.errors import PermanentError

QUEUE = "projects/p/locations/l/queues/digests"
ENCODER = TaskEncoder("tasks@p.iam.gserviceaccount.com")

few = settings(max_examples=100, deadline=None)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
many_tasks = st.builds(
    Task,
    queue=st.just("digests"),
    url=texts,
    body=st.dictionaries(texts, texts, max_size=4),
    identity=st.tuples(texts, texts),
    # Of later times the client counts the seconds in a float, and takes the next one for some.
    at=st.none() | st.timedeltas(timedelta(days=365), timedelta(days=84_000)).map(EPOCH.__add__),
    audience=texts,
    headers=st.dictionaries(texts, texts, max_size=2),
    deadline=st.integers(15, 1800).map(lambda seconds: timedelta(seconds=seconds)),
)


def create(task: Task) -> tasks_v2.CreateTaskRequest:
    """As one would write it with the client."""
    http = tasks_v2.HttpRequest(
        url=task.url,
        http_method=tasks_v2.HttpMethod.POST,
        headers={"Content-Type": "application/json", **task.headers},
        body=json.dumps(task.body).encode(),
        oidc_token=tasks_v2.OidcToken(
            service_account_email="tasks@p.iam.gserviceaccount.com", audience=task.audience
        ),
    )
    made = tasks_v2.Task(
        name=f"{QUEUE}/tasks/{name(task.identity)}",
        http_request=http,
        dispatch_deadline=Duration(seconds=int(task.deadline.total_seconds())),
    )
    if task.at is not None:
        made.schedule_time = task.at
    return tasks_v2.CreateTaskRequest(parent=QUEUE, task=made)


@few
@given(many_tasks)
def test_a_task_is_encoded_as_the_client_does(task: Task) -> None:
    encoded = ENCODER.create(QUEUE, task)
    theirs = create(task)
    assert tasks_v2.CreateTaskRequest.deserialize(encoded) == theirs
    assert len(encoded) == len(tasks_v2.CreateTaskRequest.serialize(theirs))


@few
@given(st.lists(many_tasks, max_size=3))
def test_a_batch_is_encoded_as_the_client_does(tasks: list[Task]) -> None:
    encoded = ENCODER.batch(QUEUE, [ENCODER.create(QUEUE, it) for it in tasks], request_id="r")
    theirs = tasks_v2.BatchCreateTasksRequest(
        parent=QUEUE, requests=[create(it) for it in tasks], request_id="r"
    )
    assert tasks_v2.BatchCreateTasksRequest.deserialize(encoded) == theirs


@pytest.mark.parametrize("size", [100, 127, 128, 16_300, 16_384, 99_000])
def test_a_body_may_be_of_any_size_up_to_the_largest(size: int) -> None:
    """The length before it has one byte, two or three."""
    task = Task(queue="q", url="u", body={"x": "x" * (size - 9)}, identity=("i",), audience="a")
    found = tasks_v2.CreateTaskRequest.deserialize(ENCODER.create(QUEUE, task))
    assert found == create(task)
    assert len(found.task.http_request.body) == size


def test_a_body_that_is_encoded_already_is_sent_as_it_is() -> None:
    task = Task(queue="q", url="u", body={}, identity=("i",), audience="a", encoded=b'{"x":1}')
    found = tasks_v2.CreateTaskRequest.deserialize(ENCODER.create(QUEUE, task))
    assert found.task.http_request.body == b'{"x":1}'


def test_a_body_that_is_encoded_already_may_be_too_large() -> None:
    task = Task(queue="q", url="u", body={}, identity=("i",), audience="a", encoded=b"x" * 100_001)
    with pytest.raises(PermanentError, match="100001 bytes"):
        ENCODER.create(QUEUE, task)
