"""Batches, and the long-running operations they are."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2
from google.longrunning import operations_pb2, operations_pb2_grpc

from tests.local.services.tasks.tasks_cloud import Cloud

CreateState = tasks_v2.BatchCreateTasksMetadata.State
DeleteState = tasks_v2.BatchDeleteTasksMetadata.State


@pytest.fixture
def queue(cloud: Cloud) -> Any:
    name = cloud.queue()
    cloud.client.pause_queue(name=name)
    return name


@pytest.fixture
def operations(cloud: Cloud) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{cloud.port}") as channel:
        yield operations_pb2_grpc.OperationsStub(channel)


def _requests(cloud: Cloud, queue: Any, ids: Any) -> Any:
    task = {"http_request": {"url": cloud.target.url, "body": b"x"}}
    return [
        tasks_v2.CreateTaskRequest(parent=queue, task={**task, "name": f"{queue}/tasks/{id_}"})
        for id_ in ids
    ]


def _create(cloud: Cloud, queue: Any, ids: Any, **more: Any) -> Any:
    request = {"parent": queue, "requests": _requests(cloud, queue, ids), **more}
    return cloud.client.batch_create_tasks(request=request)


def _ids(cloud: Cloud, queue: Any) -> Any:
    return [task.name.rpartition("/")[2] for task in cloud.client.list_tasks(parent=queue)]


def test_a_batch_creates_all_its_tasks(cloud: Cloud, queue: Any) -> None:
    operation = _create(cloud, queue, ["a", "b"])
    names = [task.name for task in operation.result().tasks]
    assert names == [f"{queue}/tasks/a", f"{queue}/tasks/b"]
    assert operation.metadata.state == CreateState.SUCCEEDED
    assert operation.metadata.end_time >= operation.metadata.start_time
    assert _ids(cloud, queue) == ["a", "b"]


def test_what_a_batch_cannot_create_is_reported_by_its_index(cloud: Cloud, queue: Any) -> None:
    _create(cloud, queue, ["b"])
    operation = _create(cloud, queue, ["a", "b", "not valid", "c"])
    assert [task.name[-1] for task in operation.result().tasks] == ["a", "c"]
    failed = operation.metadata.failed_requests
    assert operation.metadata.state == CreateState.PARTIALLY_SUCCEEDED
    assert sorted(failed) == [1, 2]
    assert failed[1].code == grpc.StatusCode.ALREADY_EXISTS.value[0]
    assert failed[1].message == "Requested entity already exists"
    assert failed[2].code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_a_name_twice_in_a_batch_is_created_once(cloud: Cloud, queue: Any) -> None:
    operation = _create(cloud, queue, ["a", "a"])
    assert sorted(operation.metadata.failed_requests) == [1]
    assert _ids(cloud, queue) == ["a"]


def test_a_batch_of_which_nothing_succeeds_is_an_aborted_operation(
    cloud: Cloud, queue: Any
) -> None:
    _create(cloud, queue, ["a"])
    operation = _create(cloud, queue, ["a"])
    with pytest.raises(exceptions.GoogleAPICallError, match="None of the requests succeeded"):
        operation.result()
    assert operation.operation.error.code == grpc.StatusCode.ABORTED.value[0]
    assert sorted(operation.metadata.failed_requests) == [0]


def test_created_tasks_are_answered_in_the_view_asked_for(cloud: Cloud, queue: Any) -> None:
    (request,) = _requests(cloud, queue, ["a"])
    request.response_view = tasks_v2.Task.View.FULL
    operation = cloud.client.batch_create_tasks(parent=queue, requests=[request])
    assert operation.result().tasks[0].http_request.body == b"x"


def test_the_tasks_of_a_batch_are_dispatched(cloud: Cloud) -> None:
    queue = cloud.queue()
    _create(cloud, queue, [f"t{n}" for n in range(100)])
    cloud.idle()
    assert len(cloud.target.hits) == 100


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_creates_one_to_a_hundred_tasks(cloud: Cloud, queue: Any, count: int) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        _create(cloud, queue, [f"t{n}" for n in range(count)])
    assert not _ids(cloud, queue)


def test_all_tasks_of_a_batch_are_for_its_queue(cloud: Cloud, queue: Any) -> None:
    requests = _requests(cloud, queue, ["a"]) + _requests(cloud, cloud.queue("other"), ["b"])
    with pytest.raises(exceptions.InvalidArgument):
        cloud.client.batch_create_tasks(parent=queue, requests=requests)
    assert not _ids(cloud, queue)


def test_a_batch_for_a_missing_queue_is_not_found(cloud: Cloud, queue: Any) -> None:
    with pytest.raises(exceptions.NotFound, match="Queue does not exist"):
        _create(cloud, f"{queue}-other", ["a"])


def test_the_same_request_id_is_the_same_operation(cloud: Cloud, queue: Any) -> None:
    first = _create(cloud, queue, ["a"], request_id="one")
    again = _create(cloud, queue, ["a"], request_id="one")
    assert again.operation == first.operation
    assert again.metadata.state == CreateState.SUCCEEDED


def test_the_same_request_id_for_another_queue_is_another_operation(
    cloud: Cloud, queue: Any
) -> None:
    other = cloud.queue("other")
    first = _create(cloud, queue, ["a"], request_id="one")
    second = _create(cloud, other, ["a"], request_id="one")
    assert first.operation.name != second.operation.name
    assert _ids(cloud, queue) == ["a"]


def test_without_a_request_id_every_call_is_an_operation(cloud: Cloud, queue: Any) -> None:
    names = {_create(cloud, queue, [id_]).operation.name for id_ in ("a", "b")}
    assert len(names) == 2


def test_a_batch_deletes_what_is_there_and_reports_the_rest(cloud: Cloud, queue: Any) -> None:
    _create(cloud, queue, ["a", "b", "c"])
    names = [f"{queue}/tasks/{id_}" for id_ in ("a", "missing", "c")]
    operation = cloud.client.batch_delete_tasks(parent=queue, names=names)
    operation.result()
    assert operation.metadata.state == DeleteState.PARTIALLY_SUCCEEDED
    assert {i: s.code for i, s in operation.metadata.failed_requests.items()} == {
        1: grpc.StatusCode.NOT_FOUND.value[0]
    }
    assert _ids(cloud, queue) == ["b"]


def test_a_batch_that_deletes_all_succeeds_and_the_names_stay_taken(
    cloud: Cloud, queue: Any
) -> None:
    _create(cloud, queue, ["a"])
    operation = cloud.client.batch_delete_tasks(parent=queue, names=[f"{queue}/tasks/a"])
    operation.result()
    assert operation.metadata.state == DeleteState.SUCCEEDED
    with pytest.raises(exceptions.AlreadyExists):
        cloud.task(queue, name=f"{queue}/tasks/a")


def test_a_batch_that_deletes_nothing_is_aborted(cloud: Cloud, queue: Any) -> None:
    operation = cloud.client.batch_delete_tasks(parent=queue, names=[f"{queue}/tasks/a"])
    assert operation.operation.error.code == grpc.StatusCode.ABORTED.value[0]
    assert operation.operation.error.message == (
        "None of the requests succeeded, refer to BatchDeleteTasksMetadata.failed_requests for "
        "individual error details"
    )


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_deletes_one_to_a_thousand_tasks(cloud: Cloud, queue: Any, count: int) -> None:
    names = [f"{queue}/tasks/t{n}" for n in range(count)]
    with pytest.raises(exceptions.InvalidArgument):
        cloud.client.batch_delete_tasks(parent=queue, names=names)


def test_an_operation_is_found_waited_for_and_listed(
    cloud: Cloud, queue: Any, operations: Any
) -> None:
    name = _create(cloud, queue, ["a"]).operation.name
    got = operations.GetOperation(operations_pb2.GetOperationRequest(name=name))
    waited = operations.WaitOperation(operations_pb2.WaitOperationRequest(name=name))
    location = queue.partition("/queues/")[0]
    listed = operations.ListOperations(operations_pb2.ListOperationsRequest(name=location))
    assert got.done
    assert [got, *listed.operations] == [waited, waited]
    assert cloud.client.get_operation(request={"name": name}) == got


def test_cancelling_a_finished_operation_changes_nothing(
    cloud: Cloud, queue: Any, operations: Any
) -> None:
    before = _create(cloud, queue, ["a"]).operation
    operations.CancelOperation(operations_pb2.CancelOperationRequest(name=before.name))
    after = operations.GetOperation(operations_pb2.GetOperationRequest(name=before.name))
    assert after == before


def test_a_deleted_operation_is_not_found_and_its_tasks_stay(
    cloud: Cloud, queue: Any, operations: Any
) -> None:
    name = _create(cloud, queue, ["a"]).operation.name
    operations.DeleteOperation(operations_pb2.DeleteOperationRequest(name=name))
    with pytest.raises(grpc.RpcError) as raised:
        operations.GetOperation(operations_pb2.GetOperationRequest(name=name))
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    assert _ids(cloud, queue) == ["a"]


def test_operations_are_listed_a_page_at_a_time(cloud: Cloud, queue: Any, operations: Any) -> None:
    names = sorted(_create(cloud, queue, [id_]).operation.name for id_ in "abc")
    request = operations_pb2.ListOperationsRequest(name=queue.partition("/queues/")[0], page_size=2)
    first = operations.ListOperations(request)
    request.page_token = first.next_page_token
    second = operations.ListOperations(request)
    listed = [operation.name for page in (first, second) for operation in page.operations]
    assert listed == names
    assert not second.next_page_token
