"""Cloud Tasks in memory: created tasks, by name."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, get_args

from common.cloud.memory.mishaps import TaskMishap, befalling
from common.cloud.tasks import (
    FURTHEST,
    LONGEST_DEADLINE,
    SHORTEST_DEADLINE,
    Failed,
    Made,
    Result,
    Task,
    encoded_body,
    name,
)
from common.errors import PermanentError, RefusedError, TransientError, UnavailableError


class MemoryTasks:
    """A `Backend` of `common.cloud.tasks` for tests: see `tasks.using`.

    Nothing delivers the tasks: a test looks at them, or takes them out (`take`) and calls whatever
    they are for. Queues need not exist. A name that was used is never forgotten.
    """

    def __init__(self, *, now: Callable[[], datetime] | None = None) -> None:
        """`now` is the service's clock; without one, no task is too far ahead."""
        self.tasks: dict[str, Task] = {}
        """The tasks that were created and not taken: by queue and name, in order of creation."""
        self.mishaps: list[TaskMishap] = []
        """What befalls the next creations, one mishap each; when the list is empty, nothing."""
        self.is_unreachable = False
        """Whether every call fails with UnavailableError."""
        self.batch_mishaps: list[Literal["none", "error", "lost"]] = []
        """What befalls the next calls that create many: not applied, or the reply is lost."""
        self.batches = 0
        """How many calls that create many were made."""
        self._answers: dict[str, list[Result]] = {}
        self._now = now
        self._used: set[str] = set()
        self._lock = threading.Lock()

    def take(self) -> list[Task]:
        """The tasks in the order of creation; they are gone then, but their names stay used."""
        with self._lock:
            taken = list(self.tasks.values())
            self.tasks.clear()
            return taken

    def create(self, task: Task) -> Made:
        """See `Backend`."""
        self._check(task)
        self._reach()
        with self._lock:
            try:
                with befalling(self.mishaps, get_args(TaskMishap)):
                    return self._create(task)
            except RefusedError:
                return "existed"

    def exists(self, queue: str, name: str) -> bool:
        """See `Backend`."""
        with self._lock:
            self._reach()
            return f"{queue}/{name}" in self.tasks

    def create_batch(self, tasks: Sequence[Task], *, request_id: str) -> list[Result]:
        """See `Backend`. A mishap befalls one task; `batch_mishaps` befall the whole call.

        What was answered under a `request_id` is answered again.
        """
        with self._lock:
            self.batches += 1
            mishap = self.batch_mishaps.pop(0) if self.batch_mishaps else "none"
        self._reach()
        if mishap == "error":
            raise TransientError("a batch failed")
        if request_id not in self._answers:
            self._answers[request_id] = [self._tried(task) for task in tasks]
        if mishap == "lost":
            raise TransientError("the reply of a batch was lost")
        return self._answers[request_id]

    def _reach(self) -> None:
        if self.is_unreachable:
            raise UnavailableError("Cloud Tasks cannot be reached")

    def _tried(self, task: Task) -> Result:
        try:
            return self.create(task)
        except (PermanentError, TransientError) as error:
            return Failed(error=error)

    def _create(self, task: Task) -> Made:
        used = f"{task.queue}/{name(task.identity)}"
        if used in self._used:
            return "existed"
        self._used.add(used)
        self.tasks[used] = task
        return "created"

    def _check(self, task: Task) -> None:
        encoded_body(task)
        if not SHORTEST_DEADLINE <= task.deadline <= LONGEST_DEADLINE:
            raise PermanentError(f"a task's deadline is {task.deadline}")
        if self._now and task.at and task.at > self._now() + FURTHEST:
            raise PermanentError(f"a task at {task.at} is further ahead than {FURTHEST}")
