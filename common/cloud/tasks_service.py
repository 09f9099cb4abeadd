"""Cloud Tasks as it is: Google's service, or an emulator, called through Google's client.

Every foreign exception is translated here: what the service will never take is `PermanentError`,
anything else is `TransientError`; the task may have been created all the same.
"""

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.api_core import exceptions as google
from google.cloud import tasks_v2
from google.longrunning import operations_pb2

from common.cloud import calls, identity
from common.cloud.calls import Method, routing
from common.cloud.task import PARALLEL, Failed, Made, Result, Task
from common.cloud.task_encoding import TaskEncoder
from common.errors import PermanentError, TransientError, UnavailableError
from common.process import logs, settings
from common.process.settings import Settings

_NO_BATCH = (google.MethodNotImplemented, google.Forbidden)
"""The service has no such call, or its operations must not be looked at."""
_NOT_TOGETHER = (google.InvalidArgument, google.AlreadyExists)
"""Which task is wrong shows when each is created alone."""
PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between two looks at a batch that is under way."""
AWAY = 30.0
"""Seconds after a creation in vain in which the service is not waited for, so that an outage of
Cloud Tasks does not hold the threads of a function: whoever cannot set an alarm goes on."""
IN_HASTE = 1.0
"""Seconds for one creation then, its repeats included."""
Message = Any
"""A plain protobuf message, whose classes are made when they are imported."""


class TasksService:
    """A `Backend` of `common.cloud.tasks`: the queues of a project, at the end of a channel."""

    def __init__(
        self,
        channel: grpc.Channel,
        config: Settings,
        *,
        pauses: Sequence[float] = PAUSES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._pauses = pauses
        self._monotonic = monotonic
        self._away_until = monotonic()
        self._encoder = TaskEncoder(config.tasks_service_account)
        self._create = _method(channel, "CreateTask", None, _TASK)
        self._get = _method(channel, "GetTask", _GET, _TASK)
        self._batch = _method(channel, "BatchCreateTasks", None, operations_pb2.Operation)
        self._look = Method(
            channel,
            "/google.longrunning.Operations/GetOperation",
            operations_pb2.GetOperationRequest,
            operations_pb2.Operation,
        )
        self._has_batches = True
        """Whether many can be created by one call; found out once in a process."""

    def create(self, task: Task) -> Made:
        """See `Backend`."""
        queue = self._queue(task.queue)
        patience = IN_HASTE if self._monotonic() < self._away_until else None
        try:
            encoded = self._encoder.create(queue, task)
            self._create(encoded, routing("parent", queue), timeout=patience)
        except google.AlreadyExists:
            return "existed"
        except google.GoogleAPIError as error:
            if patience is None:  # who was in haste says nothing new of a service that is slow
                self._away_until = self._monotonic() + AWAY
            raise _translate(error, task) from error
        self._away_until = self._monotonic()
        return "created"

    def exists(self, queue: str, name: str) -> bool:
        """See `Backend`."""
        full = f"{self._queue(queue)}/tasks/{name}"
        try:
            self._get(_GET(name=full), routing("name", full))
        except google.NotFound:
            return False
        except google.GoogleAPIError as error:
            raise UnavailableError(f"cannot look at {queue}: {error}") from error
        return True

    def create_batch(self, tasks: Sequence[Task], *, request_id: str) -> list[Result]:
        """See `Backend`."""
        if not self._has_batches:
            return self._one_by_one(tasks)
        queue = self._queue(tasks[0].queue)
        creates, results = self._encoded(queue, tasks)
        if creates:
            request = self._encoder.batch(queue, creates.values(), request_id=request_id)
            made = self._created(queue, [tasks[index] for index in creates], request)
            results.update(zip(creates, made, strict=True))
        return [results[index] for index in range(len(tasks))]

    def _encoded(
        self, queue: str, tasks: Sequence[Task]
    ) -> tuple[dict[int, bytes], dict[int, Result]]:
        """By index, the tasks that can be sent, encoded, and those that never can."""
        creates: dict[int, bytes] = {}
        never: dict[int, Result] = {}
        for index, task in enumerate(tasks):
            try:
                creates[index] = self._encoder.create(queue, task)
            except PermanentError as error:
                never[index] = Failed(error=error)
        return creates, never

    def _created(self, queue: str, tasks: Sequence[Task], request: bytes) -> list[Result]:
        try:
            operation = self._batch(request, routing("parent", queue))
            return _results(self._awaited(operation), tasks)
        except _NO_BATCH as error:
            logs.warning("failed", f"tasks are created one by one from now on: {error}")
            self._has_batches = False
        except _NOT_TOGETHER as error:
            logs.warning("failed", f"these tasks are created one by one: {error}")
        except google.GoogleAPIError as error:
            raise UnavailableError(f"cannot enqueue on {tasks[0].queue}: {error}") from error
        return self._one_by_one(tasks)

    def _awaited(self, operation: Message) -> Message:
        """The operation once it is finished. Raises TransientError for one that takes too long."""
        for pause in (*self._pauses, None):
            if operation.done:
                return operation
            if pause is None:
                break
            time.sleep(pause)
            asked = operations_pb2.GetOperationRequest(name=operation.name)
            operation = self._look(asked, routing("name", operation.name))
        raise UnavailableError("a batch of tasks takes longer than it may")

    def _one_by_one(self, tasks: Sequence[Task]) -> list[Result]:
        return list(_pool().map(self._tried, tasks))

    def _tried(self, task: Task) -> Result:
        try:
            return self.create(task)
        except (PermanentError, TransientError) as error:
            return Failed(error=error)

    def _queue(self, queue: str) -> str:
        config = self._config
        location = f"projects/{config.google_cloud_project}/locations/{config.location}"
        return f"{location}/queues/{config.queue_prefix}{queue}"


@functools.cache
def _connected() -> TasksService:
    config = settings.current()
    if (host := config.cloud_tasks_emulator_host) is not None:
        # The client library reads no emulator variable of its own.
        return TasksService(grpc.insecure_channel(host), config)
    client = tasks_v2.CloudTasksClient(credentials=identity.credentials())
    return TasksService(client.transport.grpc_channel, config)


def connected() -> TasksService:
    """The queues of this process: made at first use, because gRPC does not survive a fork."""
    with _connecting:
        return _connected()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Of this process, so that many batches together keep to PARALLEL creates at once."""
    return ThreadPoolExecutor(max_workers=PARALLEL, thread_name_prefix="create")


