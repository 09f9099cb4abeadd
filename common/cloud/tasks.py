"""Cloud Tasks: named tasks with a caller's identity, created at most once per name.

A name is a hash of what makes the task one, so that a repeat does not add a task. It guards for an
hour at least and a day at most after the task has run (the sources disagree), so nothing relies on
it for longer, nor uses a name twice: who runs twice is decided in Firestore.

Tasks are created by a `Backend`: Google's service, unless a test says otherwise:

    from common.cloud import tasks
    from common.cloud.memory import MemoryTasks
    from common.cloud.tasks import Task

    alarm = Task(
        queue="reminders",
        url="https://reminder.example",
        body={"reminder_id": "review:o-1"},
        identity=("reminders", "review:o-1"),
        audience="https://reminder.example",
    )
    with tasks.using(MemoryTasks()) as memory:
        tasks.enqueue(alarm)
        tasks.enqueue(alarm)                    # the same name: no second task
        assert list(memory.tasks.values()) == [alarm]
"""

import functools
import hashlib
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

import grpc
from google.api_core import exceptions as google
from google.api_core.operation import Operation
from google.api_core.retry import Retry
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import status_pb2

from common.cloud import identity
from common.errors import PermanentError, TransientError
from common.process import logs, settings

MAX_BODY = 100_000
"""Bytes; what the client's documentation promises (the service takes ten times that today)."""
FURTHEST = timedelta(days=30)
"""How far ahead a task may be scheduled."""
SHORTEST_DEADLINE, LONGEST_DEADLINE = timedelta(seconds=15), timedelta(minutes=30)
"""How long an attempt of a task may take, at least and at most."""
RPC_TIMEOUT = 10.0
"""Seconds for one call of the service, the retries included."""
PARALLEL = 16
"""Creates under way at once when many are enqueued."""

# The client has no default retry for create_task. A named create may be repeated: ALREADY_EXISTS
# after a lost reply means that it succeeded.
_RETRY = Retry(
    predicate=lambda error: isinstance(
        error, google.ServiceUnavailable | google.TooManyRequests | google.GatewayTimeout
    ),
    initial=0.1,
    maximum=2.0,
    multiplier=1.5,
    timeout=RPC_TIMEOUT,
)
_NEVER = (google.InvalidArgument, google.NotFound, google.FailedPrecondition, google.Forbidden)
_NO_BATCH = (google.MethodNotImplemented, google.Forbidden)
"""The service has no such call; or its operations must not be looked at."""
_NOT_TOGETHER = (google.InvalidArgument, google.AlreadyExists)
"""Which task is wrong shows when each is created alone."""
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between two looks at a batch that is under way."""
_making = threading.Lock()

Made = Literal["created", "existed"]
"""What became of a task that was to be created: `existed` if its name has been used."""
MAX_BATCH = 100
"""Tasks of one queue that one call creates, at most."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A task of many that was not created."""

    error: PermanentError | TransientError
    """PermanentError: never; TransientError: not now, but it may have been created all the same."""


Result = Made | Failed
"""What became of one task of many."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """An HTTP call to be made later, once."""

    queue: str
    url: str
    body: Mapping[str, Any]
    identity: tuple[str, ...]
    """What makes this task one; hashed into its name."""
    at: datetime | None = None
    """When it is due; None: now."""
    audience: str
    """Of the OIDC token, explicit: the default one breaks on a query string."""
    headers: Mapping[str, str] = field(default_factory=dict)
    deadline: timedelta = timedelta(seconds=60)
    """How long an attempt may take; 15 s to 30 min."""


class Backend(Protocol):
    """Creates tasks: Google's service, or a stand-in for the service."""

    def create(self, task: Task) -> Made:
        """Create one task, unless its name has been used.

        Raises PermanentError (never) and TransientError (not now; the task may have been created).
        """

    def exists(self, queue: str, name: str) -> bool:
        """Whether a task of that name is still to run, or running. Raises TransientError."""

    def create_batch(self, tasks: Sequence[Task], *, request_id: str) -> list[Result]:
        """Create up to MAX_BATCH tasks of one queue, each for itself; what became of each.

        A call that is repeated under its `request_id` (a UUID) because its answer was lost is
        answered as the first one was. Raises TransientError when nothing is known of any task.
        """


