"""Cloud Tasks v2, whole: `google.cloud.tasks.v2.CloudTasks` and the dispatcher behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.kernel import moments
from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.delivery import Deliverer
from local.kernel.identity import Issuer, Tokens
from local.kernel.rpc import Method
from local.services.tasks import messages as m
from local.services.tasks import refusals
from local.services.tasks.batch import Batch
from local.services.tasks.dispatch import Dispatcher
from local.services.tasks.locations import Locations
from local.services.tasks.operations import Operations
from local.services.tasks.queue import Queue
from local.services.tasks.queue_methods import QueueMethods
from local.services.tasks.store import Store
from local.services.tasks.task_methods import TaskMethods


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A queue as the console shows it."""

    name: str
    state: str
    """`RUNNING` or `PAUSED`."""
    tasks: int
    """How many it holds, those in flight included."""
    in_flight: int
    next_due: datetime | None
    """When it starts something next, as far as that depends on time alone."""


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
        self.locations = Locations(self._dispatcher)
        clock.register(self, self._dispatcher.is_held_back)

    def methods(self) -> Mapping[str, Method]:
        """RPC name → method."""
        return {
            **self._queues.methods(),
            **self._tasks.methods(),
            **self._batch.methods(),
            "GetCmekConfig": _unserved("GetCmekConfig", m.GetCmekConfigRequest),
            "UpdateCmekConfig": _unserved("UpdateCmekConfig", m.UpdateCmekConfigRequest),
        }

    def next_due(self) -> datetime | None:
        """When there is something to dispatch."""
        return self._dispatcher.next_due()

    async def run(self) -> None:
        """Dispatch until cancelled."""
        await self._dispatcher.run()

    def summaries(self) -> list[Summary]:
        """Every queue, by name."""
        return [self._summary(queue) for _, queue in sorted(self._dispatcher.queues.items())]

    def reset(self) -> None:
        """Forget every task and every name ever used, which no call of the platform does.

        Queues stay as they are configured; a request that is under way is not disturbed.
        """
        self._store.clear()
        for queue in self._dispatcher.queues.values():
            self._dispatcher.refresh(queue)

    def _summary(self, queue: Queue) -> Summary:
        due = queue.due()
        return Summary(
            name=queue.name,
            state=m.State(queue.config.state).name,
            tasks=self._store.count(queue.id),
            in_flight=queue.in_flight,
            next_due=None if due is None else moments.moment(due),
        )


def _unserved(name: str, request: Any) -> Method:
    async def refuse(_: Any) -> Any:
        raise refusals.not_served(f"{Tasks.name}/{name}")

    return Method(call=refuse, request=request, response=m.CmekConfig)
