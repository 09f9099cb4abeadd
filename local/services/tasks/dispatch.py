"""The dispatcher: starts what is due, and files what came back.

A turn of the pump files all answers and starts all due tasks in one transaction, so a burst costs
few commits. An attempt is inside `clock.busy()` from the moment the turn starts it until its answer
lies ready to be filed.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from local.kernel import background, moments
from local.kernel.clock import Clock
from local.kernel.delivery import Deliverer, Reply
from local.kernel.identity import Tokens
from local.services.tasks import headers, target
from local.services.tasks import messages as m
from local.services.tasks.queue import Queue
from local.services.tasks.store import Store
from local.services.tasks.task import Task, retry_of

NAME = "tasks"
"""Of the service, to the clock."""
EXPIRY_BATCH = 1000

THROTTLING = (429, 503)
"""Statuses that slow the whole queue down."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One run of a task. `run_us`: when RunTask was called, None if the dispatcher started it."""

    task: Task
    queue: Queue
    run_us: int | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of an attempt, and when (microseconds)."""

    attempt: Attempt
    reply: Reply
    at_us: int


class Dispatcher:
    """Runs the tasks of all queues."""

    def __init__(self, store: Store, clock: Clock, deliverer: Deliverer, tokens: Tokens) -> None:
        self._store = store
        self._clock = clock
        self._deliverer = deliverer
        self._tokens = tokens
        self._attempts: set[asyncio.Task[None]] = set()
        self._answers: list[Answer] = []
        self._flying: Counter[int] = Counter()
        self.queues: dict[str, Queue] = {}
        """By name."""
        for id_, _, config in store.queues():
            self.add_queue(Queue(id_, m.Queue.FromString(config)))

    def add_queue(self, queue: Queue) -> None:
        """Begin to dispatch the tasks of a queue."""
        self.queues[queue.name] = queue
        self.refresh(queue)

    def refresh(self, queue: Queue) -> None:
        """Look again when the queue's earliest task is due, and tell who waits for it."""
        queue.earliest = self._store.first_due(queue.id)
        self._clock.changed(NAME)

    def added(self, queue: Queue, due_us: int) -> None:
        """A task was stored that is due then."""
        if queue.earliest is None or due_us < queue.earliest:
            queue.earliest = due_us
        self._clock.changed(NAME)

    def next_due(self) -> datetime | None:
        """The earliest moment at which there is something to start or to file."""
        dues = [due for queue in self.queues.values() if (due := queue.due()) is not None]
        if self._answers:
            dues.append(0)
        if (expiry := self._store.next_expiry()) is not None:
            dues.append(expiry)
        return moments.moment(min(dues)) if dues else None

    def is_held_back(self) -> bool:
        """Whether a task is due and waits for nothing but the rate of its queue."""
        now = moments.micros(self._clock.now())
        return any(queue.is_held_back(now) for queue in self.queues.values())

    async def run(self) -> None:
        """Dispatch until cancelled; what is in flight then is delivered again another time."""
        try:
            while True:
                self.turn()
                # Attempts just made get to run, however much more is due.
                await asyncio.sleep(0)
                await self._clock.wait_until(self.next_due(), NAME)
        finally:
            await self._abandon()

    def turn(self) -> None:
        """File all answers, drop what is too old, start everything due."""
        now = moments.micros(self._clock.now())
        due = self.next_due()
        if due is None or moments.micros(due) > now:
            return  # it was woken for another service
        with self._store.transaction():
            progress = self._file() + self._expire(now)
            started = [a for queue in self.queues.values() for a in self._start(queue, now)]
        for attempt in started:
            self._launch(attempt)
        if progress:
            # Nothing is due any more that was: whoever waits for idleness looks again.
            self._clock.changed(NAME)

    def force(self, queue: Queue, task: Task) -> None:
        """Start an attempt now whatever the queue's state and limits (RunTask)."""
        now = moments.micros(self._clock.now())
        task.dispatched(now)
        self._store.running([task])
        self.refresh(queue)
        self._launch(Attempt(task=task, queue=queue, run_us=now))

    def _start(self, queue: Queue, now: int) -> list[Attempt]:
        if queue.earliest is None or queue.earliest > now:
            return []
        count = queue.startable(now)
        if count <= 0:
            return []
        tasks = self._store.due(queue.id, now, count)
        for task in tasks:
            task.dispatched(now)
        self._store.running(tasks)
        queue.started(len(tasks))
        queue.earliest = self._store.first_due(queue.id)
        return [Attempt(task=task, queue=queue) for task in tasks]

    def _launch(self, attempt: Attempt) -> None:
        held = contextlib.ExitStack()
        held.enter_context(self._clock.busy())
        self._flying[attempt.task.id] += 1
        running = background.begin(self._run(attempt, held))
        self._attempts.add(running)
        running.add_done_callback(self._attempts.discard)

    async def _run(self, attempt: Attempt, held: contextlib.ExitStack) -> None:
        with held:
            leaves = self._leaves(attempt)
            reply = await self._deliver(attempt, leaves)
            leaves()  # if it never did, its token is given back all the same
            now = moments.micros(self._clock.now())
            self._answers.append(Answer(attempt=attempt, reply=reply, at_us=now))
            self._clock.changed(NAME)

    def _leaves(self, attempt: Attempt) -> Callable[[], None]:
        """What is to be called when an attempt leaves for its target, however often."""
        waiting = [attempt] if attempt.run_us is None else []

        def leaves() -> None:
            while waiting:
                queue = waiting.pop().queue
                queue.bucket.left(moments.micros(self._clock.now()))
                if queue.earliest is not None:
                    self._clock.changed(NAME)

        return leaves

    async def _deliver(self, attempt: Attempt, leaves: Callable[[], None]) -> Reply:
        try:
            request = target.request(attempt.task, attempt.queue, self._tokens)
            return await self._deliverer.send(request, leaves)
        except ValueError:
            # What the queue's overrides make of a URL need not be one: it gets no response.
            return Reply(status=None)

    def _file(self) -> int:
        answers, self._answers = self._answers, []
        for answer in answers:
            self._landed(answer)
            if answer.reply.ok:
                self._store.remove([answer.attempt.task.id], answer.at_us)
            else:
                self._failed(answer)
        for queue in {answer.attempt.queue for answer in answers}:
            queue.earliest = self._store.first_due(queue.id)
        return len(answers)

    def _landed(self, answer: Answer) -> None:
        attempt, reply = answer.attempt, answer.reply
        self._flying[attempt.task.id] -= 1
        if not self._flying[attempt.task.id]:
            del self._flying[attempt.task.id]
        if attempt.run_us is None:
            attempt.queue.ended()
        if reply.ok:
            attempt.queue.relieved()
        elif reply.status in THROTTLING:
            wait = headers.retry_after(reply.headers, answer.at_us)
            attempt.queue.throttled(attempt.task.attempt_us or 0, answer.at_us, wait)

    def _failed(self, answer: Answer) -> None:
        # Read again: it may have been deleted, or run once more, since the attempt started.
        task = self._store.get(answer.attempt.task.id)
        if task is None:
            return
        task.failed(answer.reply, answer.at_us)
        retry = retry_of(m.Task.FromString(task.spec), answer.attempt.queue.retry)
        if task.given_up(retry, answer.at_us):
            self._store.remove([task.id], answer.at_us)
        elif self._flying[task.id]:
            self._store.running([task])
        else:
            task.retry_at(_next(answer, retry.delay(task.dispatches)))
            self._store.waiting([task])

    def _expire(self, now: int) -> int:
        self._store.forget(now)
        expired = 0
        while (expiry := self._store.next_expiry()) is not None and expiry <= now:
            expired += self._store.remove(self._store.too_old(now, EXPIRY_BATCH), now)
        if expired:
            for queue in self.queues.values():
                queue.earliest = self._store.first_due(queue.id)
        return expired

    async def _abandon(self) -> None:
        running = list(self._attempts)
        for attempt in running:
            attempt.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _next(answer: Answer, wait: int) -> int:
    """When to try again: counted from the response; after RunTask, from the call."""
    if answer.reply.status in THROTTLING:
        wait = max(wait, headers.retry_after(answer.reply.headers, answer.at_us))
    run_us = answer.attempt.run_us
    return (answer.at_us if run_us is None else run_us) + wait
