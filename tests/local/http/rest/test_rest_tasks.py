"""Cloud Tasks' REST side, used by the stock client with its own REST transport."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core.exceptions import Conflict, MethodNotImplemented, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import tasks_v2
from google.cloud.location import locations_pb2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksRestTransport
from google.iam.v1 import policy_pb2
from google.longrunning import operations_pb2

from local.testing import LocalCloud, Refused, local_cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with local_cloud() as made:
        yield made


@pytest.fixture(scope="module")
def client(cloud: LocalCloud) -> Iterator[Any]:
    transport = CloudTasksRestTransport(
        host=cloud.url.removeprefix("http://"),
        url_scheme="http",
        credentials=AnonymousCredentials(),
    )
    with tasks_v2.CloudTasksClient(transport=transport) as made:
        yield made


@pytest.fixture(scope="module")
def parent(cloud: LocalCloud) -> Any:
    return f"projects/{cloud.project}/locations/europe-west1"


@pytest.fixture
def queue(client: tasks_v2.CloudTasksClient, parent: str, request: pytest.FixtureRequest) -> Any:
    name = f"{parent}/queues/{request.node.name.replace('_', '-')}"
    return client.create_queue(parent=parent, queue=tasks_v2.Queue(name=name)).name


def create(queue: str, id_: str) -> Any:
    """A request for a task that is due tomorrow."""
    http = tasks_v2.HttpRequest(url="http://127.0.0.1:9/", body=b"hello")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    task = tasks_v2.Task(name=f"{queue}/tasks/{id_}", http_request=http, schedule_time=tomorrow)
    return tasks_v2.CreateTaskRequest(parent=queue, task=task)


def test_a_batch_is_created_and_deleted(client: tasks_v2.CloudTasksClient, queue: Any) -> None:
    requests = [create(queue, id_) for id_ in "abc"]
    batch = tasks_v2.BatchCreateTasksRequest(parent=queue, requests=requests)
    created = client.batch_create_tasks(batch).result(timeout=10)
    assert [task.name for task in created.tasks] == [r.task.name for r in requests]
    names = [f"{queue}/tasks/a", f"{queue}/tasks/b"]
    delete = tasks_v2.BatchDeleteTasksRequest(parent=queue, names=names)
    client.batch_delete_tasks(delete).result(timeout=10)
    assert [task.name for task in client.list_tasks(parent=queue)] == [f"{queue}/tasks/c"]


def test_an_operation_is_found_with_what_failed(
    client: tasks_v2.CloudTasksClient, queue: Any
) -> None:
    client.create_task(create(queue, "taken"))
    requests = [create(queue, id_) for id_ in ("taken", "free")]
    batch = tasks_v2.BatchCreateTasksRequest(parent=queue, requests=requests)
    name = client.batch_create_tasks(batch).operation.name
    found = client.get_operation(operations_pb2.GetOperationRequest(name=name))
    metadata = tasks_v2.BatchCreateTasksMetadata.pb()()
    assert found.metadata.Unpack(metadata)
    assert list(metadata.failed_requests) == [0]


def test_an_operation_that_is_not_there_is_a_404(
    client: tasks_v2.CloudTasksClient, parent: str
) -> None:
    missing = operations_pb2.GetOperationRequest(name=f"{parent}/operations/missing")
    with pytest.raises(NotFound):
        client.get_operation(missing)


def test_a_policy_is_remembered(client: tasks_v2.CloudTasksClient, queue: Any) -> None:
    policy = policy_pb2.Policy()
    policy.bindings.add(role="roles/cloudtasks.enqueuer", members=["user:ada@example.com"])
    client.set_iam_policy({"resource": queue, "policy": policy})
    found = client.get_iam_policy({"resource": queue})
    assert list(found.bindings[0].members) == ["user:ada@example.com"]


def test_everybody_may_do_everything(client: tasks_v2.CloudTasksClient, queue: Any) -> None:
    asked = ["cloudtasks.tasks.create", "cloudtasks.queues.purge"]
    answer = client.test_iam_permissions({"resource": queue, "permissions": asked})
    assert list(answer.permissions) == asked


def test_locations_are_found(client: tasks_v2.CloudTasksClient, queue: Any, parent: str) -> None:
    project = parent.partition("/locations/")[0]
    listed = client.list_locations(locations_pb2.ListLocationsRequest(name=project))
    assert parent in [location.name for location in listed.locations]
    one = client.get_location(locations_pb2.GetLocationRequest(name=parent))
    assert one.location_id == "europe-west1"


def test_what_is_not_served_is_refused_by_name(
    client: tasks_v2.CloudTasksClient, parent: str
) -> None:
    with pytest.raises(MethodNotImplemented, match="GetCmekConfig"):
        client.get_cmek_config(name=f"{parent}/cmekConfig")


def test_a_task_is_seen_whole_run_and_refused_a_second_time(
    client: tasks_v2.CloudTasksClient, queue: Any
) -> None:
    created = client.create_task(create(queue, "one"))
    client.pause_queue(name=queue)
    seen = client.get_task({"name": created.name, "response_view": tasks_v2.Task.View.FULL})
    assert seen.http_request.body == b"hello"
    with pytest.raises(Conflict):
        client.create_task(create(queue, "one"))
    assert client.run_task(name=created.name).name == created.name


def test_the_beta_of_the_api_is_refused_by_name(cloud: LocalCloud, parent: str) -> None:
    with pytest.raises(Refused, match="v2beta3 is not served by the local cloud, only v2") as beta:
        cloud.request("GET", f"/v2beta3/{parent}/queues")
    assert beta.value.code == 501