@functools.cache
def _make_client() -> tasks_v2.CloudTasksClient:
    host = settings.current().cloud_tasks_emulator_host
    if host is None:
        return tasks_v2.CloudTasksClient(credentials=identity.credentials())
    # The client library reads no emulator variable of its own.
    return tasks_v2.CloudTasksClient(
        transport=CloudTasksGrpcTransport(channel=grpc.insecure_channel(host))
    )


def client() -> tasks_v2.CloudTasksClient:
    """The process's client: made at first use, because gRPC does not survive a fork."""
    with _making:
        return _make_client()


def enqueue(task: Task) -> Made:
    """Create the task unless one of its name exists or existed a short while ago.

    Raises PermanentError for a task the service will never take, TransientError when the task
    cannot be created now (it may have been created all the same).
    """
    made = _backend.create(task)
    action: logs.Action = "scheduled" if task.at else "enqueued"
    logs.info(action, f"a task on {task.queue}", queue=task.queue, existed=made == "existed")
    return made


def exists(queue: str, name: str) -> bool:
    """Whether a task is still there: it has neither succeeded, nor been deleted, nor used up all of
    its attempts.

    `queue` is its queue, `name` what `name` makes of its identity. Raises TransientError when the
    service cannot be asked now.
    """
    return _backend.exists(queue, name)


def create_batch(tasks: Sequence[Task], *, request_id: str) -> list[Result]:
    """One call of the service that creates several tasks of one queue: see `Backend`.

    `common.cloud.batches` makes many such calls, and repeats what can be repeated.
    """
    return _backend.create_batch(tasks, request_id=request_id)


def enqueue_all(tasks: Iterable[Task]) -> list[Made]:
    """Create several tasks, a bounded number at a time; raises the first error after trying all."""
    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        futures = [pool.submit(_backend.create, task) for task in tasks]
    return [future.result() for future in futures]


AnyBackend = TypeVar("AnyBackend", bound=Backend)


@contextmanager
def using(backend: AnyBackend) -> Iterator[AnyBackend]:
    """For a test: tasks are created by another backend, inside the `with` block.

    The backend takes the place of Google's service for all threads of the process.
    """
    global _backend
    with _switching:
        earlier, _backend = _backend, backend
    try:
        yield backend
    finally:
        with _switching:
            _backend = earlier


def name(identity: tuple[str, ...]) -> str:
    """A task id for this identity: a hash, because sequential names slow a queue down."""
    return hashlib.sha256("\0".join(identity).encode()).hexdigest()


def encoded_body(task: Task) -> bytes:
    """The task's body as it is sent. Raises PermanentError for one that is too large."""
    body = json.dumps(task.body).encode()
    if len(body) > MAX_BODY:
        raise PermanentError(f"a task's body has {len(body)} bytes, more than {MAX_BODY}")
    return body


