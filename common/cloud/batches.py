"""Batches: many tasks created by few calls, several under way at a time.

    tasks ──▶ by queue ──▶ up to 100 a call ──▶ each index ─┬─ created, or existed
                                                ▲           ├─ never: failed for good
                                                └── again ──┴─ not now

Calls that are refused because there are too many of them are repeated after a growing pause. A task
has a name, so whoever creates one twice has created it once.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from common.cloud import tasks
from common.cloud.tasks import MAX_BATCH, Failed, Result, Task
from common.errors import TransientError

IN_FLIGHT = 8
"""Calls under way at once in one `Batches`."""
MAX_BYTES = 2_000_000
"""Of the bodies in one call; a gRPC message holds 4 MB."""
FIRST_PAUSE, LAST_PAUSE = 0.2, 10.0
"""Seconds before tasks that could not be created are tried again."""

Sleep = Callable[[float], None]


class Pace:
    """How fast tasks may be created: `allowed(1)` waits until one more may be.

    A queue that was idle must not be filled at once: 500 operations a second at first, and half as
    many again every five minutes (the 500/50/5 rule of Cloud Tasks' page on scaling).
    """

    def __init__(
        self,
        *,
        first: float,
        age: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> None:
        """`first` is how many tasks a second in the first five minutes; 0: as many as can be. `age`
        is how many seconds ago the first task of all this was created."""
        self._first = first
        self._age = age
        self._monotonic = monotonic
        self._sleep = sleep
        self._began = self._free_at = monotonic()

    def rate(self) -> float:
        """Tasks a second that may be created now."""
        age = self._age + self._monotonic() - self._began
        return float(self._first * GROWTH ** min(age // STEP, MOST_STEPS))

    def wait(self, count: int) -> None:
        """Return when so many more may be created."""
        if not self._first:
            return
        now = self._monotonic()
        self._free_at = max(self._free_at, now) + count / self.rate()
        # One second's worth may come in one go.
        if (ahead := self._free_at - now - 1.0) > 0:
            self._sleep(ahead)


GROWTH, STEP = 1.5, 300.0
MOST_STEPS = 50.0
"""After four hours there is no limit any more that anybody would meet."""
UNLIMITED = Pace(first=0.0)


class Batches:
    """Creates tasks with several calls under way; to be closed, as a context manager is."""

    def __init__(
        self,
        *,
        in_flight: int = IN_FLIGHT,
        pace: Pace = UNLIMITED,
        salt: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> None:
        """`salt` is the same for whoever repeats calls whose answers were lost, and another one for
        whoever repeats calls that were refused: the service would repeat its refusal."""
        self._pool = ThreadPoolExecutor(max_workers=in_flight, thread_name_prefix="batch")
        self._pace = pace
        self._salt = salt
        self._monotonic = monotonic
        self._sleep = sleep

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def create(self, wanted: Sequence[Task], *, patience: float) -> list[Result]:
        """Create the tasks; what became of each, in their order.

        What cannot be created now is tried again until `patience` seconds have passed; only then is
        it Failed with a TransientError.
        """
        return self.begin(wanted, patience=patience).results()

    def begin(self, wanted: Sequence[Task], *, patience: float) -> "Begun":
        """Begin to create the tasks, as `create` does. Whoever begins more before the first ones
        are finished keeps all calls busy."""
        deadline = self._monotonic() + patience
        calls = [_Call(wanted, indexes, self._salt) for indexes in _batches(wanted)]
        futures: list[Future[None]] = []
        for call in calls:
            self._pace.wait(len(call.left))
            futures.append(self._pool.submit(self._finish, call, deadline))
        return Begun(calls, futures)

    def _finish(self, call: "_Call", deadline: float) -> None:
        pause = FIRST_PAUSE
        while True:
            call.make()
            wait_for = pause * random.uniform(0.5, 1.0)
            if not call.left or self._monotonic() + wait_for > deadline:
                return
            self._sleep(wait_for)
            pause = min(2 * pause, LAST_PAUSE)


class Begun:
    """Tasks that are being created."""

    def __init__(self, calls: Sequence["_Call"], futures: "Sequence[Future[None]]") -> None:
        self._calls = calls
        self._futures = futures

    def results(self) -> list[Result]:
        """Wait until it is known what became of each, in their order."""
        wait(self._futures)
        for future in self._futures:
            future.result()
        made = {index: result for call in self._calls for index, result in call.results.items()}
        return [made[index] for index in range(len(made))]


class _Call:
    """One call, and again for those of its tasks that it could not create."""

    def __init__(self, wanted: Sequence[Task], indexes: Sequence[int], salt: str) -> None:
        self._wanted = wanted
        self._salt = salt
        self._answers = 0
        self.left = list(indexes)
        """The indexes of the tasks of which it is not certain what becomes of them."""
        self.results: dict[int, Result] = {}

    def make(self) -> None:
        tasks_ = [self._wanted[index] for index in self.left]
        try:
            made = tasks.create_batch(tasks_, request_id=self._request_id(tasks_))
        except TransientError as error:
            made = [Failed(error=error)] * len(tasks_)
        else:
            self._answers += 1
        sent = self.left
        self.results.update(zip(sent, made, strict=True))
        self.left = [it for it, result in zip(sent, made, strict=True) if _is_to_be_tried(result)]

    def _request_id(self, tasks_: Sequence[Task]) -> str:
        # The same for a call whose answer was lost, in another process too; another one for tasks
        # that were refused: under the same the service would repeat its refusal.
        names = "\n".join(["\0".join(it.identity) for it in tasks_])
        return str(uuid.uuid5(_NAMESPACE, f"{self._salt}{self._answers} {names}"))


_NAMESPACE = uuid.UUID("5d1f7c1e-4b0a-5f7e-9a63-2f6f3a1c9b55")


def _is_to_be_tried(result: Result) -> bool:
    return isinstance(result, Failed) and isinstance(result.error, TransientError)


def _batches(wanted: Sequence[Task]) -> Iterator[list[int]]:
    """The indexes of the tasks of each call."""
    by_queue: dict[str, list[int]] = {}
    sizes: dict[str, int] = {}
    for index, task in enumerate(wanted):
        batch = by_queue.setdefault(task.queue, [])
        size = _size(task)
        if batch and (len(batch) == MAX_BATCH or sizes[task.queue] + size > MAX_BYTES):
            yield batch
            batch = by_queue[task.queue] = []
            sizes[task.queue] = 0
        batch.append(index)
        sizes[task.queue] = sizes.get(task.queue, 0) + size
    yield from (batch for batch in by_queue.values() if batch)


def _size(task: Task) -> int:
    """About as many bytes as the body has."""
    return len(task.encoded or str(task.body))
