"""Projects and the services enabled in them, REST: Resource Manager v1 and Service Usage v1.

Every project exists. Nothing is refused here because its service is not enabled: the local gcloud
does that, as it alone knows what a deployment asks for.
"""

import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import grpc

from local.http.rest.collection import Collection
from local.http.rest.routes import Call, Route
from local.kernel.refusals import already_exists, not_found
from local.kernel.status import Status
from local.services.resources import Resources

PROJECT = "/v1/{name=projects/*}"
SERVICES = "/v1/{parent=projects/*}/services"
SERVICE = "/v1/{name=projects/*/services/*}"
OWNER = "user:developer@example.com"
"""Who made every project."""
AT_FIRST = ("logging", "monitoring", "serviceusage", "storage", "cloudtrace", "datastore")
"""Some of the services that are enabled in a new project."""
KNOWN = {
    *("aiplatform", "artifactregistry", "bigquery", "cloudapis", "cloudasset", "cloudbilling"),
    *("cloudbuild", "cloudfunctions", "cloudkms", "cloudquotas", "cloudresourcemanager"),
    *("cloudscheduler", "cloudtasks", "cloudtrace", "compute", "container", "containerregistry"),
    *("datastore", "dns", "eventarc", "eventarcpublishing", "firebase", "firestore", "iam"),
    *("iamcredentials", "iap", "identitytoolkit", "logging", "monitoring", "orgpolicy"),
    *("policytroubleshooter", "pubsub", "recommender", "redis", "run", "secretmanager"),
    *("servicemanagement", "servicenetworking", "serviceusage", "sqladmin", "storage"),
    *("storage-api", "storage-component", "sts", "vpcaccess", "workflows", "workflowexecutions"),
}
"""Services that exist, without `.googleapis.com`."""
DOMAIN = ".googleapis.com"
JSON = dict[str, Any]


def number(project: str) -> str:
    """Return the number of a project, the same every time; digits are a number already."""
    return project if project.isdigit() else str(100_000_000_000 + zlib.crc32(project.encode()))


class ProjectsApi:
    """Its methods."""

    def __init__(self, resources: Resources, now: Callable[[], datetime]) -> None:
        self._now = now
        self._enabled = Collection(
            resources=resources,
            kind="services",
            missing=lambda name: not_found(f"{name} is not enabled."),
            taken=already_exists,
        )

    def routes(self) -> list[Route]:
        """Return what it answers."""
        return [
            Route("GET", PROJECT, self._project),
            Route("GET", SERVICES, self._services),
            Route("POST", f"{SERVICES}:batchEnable", self._enable_all),
            Route("GET", SERVICE, self._service),
            Route("POST", f"{SERVICE}:enable", self._enable),
            Route("POST", f"{SERVICE}:disable", self._disable),
        ]

    async def _project(self, call: Call) -> JSON:
        project = call.path["name"].rpartition("/")[2]
        return {
            "createTime": "2026-01-01T00:00:00.000Z",
            "lifecycleState": "ACTIVE",
            "name": project,
            "projectId": project,
            "projectNumber": number(project),
        }

    async def _services(self, call: Call) -> JSON:
        project = call.path["parent"].rpartition("/")[2]
        enabled = {f"{name}{DOMAIN}" for name in AT_FIRST}
        enabled |= {one["name"] for one in self._enabled.under(project)}
        return {"services": [_described(project, name, "ENABLED") for name in sorted(enabled)]}

    async def _enable_all(self, call: Call) -> JSON:
        project = call.path["parent"].rpartition("/")[2]
        names = call.body.get("serviceIds", [])
        unknown = [name for name in names if name.removesuffix(DOMAIN) not in KNOWN]
        if unknown:
            raise _unknown(unknown)
        for name in names:
            self._enabled.put(f"{project}/{name}", {"name": name})
        services = [_described(project, name, "ENABLED") for name in names]
        return _done({"services": services})

    async def _service(self, call: Call) -> JSON:
        project, name = _split(call)
        return _described(project, name, "ENABLED" if self._is_on(project, name) else "DISABLED")

    async def _enable(self, call: Call) -> JSON:
        project, name = _split(call)
        self._enabled.put(f"{project}/{name}", {"name": name})
        return _done({"service": _described(project, name, "ENABLED")})

    async def _disable(self, call: Call) -> JSON:
        project, name = _split(call)
        if self._enabled.find(f"{project}/{name}"):
            self._enabled.remove(f"{project}/{name}")
        return _done({"service": _described(project, name, "DISABLED")})

    def _is_on(self, project: str, name: str) -> bool:
        known = self._enabled.find(f"{project}/{name}") is not None
        return known or name.removesuffix(DOMAIN) in AT_FIRST


def _split(call: Call) -> tuple[str, str]:
    _, project, _, name = call.path["name"].split("/")
    if name.removesuffix(DOMAIN) not in KNOWN:
        raise _unknown([name])
    return project, name


def _unknown(names: list[str]) -> Status:
    text = f"Not found or permission denied for service(s): {', '.join(names)}."
    return Status(grpc.StatusCode.PERMISSION_DENIED, text)


def _described(project: str, name: str, state: str) -> JSON:
    parent = f"projects/{number(project)}"
    return {
        "config": {"name": name},
        "name": f"{parent}/services/{name}",
        "parent": parent,
        "state": state,
    }


def _done(response: JSON) -> JSON:
    return {"name": "operations/noop.DONE_OPERATION", "done": True, "response": response}
