"""Cloud Scheduler v1, REST: the only form this cloud's scheduler has."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from local.rest.routes import Call, Route

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


def scheduler_routes(jobs: Jobs) -> list[Route]:
    """Its routes."""

    async def list_jobs(call: Call) -> JSON:
        return {"jobs": jobs.list_jobs(call.path["parent"])}

    async def create(call: Call) -> JSON:
        return jobs.create_job(call.path["parent"], call.body)

    async def get(call: Call) -> JSON:
        return jobs.get_job(call.path["name"])

    async def update(call: Call) -> JSON:
        mask = [path for path in call.query.get("updateMask", "").split(",") if path]
        return jobs.update_job(call.path["name"], call.body, mask)

    async def delete(call: Call) -> JSON:
        jobs.delete_job(call.path["name"])
        return {}

    async def pause(call: Call) -> JSON:
        return jobs.pause_job(call.path["name"])

    async def resume(call: Call) -> JSON:
        return jobs.resume_job(call.path["name"])

    async def run(call: Call) -> JSON:
        return jobs.run_job(call.path["name"])

    return [
        Route("GET", PARENT, list_jobs),
        Route("POST", PARENT, create),
        Route("GET", JOB, get),
        Route("PATCH", JOB, update),
        Route("DELETE", JOB, delete),
        Route("POST", f"{JOB}:pause", pause),
        Route("POST", f"{JOB}:resume", resume),
        Route("POST", f"{JOB}:run", run),
    ]
