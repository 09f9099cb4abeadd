"""Cloud Functions v2 and the triggers Eventarc makes for them, REST."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from local.http.rest import labels
from local.http.rest.projects import number
from local.http.rest.routes import Call, Route
from local.kernel.merging import merged
from local.kernel.refusals import invalid, not_found
from local.kernel.status import Status
from local.services.functions import runtime
from local.services.functions.catalog import Entry
from local.services.functions.service import Functions

PARENT = "/v2/{parent=projects/*/locations/*}/functions"
FUNCTION = "/v2/{name=projects/*/locations/*/functions/*}"
TRIGGERS = "/v1/{parent=projects/*/locations/*}/triggers"
TRIGGER = "/v1/{name=projects/*/locations/*/triggers/*}"
ACCESSOR = "roles/secretmanager.secretAccessor"
OURS = re.compile(r"[^@]+@([^@]+)\.iam\.gserviceaccount\.com")
COMPUTE = "{number}-compute@developer.gserviceaccount.com"
"""The account of a function that is given none."""
DEFAULTS: dict[str, dict[str, Any]] = {
    "buildConfig": {"dockerRegistry": "ARTIFACT_REGISTRY"},
    "serviceConfig": {
        "allTrafficOnLatestRevision": True,
        "availableCpu": "0.1666",
        "availableMemory": "256Mi",
        "ingressSettings": "ALLOW_ALL",
        "maxInstanceCount": 100,
        "maxInstanceRequestConcurrency": 1,
        "timeoutSeconds": runtime.DEFAULT_TIMEOUT,
    },
}
"""What a function shows where it was deployed without."""
JSON = dict[str, Any]

Granted = Callable[[list[str], str, str], bool]
"""(resources, role, member) → whether the member has the role on one of them."""


class FunctionsApi:
    """The methods of Cloud Functions. An operation is done when it is answered.

    What was deployed before is shown once it is started again, so that nobody deploys it anew.
    """

    def __init__(
        self, functions: Functions, knows_account: Callable[[str], bool], granted: Granted
    ) -> None:
        self._functions = functions
        self._knows_account = knows_account
        self._granted = granted

    def routes(self) -> list[Route]:
        """Return the routes of these methods."""
        return [
            Route("GET", PARENT, self._list),
            Route("POST", PARENT, self._create),
            Route("GET", FUNCTION, self._get),
            Route("PATCH", FUNCTION, self._update),
            Route("DELETE", FUNCTION, self._delete),
            Route("GET", TRIGGERS, self._triggers),
            Route("GET", TRIGGER, self._trigger),
        ]

    async def _list(self, call: Call) -> JSON:
        return {"functions": [shown(e.body) for e in await self._entries(call.path["parent"])]}

    async def _create(self, call: Call) -> JSON:
        name = f"{call.path['parent']}/functions/{call.query.get('functionId', '')}"
        self._check({**call.body, "name": name})
        return await _operation(name, self._functions.create(name, call.body))

    async def _get(self, call: Call) -> JSON:
        name = call.path["name"]
        return shown(await self._named(name))

    async def _update(self, call: Call) -> JSON:
        mask = [path for path in call.query.get("updateMask", "").split(",") if path]
        name = call.path["name"]
        self._check(merged(await self._named(name), call.body, mask or list(call.body)))
        return await _operation(name, self._functions.update(name, call.body, mask))

    async def _delete(self, call: Call) -> JSON:
        await self._functions.delete(call.path["name"])
        return _done(call.path["name"], {"response": {}})

    def _check(self, body: JSON) -> None:
        """Refuse accounts that do not exist, and secrets that the function's may not read."""
        runtime.check(body)
        labels.check(body.get("labels", {}))
        config = body.get("serviceConfig", {})
        trigger = body.get("eventTrigger") or {}
        for email in (config.get("serviceAccountEmail"), trigger.get("serviceAccountEmail")):
            self._check_account(email or "", body["name"])
        project = runtime.parts(body["name"])[0]
        email = config.get("serviceAccountEmail") or COMPUTE.format(number=number(project))
        for secret, version in runtime.secret_references(body).values():
            on = [secret, f"projects/{project}"]
            if not self._granted(on, ACCESSOR, f"serviceAccount:{email}"):
                raise invalid(
                    f"Permission denied on secret: {secret}/versions/{version} for Revision "
                    f"service account {email}. The service account used must be granted the "
                    f"'Secret Manager Secret Accessor' role ({ACCESSOR}) at the secret, project "
                    "or higher level."
                )

    def _check_account(self, email: str, name: str) -> None:
        """Accounts of other projects are taken at their word."""
        ours = OURS.fullmatch(email)
        if ours and ours[1] == runtime.parts(name)[0] and not self._knows_account(email):
            raise not_found(f"Service account projects/-/serviceAccounts/{email} was not found.")

    async def _named(self, name: str) -> JSON:
        return _first(name, [e for e in await self._entries() if e.name == name]).body

    async def _trigger(self, call: Call) -> JSON:
        name = call.path["name"]
        return _trigger(
            _first(name, [e for e in await self._entries() if _trigger_name(e) == name])
        )

    async def _triggers(self, call: Call) -> JSON:
        entries = await self._entries(call.path["parent"])
        return {"triggers": [_trigger(entry) for entry in entries if _trigger_name(entry)]}

    async def _entries(self, parent: str = "projects/-/locations/-") -> list[Entry]:
        """The functions of a location; the location `-` stands for any."""
        await self._functions.restored()
        within = re.compile(re.escape(parent).replace(r"/\-", "/[^/]+") + "/.*")
        return [entry for entry in self._functions.catalog.all() if within.fullmatch(entry.name)]


async def _operation(name: str, work: Awaitable[JSON]) -> JSON:
    """A finished operation; a function that does not start is its error, not the call's."""
    try:
        return _done(name, {"response": shown(await work)})
    except Status as status:
        if status.code != grpc.StatusCode.FAILED_PRECONDITION:
            raise
        return _done(name, {"error": {"code": status.code.value[0], "message": status.message}})


def shown(body: JSON) -> JSON:
    """Return a function with the platform's values for what it was deployed without."""
    filled = {key: {**default, **body.get(key, {})} for key, default in DEFAULTS.items()}
    return {**body, **filled}


def _done(name: str, outcome: JSON) -> JSON:
    project, location = name.split("/")[1], name.split("/")[3]
    operation = f"projects/{project}/locations/{location}/operations/operation-local"
    return {"name": operation, "metadata": {"target": name}, "done": True, **outcome}


def _trigger(entry: Entry) -> JSON:
    trigger = entry.body["eventTrigger"]
    subscription = entry.subscription or ""
    return {
        "name": trigger["trigger"],
        "destination": {"cloudFunction": entry.name},
        "eventFilters": [{"attribute": "type", "value": trigger["eventType"]}],
        "labels": {"goog-managed-by": "cloudfunctions"},
        "serviceAccount": trigger.get("serviceAccountEmail", ""),
        "transport": {
            "pubsub": {"topic": trigger.get("pubsubTopic", ""), "subscription": subscription}
        },
    }


def _trigger_name(entry: Entry) -> str:
    return str((entry.body.get("eventTrigger") or {}).get("trigger", ""))


def _first(name: str, entries: list[Entry]) -> Entry:
    if not entries:
        raise Status(grpc.StatusCode.NOT_FOUND, f"Resource '{name}' was not found")
    return entries[0]
