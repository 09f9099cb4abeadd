"""Cloud Scheduler: jobs in the shapes of REST v1, and the pump that fires them."""

import asyncio
import contextlib
import sys
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

import grpc

from local.kernel import background
from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.delivery import Deliverer
from local.kernel.identity import Issuer, Tokens
from local.kernel.refusals import invalid
from local.kernel.status import Status
from local.services.scheduler import attempt
from local.services.scheduler import job as jobs
from local.services.scheduler.durations import rfc3339
from local.services.scheduler.job import JSON
from local.services.scheduler.retry import Retry
from local.services.scheduler.runs import Job, Run, Runs

NAME = "scheduler"
"""Of the service, to the clock."""
LATE = timedelta(minutes=30)
"""How late a tick may fire (as long as one attempt at the tick before it may take). What was missed
longer ago, while the cloud was down, is skipped."""


class Scheduler:
    """Jobs with HTTP targets. Names are full: `projects/P/locations/L/jobs/J`."""

    def __init__(
        self, database: Database, clock: Clock, deliverer: Deliverer, issuer: Issuer
    ) -> None:
        self._clock = clock
        self._deliverer = deliverer
        self._tokens = Tokens(issuer)
        self._runs = Runs(database)
        self._tasks: set[asyncio.Task[None]] = set()
        for job in self._runs.jobs.values():
            if job.tick is None:  # paused, or a reset has forgotten when it is
                job.plan(clock.now())
        clock.register(self)

    def create_job(self, parent: str, job: JSON) -> JSON:
        """Add a job and return it; without a `name` it gets one. ALREADY_EXISTS."""
        name = job.get("name") or f"{parent}/jobs/{uuid.uuid4().hex}"
        data = jobs.completed({**job, "name": name})
        if not name.startswith(f"{parent}/jobs/"):
            raise invalid(f"Job name {name!r} is not in the location {parent!r}.")
        if name in self._runs.jobs:
            raise Status(grpc.StatusCode.ALREADY_EXISTS, f"Job [{name}] already exists.")
        now = self._clock.now()
        created = Job({**data, "state": "ENABLED", "userUpdateTime": rfc3339(now)}, None)
        created.plan(now)
        return self._keep(created)

    def get_job(self, name: str) -> JSON:
        """The job; NOT_FOUND."""
        return self._job(name).shown()

    def list_jobs(self, parent: str = "") -> list[JSON]:
        """The jobs of a location (empty: of all), in the order of their names."""
        prefix = f"{parent}/jobs/" if parent else ""
        names = sorted(n for n in self._runs.jobs if n.startswith(prefix))
        return [self._runs.jobs[name].shown() for name in names]

    def update_job(self, name: str, job: JSON, mask: Iterable[str] = ()) -> JSON:
        """Replace the fields that `mask` names (none: those given); the rest stays as it is."""
        current = self._job(name)
        data = jobs.completed(jobs.changed(current.data, job, mask))
        timing = ("schedule", "timeZone")
        moved = any(data[key] != current.data[key] for key in timing)
        now = self._clock.now()
        current.data = {**current.data, **data, "userUpdateTime": rfc3339(now)}
        if "description" not in data:
            current.data.pop("description", None)
        if moved:
            current.plan(now)
        return self._keep(current)

    def delete_job(self, name: str) -> None:
        """Delete it; what is in flight ends unheard."""
        self._runs.delete(self._job(name))
        self._clock.changed(NAME)

    def pause_job(self, name: str) -> JSON:
        """No ticks and no retries until resumed."""
        job = self._job(name)
        self._expect(job, "ENABLED", "paused")
        self._abandon(job)
        return self._switch(job, "PAUSED")

    def resume_job(self, name: str) -> JSON:
        """Ticks again, from now on: what was missed is not made up for."""
        job = self._job(name)
        self._expect(job, "PAUSED", "resumed")
        return self._switch(job, "ENABLED")

    def run_job(self, name: str, schedule_time: datetime | None = None) -> JSON:
        """Fire it now, also if it is paused or running; returns before it is done.

        With `schedule_time` (aware) it fires as the tick of that time: twice the same is the
        platform's double fire. Otherwise as one scheduled for now.
        """
        job = self._job(name)
        now = self._clock.now()
        self._runs.begin(job, schedule_time or now, now, forced=True)
        self._clock.changed(NAME)
        return job.shown()

    async def run(self) -> None:
        """Fire what is due, until cancelled."""
        try:
            while True:
                now = self._clock.now()
                for job in list(self._runs.jobs.values()):
                    due = job.next_due()
                    if due is not None and due <= now:
                        with self._runs.together():
                            self._turn(job, now)
                await self._clock.wait_until(self.next_due(), NAME)
        finally:
            await self._stop()

    def _turn(self, job: Job, now: datetime) -> None:
        self._tick(job, now)
        for run in [r for r in job.runs if r.due <= now and not r.in_flight]:
            self._start(job, run)

    def next_due(self) -> datetime | None:
        """The earliest tick or retry."""
        dues = (job.next_due() for job in self._runs.jobs.values())
        return min((due for due in dues if due is not None), default=None)

    def _tick(self, job: Job, now: datetime) -> None:
        """Begin the run of a tick that is due. It ends the retries of the one before.

        The job is saved when the attempt is begun, which follows.
        """
        if job.tick is None or job.tick > now or job.executing:
            return
        self._skip_missed(job, now)
        if job.tick is None or job.tick > now:
            return
        self._abandon(job)
        tick = job.tick
        job.plan(tick)
        self._runs.begin(job, tick, now, forced=False)

    def _skip_missed(self, job: Job, now: datetime) -> None:
        if job.tick is None or job.tick >= now - LATE:
            return
        missed = job.tick
        job.plan(now - LATE)
        self._runs.save(job)
        print(
            f"scheduler: {job.name}: skipped what was missed from {rfc3339(missed)} on, "
            f"next is {rfc3339(job.tick) if job.tick else 'never'}",
            file=sys.stderr,
        )

    def _abandon(self, job: Job) -> None:
        for run in [run for run in job.runs if not run.in_flight and run.attempts]:
            self._runs.end(job, run)

    def _start(self, job: Job, run: Run) -> None:
        """Begin one attempt. Time stands still from here on, not from when the task starts."""
        run.in_flight = True
        job.data["lastAttemptTime"] = rfc3339(self._clock.now())
        self._runs.save(job)
        ending = contextlib.ExitStack()
        ending.callback(self._clock.changed, NAME)
        ending.enter_context(self._clock.busy())
        task = background.begin(self._attempt(job, run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: ending.close())

    async def _attempt(self, job: Job, run: Run) -> None:
        request = attempt.request(job.data, run.scheduled, run.attempts + 1, self._tokens)
        reply = await self._deliverer.send(request)
        run.in_flight = False
        if self._runs.jobs.get(job.name) is not job:
            return
        with self._runs.together():
            self._tell(job, attempt.status(reply))
            again = None if reply.ok else self._next_attempt(job, run)
            if again is None:
                self._runs.end(job, run)
            else:
                self._runs.failed(run, again)

    def _tell(self, job: Job, status: JSON) -> None:
        """Keep how the last attempt ended; one success after another changes nothing."""
        if job.data.get("status") != status:
            job.data["status"] = status
            self._runs.save(job)

    def _next_attempt(self, job: Job, run: Run) -> datetime | None:
        """When a run of which an attempt has just failed is tried again; None: not any more."""
        if not (job.enabled or run.forced):
            return None
        now = self._clock.now()
        wait = Retry.of(job.data["retryConfig"]).after(run.attempts + 1, now - run.first)
        return None if wait is None else now + wait

    def _job(self, name: str) -> Job:
        if name not in self._runs.jobs:
            raise Status(grpc.StatusCode.NOT_FOUND, "Job not found.")
        return self._runs.jobs[name]

    def _expect(self, job: Job, state: str, wish: str) -> None:
        if job.data["state"] != state:
            raise Status(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"The job must be {state} to be {wish}; it is {job.data['state']}.",
            )

    def _switch(self, job: Job, state: str) -> JSON:
        job.data["state"] = state
        job.plan(self._clock.now())
        return self._keep(job)

    def _keep(self, job: Job) -> JSON:
        self._runs.save(job)
        self._clock.changed(NAME)
        return job.shown()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
