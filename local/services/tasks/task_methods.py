"""The methods on tasks."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import empty_pb2

from local.kernel import moments
from local.kernel.clock import Clock
from local.kernel.refusals import invalid
from local.kernel.rpc import Method
from local.services.tasks import headers, names, pages, refusals, validate
from local.services.tasks import messages as m
from local.services.tasks.dispatch import Dispatcher
from local.services.tasks.queue import Queue
from local.services.tasks.queue_methods import QueueMethods
from local.services.tasks.store import Store
from local.services.tasks.task import Task, message

LARGEST_PAGE = 1000


class TaskMethods:
    """Create, read, run and delete tasks."""

    def __init__(
        self, store: Store, clock: Clock, dispatcher: Dispatcher, queues: QueueMethods
    ) -> None:
        self._store = store
        self._clock = clock
        self._dispatcher = dispatcher
        self._queues = queues

    def methods(self) -> Mapping[str, Method]:
        """RPC name → method."""
        return {
            "CreateTask": Method(
                call=self.create,
                request=m.CreateTaskRequest,
                response=m.Task,
                subject=lambda request: request.task.name or request.parent,
            ),
            "GetTask": Method(
                call=self.get, request=m.GetTaskRequest, response=m.Task, subject=_name
            ),
            "ListTasks": Method(
                call=self.list,
                request=m.ListTasksRequest,
                response=m.ListTasksResponse,
                subject=lambda request: request.parent,
            ),
            "DeleteTask": Method(
                call=self.delete,
                request=m.DeleteTaskRequest,
                response=empty_pb2.Empty,
                subject=_name,
            ),
            "RunTask": Method(
                call=self.run, request=m.RunTaskRequest, response=m.Task, subject=_name
            ),
        }

    async def create(self, request: Any) -> Any:
        """CreateTask."""
        return self.created(request)

    async def get(self, request: Any) -> Any:
        """GetTask."""
        queue, task = self._find(request.name, recently=True)
        return message(task, queue.name, request.response_view)

    async def list(self, request: Any) -> Any:
        """ListTasks, in the order of their ids."""
        queue = self._queues.queue(request.parent)
        now = self._now()
        after = pages.after(request.page_token, now)
        size = pages.size(request.page_size, LARGEST_PAGE)
        found = self._store.page(queue.id, after, size + 1)
        response = m.ListTasksResponse(
            tasks=[message(task, queue.name, request.response_view) for task in found[:size]]
        )
        if len(found) > size:
            response.next_page_token = pages.token(found[size - 1].name, now)
        return response

    async def delete(self, request: Any) -> Any:
        """DeleteTask: an attempt that runs is not disturbed, and not repeated."""
        self.deleted(request.name)
        return empty_pb2.Empty()

    async def run(self, request: Any) -> Any:
        """RunTask: an attempt now, whatever the queue's state, limits and the schedule say."""
        queue, task = self._find(request.name)
        self._dispatcher.force(queue, task)
        return message(task, queue.name, request.response_view)

    def created(self, request: Any) -> Any:
        """Store the task of a CreateTaskRequest and return it as answered."""
        given, now = request.task, self._now()
        name = _task_id(request.parent, given.name)
        queue = self._queues.queue(request.parent)
        validate.task(given, now, queue.retry)
        if given.name:
            self._refuse_taken(queue, name, now)
        task = Task(
            id=0,
            queue=queue.id,
            name=name,
            spec=_spec(given).SerializeToString(),
            create_us=now,
            schedule_us=max(moments.of(given.schedule_time), now),
        )
        self._store.add(task)
        self._dispatcher.added(queue, task.schedule_us)
        return message(task, queue.name, request.response_view)

    def deleted(self, name: str) -> None:
        """Delete the task of that name; NOT_FOUND if there is none."""
        queue, task = self._find(name)
        with self._store.transaction():
            self._store.remove([task.id], self._now())
        self._dispatcher.refresh(queue)

    def _find(self, name: str, *, recently: bool = False) -> tuple[Queue, Task]:
        queue_name, id_ = names.task(name)
        queue = self._dispatcher.queues.get(queue_name)
        if queue is None:
            raise refusals.not_found()
        task = self._store.find(queue.id, id_)
        if task is None:
            if recently and self._store.gone(queue.id, id_, self._now()):
                raise refusals.task_gone()
            raise refusals.not_found()
        return queue, task

    def _refuse_taken(self, queue: Queue, name: str, now: int) -> None:
        if self._store.exists(queue.id, name):
            raise refusals.task_exists()
        if self._store.gone(queue.id, name, now):
            raise refusals.task_too_recent()

    def _now(self) -> int:
        return moments.micros(self._clock.now())


def _task_id(parent: str, name: str) -> str:
    if not name:
        return names.invented()
    queue_name, id_ = names.task(name)
    if queue_name != parent:
        raise invalid(
            f"The queue name from request ('{parent}') must be the same as the queue name in the "
            f"named task ('{queue_name}')."
        )
    return id_


def _spec(given: Any) -> Any:
    """What is kept of a task as given: nothing the platform sets."""
    spec = m.Task()
    request = spec.http_request
    request.CopyFrom(given.http_request)
    request.http_method = request.http_method or m.HttpMethod.POST
    kept = headers.stored(given.http_request.headers)
    request.headers.clear()
    request.headers.update(kept)
    deadline = moments.of(given.dispatch_deadline) // 1000 * 1000 or validate.DEADLINE
    moments.put(spec.dispatch_deadline, deadline)
    if given.HasField("retry_config"):
        spec.retry_config.CopyFrom(given.retry_config)
    return spec


def _name(request: Any) -> str:
    return str(request.name)
