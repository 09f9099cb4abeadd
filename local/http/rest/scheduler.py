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
    """The scheduler. A job is `Job` JSON, its name is full; every method may raise Status."""

    def create_job(self, parent: str, job: JSON) -> JSON:
        """Create a job in a location and return it."""

    def get_job(self, name: str) -> JSON:
        """Return the job of this name."""

    def list_jobs(self, parent: str = "") -> list[JSON]:
        """Return the jobs of a location; an empty name stands for all locations."""

    def update_job(self, name: str, job: JSON, mask: Iterable[str]) -> JSON:
        """Change the fields that the mask names (an empty one: the given fields) and return the
        job."""

    def delete_job(self, name: str) -> None:
        """Delete the job of this name."""

    def pause_job(self, name: str) -> JSON:
        """Stop the ticks of a job until it is resumed, and return it."""

    def resume_job(self, name: str) -> JSON:
        """Begin the ticks of a paused job again, and return it."""

    def run_job(self, name: str, schedule_time: datetime | None = None) -> JSON:
        """Fire a job now, as the tick of `schedule_time` if one is given, and return the job."""


class SchedulerApi:
    """The methods of Cloud Scheduler."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def routes(self) -> list[Route]:
        """Return the routes of these methods."""
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
        """The locations that have jobs; every other one exists as well."""
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