class _Google:
    """The service, through this process's client."""

    def __init__(self) -> None:
        self._has_batches = True
        """Whether many can be created by one call; found out once in a process."""

    def create(self, task: Task) -> Made:
        queue = _queue_path(task.queue)
        request = _request(queue, task)
        try:
            client().create_task(parent=queue, task=request, retry=_RETRY, timeout=RPC_TIMEOUT)
        except google.AlreadyExists:
            return "existed"
        except _NEVER as error:
            raise _translate(error, task) from error
        except google.GoogleAPIError as error:
            raise TransientError(f"cannot enqueue on {task.queue}: {error}") from error
        return "created"

    def exists(self, queue: str, name: str) -> bool:
        try:
            client().get_task(name=f"{_queue_path(queue)}/tasks/{name}", timeout=RPC_TIMEOUT)
        except google.NotFound:
            return False
        except google.GoogleAPIError as error:
            raise TransientError(f"cannot look at {queue}: {error}") from error
        return True

    def create_batch(self, tasks: Sequence[Task], *, request_id: str) -> list[Result]:
        if not self._has_batches or not hasattr(client(), "batch_create_tasks"):
            return self._one_by_one(tasks)
        results, requests = _encoded(tasks)
        if requests:
            made = self._created([tasks[index] for index in requests], requests, request_id)
            results.update(zip(requests, made, strict=True))
        return [results[index] for index in range(len(tasks))]

    def _created(
        self, tasks: Sequence[Task], requests: Mapping[int, tasks_v2.Task], request_id: str
    ) -> list[Result]:
        queue = _queue_path(tasks[0].queue)
        request = {
            "parent": queue,
            "request_id": request_id,
            "requests": [{"parent": queue, "task": it} for it in requests.values()],
        }
        try:
            operation = client().batch_create_tasks(request, retry=_RETRY, timeout=RPC_TIMEOUT)
            return _results(_awaited(operation), tasks)
        except _NO_BATCH as error:
            logs.warning("failed", f"tasks are created one by one from now on: {error}")
            self._has_batches = False
        except _NOT_TOGETHER as error:
            logs.warning("failed", f"these tasks are created one by one: {error}")
        except google.GoogleAPIError as error:
            raise TransientError(f"cannot enqueue on {tasks[0].queue}: {error}") from error
        return self._one_by_one(tasks)

    def _one_by_one(self, tasks: Sequence[Task]) -> list[Result]:
        return list(_pool().map(self._tried, tasks))

    def _tried(self, task: Task) -> Result:
        try:
            return self.create(task)
        except (PermanentError, TransientError) as error:
            return Failed(error=error)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Of this process, so that many batches together keep to PARALLEL creates at once."""
    return ThreadPoolExecutor(max_workers=PARALLEL, thread_name_prefix="create")


def _encoded(tasks: Sequence[Task]) -> tuple[dict[int, Result], dict[int, tasks_v2.Task]]:
    """By index: those that can never be sent, and the requests of the others."""
    never: dict[int, Result] = {}
    requests: dict[int, tasks_v2.Task] = {}
    for index, task in enumerate(tasks):
        try:
            requests[index] = _request(_queue_path(task.queue), task)
        except PermanentError as error:
            never[index] = Failed(error=error)
    return never, requests


def _awaited(operation: Operation) -> operations_pb2.Operation:
    """The operation once it is finished. Raises TransientError for one that takes too long."""
    for pause in _PAUSES:
        if operation.done():
            return operation.operation
        time.sleep(pause)
    raise TransientError("a batch of tasks takes longer than it may")


def _results(operation: operations_pb2.Operation, tasks: Sequence[Task]) -> list[Result]:
    metadata = tasks_v2.BatchCreateTasksMetadata.pb()()
    operation.metadata.Unpack(metadata)
    failed = metadata.failed_requests
    # Where all have failed the operation is an error too, which says less of each.
    if operation.HasField("error") and not failed:
        failed = dict.fromkeys(range(len(tasks)), operation.error)
    return [
        _result(failed[index], task) if index in failed else "created"
        for index, task in enumerate(tasks)
    ]


def _result(status: status_pb2.Status, task: Task) -> Result:
    error = google.from_grpc_status(status.code, status.message)
    if isinstance(error, google.AlreadyExists):
        return "existed"
    return Failed(error=_translate(error, task))


def _queue_path(queue: str) -> str:
    config = settings.current()
    name = f"{config.queue_prefix}{queue}"
    path: str = client().queue_path(config.google_cloud_project, config.location, name)
    return path


def _request(queue: str, task: Task) -> tasks_v2.Task:
    request = tasks_v2.Task(
        name=f"{queue}/tasks/{name(task.identity)}",
        dispatch_deadline=Duration(seconds=int(task.deadline.total_seconds())),
        http_request=tasks_v2.HttpRequest(
            url=task.url,
            http_method=tasks_v2.HttpMethod.POST,
            headers={"Content-Type": "application/json", **task.headers},
            body=encoded_body(task),
            oidc_token=tasks_v2.OidcToken(
                service_account_email=settings.current().tasks_service_account,
                audience=task.audience,
            ),
        ),
    )
    if task.at is not None:
        request.schedule_time = task.at
    return request


def _translate(error: google.GoogleAPICallError, task: Task) -> PermanentError | TransientError:
    # A queue may be missing for a minute after its creation or after a month of idleness, and an
    # account's rights take time to spread: only the task itself can be wrong for ever.
    message = f"cannot enqueue on {task.queue}: {error}"
    if isinstance(error, google.InvalidArgument):
        return PermanentError(message)
    return TransientError(message)


_switching = threading.Lock()
_backend: Backend = _Google()
