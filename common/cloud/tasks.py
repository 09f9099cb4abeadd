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

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

from common.cloud.task import (
    FURTHEST,
    LONGEST_DEADLINE,
    MAX_BATCH,
    MAX_BODY,
    PARALLEL,
    SHORTEST_DEADLINE,
    Failed,
    Made,
    Result,
    Task,
    encoded_body,
    name,
)
from common.process import logs

__all__ = [
    "FURTHEST",
    "LONGEST_DEADLINE",
    "MAX_BATCH",
    "MAX_BODY",
    "PARALLEL",
    "SHORTEST_DEADLINE",
    "AnyBackend",
    "Backend",
    "Failed",
    "Made",
    "Result",
    "Task",
    "create_batch",
    "encoded_body",
    "enqueue",
    "enqueue_all",
    "exists",
    "name",
    "using",
]


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


def enqueue(task: Task) -> Made:
    """Create the task unless one of its name exists or existed a short while ago.

    Raises PermanentError for a task the service will never take, TransientError when the task
    cannot be created now (it may have been created all the same).
    """
    made = _in_use().create(task)
    action: logs.Action = "scheduled" if task.at else "enqueued"
    logs.info(action, f"a task on {task.queue}", queue=task.queue, existed=made == "existed")
    return made


def exists(queue: str, name: str) -> bool:
    """Whether a task is still there: it has neither succeeded, nor been deleted, nor used up all of
    its attempts.

    `queue` is its queue, `name` what `name` makes of its identity. Raises TransientError when the
    service cannot be asked now.
    """
    return _in_use().exists(queue, name)


def create_batch(tasks: Sequence[Task], *, request_id: str) -> list[Result]:
    """One call of the service that creates several tasks of one queue: see `Backend`.

    `common.cloud.batches` makes many such calls, and repeats what can be repeated.
    """
    return _in_use().create_batch(tasks, request_id=request_id)


def enqueue_all(tasks: Iterable[Task]) -> list[Made]:
    """Create several tasks, a bounded number at a time; raises the first error after trying all."""
    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        futures = [pool.submit(_in_use().create, task) for task in tasks]
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


def _in_use() -> Backend:
    return _service() if _backend is None else _backend


def _service() -> Backend:
    # Google's client takes half a second to import, which a function that creates no task, and a
    # test in memory, does not have to wait for.
    from common.cloud import tasks_service

    return tasks_service.connected()


_switching = threading.Lock()
_backend: Backend | None = None
"""What `using` has put in the place of the service."""
