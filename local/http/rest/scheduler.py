"""Cloud Scheduler v1, REST: the only form this cloud's scheduler has."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from local.http.rest.routes import Call, Route

LOCATIONS = "/v1/{project=projects/*}/locations"
PARENT = "/v1/{parent=projects/*/locations/*}/jobs"
JOB = "/v1/{name=projects/*/locations/*/jobs/*}"
JSON = dict[str, Any]


class Jobs(Protocol):
    """The scheduler. A job is `Job` JSON; names are full. Everything raises Status."""

    def create_job(self, parent: str, job: JSON) -> JSON:
        """Add one."""

    def get_job(self, name: str) -> JSON:
        """One."""

    def list_jobs(self, parent: str = "") -> list[JSON]:
        """All of a location; empty: of all."""

    def update_job(self, name: str, job: JSON, mask: Iterable[str]) -> JSON:
        """Change the fields of the mask (empty: those given)."""

    def delete_job(self, name: str) -> None:
        """Remove it."""

    def pause_job(self, name: str) -> JSON:
        """No ticks until resumed."""

    def resume_job(self, name: str) -> JSON:
        """Ticks again."""

    def run_job(self, name: str, schedule_time: datetime | None = None) -> JSON:
        """Fire it now, as the tick of that time if one is given."""


class SchedulerApi:
    """Its methods."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def routes(self) -> list[Route]:
        """What it answers."""
        return [
            Route("GET", LOCATIONS, self._locations),
            Route("GET", PARENT, self._list),
            Route("POST", PARENT, self._create),
            Route("GET", JOB, self._get),
            Route("PATCH", JOB, self._update),
            Route("DELETE", JOB, self._delete),
            Route("POST", f"{JOB}:pause", self._pause),
            Route("POST", f"{JOB}:resume", self._resume),
            Route("POST", f"{JOB}:run", self._run),
        ]

    async def _locations(self, call: Call) -> JSON:
        """Every location exists here; those with jobs are listed."""
        names = {job["name"].rpartition("/jobs/")[0] for job in self._jobs.list_jobs()}
        prefix = f"{call.path['project']}/locations/"
        return {
            "locations": [
                {"name": name, "locationId": name.removeprefix(prefix)}
                for name in sorted(names)
                if name.startswith(prefix)
            ]
        }

    async def _list(self, call: Call) -> JSON:
        return {"jobs": self._jobs.list_jobs(call.path["parent"])}

    async def _create(self, call: Call) -> JSON:
        return self._jobs.create_job(call.path["parent"], call.body)

    async def _get(self, call: Call) -> JSON:
        return self._jobs.get_job(call.path["name"])

    async def _update(self, call: Call) -> JSON:
        mask = [path for path in call.query.get("updateMask", "").split(",") if path]
        return self._jobs.update_job(call.path["name"], call.body, mask)

    async def _delete(self, call: Call) -> JSON:
        self._jobs.delete_job(call.path["name"])
        return {}

    async def _pause(self, call: Call) -> JSON:
        return self._jobs.pause_job(call.path["name"])

    async def _resume(self, call: Call) -> JSON:
        return self._jobs.resume_job(call.path["name"])

    async def _run(self, call: Call) -> JSON:
        return self._jobs.run_job(call.path["name"])
