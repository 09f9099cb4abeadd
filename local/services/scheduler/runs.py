"""Jobs and their runs, in memory and in the state file.

A run is one execution of a job: the attempts for one scheduled time. It is kept from before its
first attempt until its last, so that one under way when the process is killed is made again.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime

from local.kernel.database import Database
from local.services.scheduler.cron import checked
from local.services.scheduler.durations import rfc3339
from local.services.scheduler.job import JSON

_TABLES = """
CREATE TABLE IF NOT EXISTS scheduler_jobs (name TEXT PRIMARY KEY, job TEXT NOT NULL, tick TEXT);
CREATE TABLE IF NOT EXISTS scheduler_runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,
    scheduled TEXT NOT NULL,
    first TEXT NOT NULL,
    due TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    forced INTEGER NOT NULL
);
"""


@dataclass(eq=False)
class Run:
    """The attempts at one tick, or at one forced run."""

    number: int
    scheduled: datetime
    first: datetime
    """When it began."""
    due: datetime
    """When the next attempt may begin."""
    attempts: int = 0
    """How many were made and have failed."""
    forced: bool = False
    in_flight: bool = False


@dataclass(eq=False)
class Job:
    """A job, its next tick and its unfinished runs."""

    data: JSON
    tick: datetime | None
    runs: list[Run] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The full name."""
        return str(self.data["name"])

    @property
    def enabled(self) -> bool:
        """Whether the job ticks."""
        return bool(self.data["state"] == "ENABLED")

    @property
    def executing(self) -> bool:
        """Whether an attempt at one of its ticks is, or is about to be, under way: the next tick
        has to wait."""
        return any(not run.forced and (run.in_flight or not run.attempts) for run in self.runs)

    def plan(self, after: datetime) -> None:
        """Set the next tick: the first one after that moment, if the job is enabled."""
        cron = checked(self.data["schedule"], self.data["timeZone"])
        self.tick = cron.after(after) if self.enabled else None

    def next_due(self) -> datetime | None:
        """Return when the job has something to start."""
        dues = [run.due for run in self.runs if not run.in_flight]
        if self.tick and not self.executing:
            dues.append(self.tick)
        return min(dues, default=None)

    def shown(self) -> JSON:
        """As the API answers: `scheduleTime` is the next attempt, be it a tick or a retry."""
        dues = [run.due for run in self.runs if not run.in_flight]
        due = min([*dues, self.tick] if self.tick else dues, default=None)
        return {**self.data, **({"scheduleTime": rfc3339(due)} if due else {})}


class Runs:
    """All jobs by name, and the writing of what becomes of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.together = database.transaction
        """What is written inside of it is one commit."""
        database.script(_TABLES)
        self.jobs: dict[str, Job] = {}
        self._load()

    def save(self, job: Job) -> None:
        """Add or replace a job."""
        self.jobs[job.name] = job
        tick = job.tick.isoformat() if job.tick else None
        self._database.execute(
            "INSERT INTO scheduler_jobs VALUES (?, ?, ?) ON CONFLICT (name)"
            " DO UPDATE SET job = excluded.job, tick = excluded.tick",
            (job.name, json.dumps(job.data), tick),
        )

    def delete(self, job: Job) -> None:
        """Forget a job and its runs."""
        del self.jobs[job.name]
        with self._database.transaction():
            self._database.execute("DELETE FROM scheduler_jobs WHERE name = ?", (job.name,))
            self._database.execute("DELETE FROM scheduler_runs WHERE job = ?", (job.name,))

    def begin(self, job: Job, scheduled: datetime, now: datetime, *, forced: bool) -> Run:
        """Begin a run of a job."""
        cursor = self._database.execute(
            "INSERT INTO scheduler_runs (job, scheduled, first, due, attempts, forced) "
            "VALUES (?, ?, ?, ?, 0, ?)",
            (job.name, scheduled.isoformat(), now.isoformat(), now.isoformat(), forced),
        )
        assert cursor.lastrowid is not None
        run = Run(cursor.lastrowid, scheduled, now, now, forced=forced)
        job.runs.append(run)
        return run

    def failed(self, run: Run, due: datetime) -> None:
        """An attempt failed; the next may begin when it is `due`."""
        run.attempts += 1
        run.due = due
        self._database.execute(
            "UPDATE scheduler_runs SET attempts = ?, due = ? WHERE number = ?",
            (run.attempts, due.isoformat(), run.number),
        )

    def end(self, job: Job, run: Run) -> None:
        """End a run that succeeded or is given up."""
        job.runs.remove(run)
        self._database.execute("DELETE FROM scheduler_runs WHERE number = ?", (run.number,))

    def _load(self) -> None:
        rows = self._database.execute("SELECT name, job, tick FROM scheduler_jobs")
        for name, data, tick in rows:
            self.jobs[name] = Job(json.loads(data), datetime.fromisoformat(tick) if tick else None)
        rows = self._database.execute(
            "SELECT job, number, scheduled, first, due, attempts, forced FROM scheduler_runs"
        )
        for name, number, scheduled, first, due, attempts, forced in rows:
            run = Run(
                number=number,
                scheduled=datetime.fromisoformat(scheduled),
                first=datetime.fromisoformat(first),
                due=datetime.fromisoformat(due),
                attempts=attempts,
                forced=bool(forced),
            )
            self.jobs[name].runs.append(run)