def _results(operation: Message, tasks: Sequence[Task]) -> list[Result]:
    metadata = tasks_v2.BatchCreateTasksMetadata.pb()()
    operation.metadata.Unpack(metadata)
    failed: Mapping[int, Message] = metadata.failed_requests
    # Where all have failed the operation is an error too, which says less of each.
    if operation.HasField("error") and not failed:
        failed = dict.fromkeys(range(len(tasks)), operation.error)
    return [
        _result(failed[index], task) if index in failed else "created"
        for index, task in enumerate(tasks)
    ]


def _result(status: Message, task: Task) -> Result:
    error = google.from_grpc_status(status.code, status.message)
    if isinstance(error, google.AlreadyExists):
        return "existed"
    return Failed(error=_translate(error, task))


def _translate(error: google.GoogleAPIError, task: Task) -> PermanentError | TransientError:
    # A queue may be missing for a minute after its creation or after a month of idleness, and an
    # account's rights take time to spread: only the task itself can be wrong for ever.
    message = f"cannot enqueue on {task.queue}: {error}"
    if isinstance(error, google.InvalidArgument):
        return PermanentError(message)
    return UnavailableError(message)


def _method(channel: grpc.Channel, name: str, request: Any, answer: Any) -> Method:
    # The client repeats no creation. A named task may be created again: after a lost answer it
    # exists, which means that it was created.
    repeated = (*calls.PASSING, google.GatewayTimeout)
    path = f"/google.cloud.tasks.v2.CloudTasks/{name}"
    return Method(channel, path, request, answer, repeated=repeated)


_GET = tasks_v2.GetTaskRequest.pb()
_TASK = tasks_v2.Task.pb()
_connecting = threading.Lock()
