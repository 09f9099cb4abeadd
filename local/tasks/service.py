"""Cloud Tasks v2, whole: `google.cloud.tasks.v2.CloudTasks` and the dispatcher behind it."""

from collections.abc import Mapping
from datetime import datetime

from local.clock import Clock
from local.database import Database
from local.delivery import Deliverer
from local.identity import Issuer
from local.rpc import Method
from local.tasks.batch import Batch
from local.tasks.dispatch import Dispatcher
from local.tasks.operations import Operations
from local.tasks.queue_methods import QueueMethods
from local.tasks.store import Store
from local.tasks.target import Tokens
from local.tasks.task_methods import TaskMethods


class Tasks:
    """The service. `run()` dispatches until cancelled."""

    name = "google.cloud.tasks.v2.CloudTasks"

    def __init__(
        self, database: Database, clock: Clock, deliverer: Deliverer, issuer: Issuer
    ) -> None:
        self._store = Store(database)
        self._dispatcher = Dispatcher(self._store, clock, deliverer, Tokens(issuer))
        self._queues = QueueMethods(self._store, clock, self._dispatcher)
        self._tasks = TaskMethods(self._store, clock, self._dispatcher, self._queues)
        self.operations = Operations(database, clock)
        self._batch = Batch(self._store, clock, self._queues, self._tasks, self.operations)
        clock.register(self)

    def methods(self) -> Mapping[str, Method]:
        """RPC name → method."""
        return {
            **self._queues.methods(),
            **self._tasks.methods(),
            **self._batch.methods(),
        }

    def next_due(self) -> datetime | None:
        """When there is something to dispatch."""
        return self._dispatcher.next_due()

    async def run(self) -> None:
        """Dispatch until cancelled."""
        await self._dispatcher.run()
