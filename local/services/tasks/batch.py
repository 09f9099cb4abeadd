"""BatchCreateTasks and BatchDeleteTasks: many tasks of one queue, each for itself."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from google.rpc import status_pb2

from local.kernel import moments
from local.kernel.clock import Clock
from local.kernel.refusals import invalid
from local.kernel.rpc import Method
from local.kernel.status import Status
from local.services.tasks import messages as m
from local.services.tasks import names
from local.services.tasks.operations import Operations
from local.services.tasks.queue_methods import QueueMethods
from local.services.tasks.store import Store
from local.services.tasks.task_methods import TaskMethods

MOST_CREATED = 100
MOST_DELETED = 1000


class Batch:
    """The batch methods. The same request_id for the same queue is the same operation."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        queues: QueueMethods,
        tasks: TaskMethods,
        operations: Operations,
    ) -> None:
        self._store = store
        self._clock = clock
        self._queues = queues
        self._tasks = tasks
        self._operations = operations

    def methods(self) -> Mapping[str, Method]:
        """RPC name → method."""
        return {
            "BatchCreateTasks": _method(self.create, m.BatchCreateTasksRequest),
            "BatchDeleteTasks": _method(self.delete, m.BatchDeleteTasksRequest),
        }

    async def create(self, request: Any) -> Any:
        """BatchCreateTasks."""
        self._queues.queue(request.parent)
        _check_count(len(request.requests), MOST_CREATED, "BatchCreateTasksRequest.requests")
        for each in request.requests:
            if each.parent != request.parent:
                raise invalid(
                    f"CreateTaskRequest.parent ('{each.parent}') must be the same as "
                    f"BatchCreateTasksRequest.parent ('{request.parent}')."
                )
        metadata, response = m.BatchCreateTasksMetadata(), m.BatchCreateTasksResponse()

        def work() -> Any:
            tasks = _each(request.requests, self._tasks.created, metadata)
            response.tasks.extend(tasks)
            return response

        return self._operation("create", request, metadata, work)

    async def delete(self, request: Any) -> Any:
        """BatchDeleteTasks."""
        self._queues.queue(request.parent)
        _check_count(len(request.names), MOST_DELETED, "BatchDeleteTasksRequest.names")
        for name in request.names:
            if names.task(name)[0] != request.parent:
                raise invalid(
                    f"The task '{name}' must be in the queue from request ('{request.parent}')."
                )
        metadata = m.BatchDeleteTasksMetadata()

        def work() -> Any:
            _each(request.names, self._tasks.deleted, metadata)
            return empty_pb2.Empty()

        return self._operation("delete", request, metadata, work)

    def _operation(self, kind: str, request: Any, metadata: Any, work: Callable[[], Any]) -> Any:
        name = _operation_name(kind, request)
        known = self._operations.find(name) if request.request_id else None
        if known is not None:
            return known
        moments.put(metadata.start_time, self._now())
        operation = operations_pb2.Operation(name=name, done=True)
        with self._store.transaction():
            response = work()
            moments.put(metadata.end_time, self._now())
            _conclude(operation, metadata, response, _count(request))
            self._operations.put(operation)
        return operation

    def _now(self) -> int:
        return moments.micros(self._clock.now())


def _each(items: Iterable[Any], call: Callable[[Any], Any], metadata: Any) -> list[Any]:
    results = []
    for index, item in enumerate(items):
        try:
            results.append(call(item))
        except Status as refusal:
            metadata.failed_requests[index].CopyFrom(refusal.proto())
    return results


def _conclude(operation: Any, metadata: Any, response: Any, count: int) -> None:
    states = m.CreateState if isinstance(response, m.BatchCreateTasksResponse) else m.DeleteState
    failed = len(metadata.failed_requests)
    if failed == count:
        metadata.state = states.FAILED
        kind = metadata.DESCRIPTOR.name
        operation.error.CopyFrom(
            status_pb2.Status(
                code=grpc.StatusCode.ABORTED.value[0],
                message=f"None of the requests succeeded, refer to {kind}.failed_requests for "
                "individual error details",
            )
        )
    else:
        metadata.state = states.PARTIALLY_SUCCEEDED if failed else states.SUCCEEDED
        operation.response.Pack(response)
    operation.metadata.Pack(metadata)


def _operation_name(kind: str, request: Any) -> str:
    """Given by the request_id, so that a repeated call finds what the first one did."""
    id_ = uuid.uuid4()
    if request.request_id:
        id_ = uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {request.parent} {request.request_id}")
    return f"{names.location_of(request.parent)}/operations/{id_}"


def _count(request: Any) -> int:
    return len(
        request.names if isinstance(request, m.BatchDeleteTasksRequest) else request.requests
    )


def _check_count(count: int, most: int, field: str) -> None:
    if not count:
        raise invalid(f"{field} cannot be empty.")
    if count > most:
        raise invalid(f"{field} cannot contain more than {most} elements.")


def _method(call: Any, request: Any) -> Method:
    return Method(
        call=call,
        request=request,
        response=operations_pb2.Operation,
        subject=lambda request: str(request.request_id or request.parent),
    )
