"""Cloud Functions v2 and the triggers Eventarc makes for them, REST."""

from collections.abc import Awaitable
from typing import Any

import grpc

from local.catalog import Entry
from local.functions import Functions
from local.rest.routes import Call, Route
from local.status import Status

PARENT = "/v2/{parent=projects/*/locations/*}/functions"
FUNCTION = "/v2/{name=projects/*/locations/*/functions/*}"
TRIGGER = "/v1/{name=projects/*/locations/*/triggers/*}"
JSON = dict[str, Any]


def functions_routes(functions: Functions) -> list[Route]:
    """Their routes. An operation is done when it is answered.

    What was deployed before is shown once it is started again, so that nobody deploys it anew.
    """
    catalog = functions.catalog

    async def list_functions(call: Call) -> JSON:
        await functions.restored()
        bodies = [entry.body for entry in catalog.all()]
        prefix = call.path["parent"] + "/"
        return {"functions": [body for body in bodies if body["name"].startswith(prefix)]}

    async def create(call: Call) -> JSON:
        name = f"{call.path['parent']}/functions/{call.query.get('functionId', '')}"
        return await _operation(name, functions.create(name, call.body))

    async def get(call: Call) -> JSON:
        await functions.restored()
        return _named(catalog.find(call.path["name"]), call.path["name"]).body

    async def update(call: Call) -> JSON:
        mask = [path for path in call.query.get("updateMask", "").split(",") if path]
        name = call.path["name"]
        return await _operation(name, functions.update(name, call.body, mask))

    async def delete(call: Call) -> JSON:
        await functions.delete(call.path["name"])
        return _done(call.path["name"], {"response": {}})

    async def trigger(call: Call) -> JSON:
        name = call.path["name"]
        triggered = (
            e for e in catalog.all() if e.body.get("eventTrigger", {}).get("trigger") == name
        )
        entry = _named(next(triggered, None), name)
        topic = entry.body["eventTrigger"].get("pubsubTopic", "")
        return {
            "name": name,
            "destination": {"cloudFunction": entry.name},
            "transport": {"pubsub": {"topic": topic, "subscription": entry.subscription or ""}},
        }

    return [
        Route("GET", PARENT, list_functions),
        Route("POST", PARENT, create),
        Route("GET", FUNCTION, get),
        Route("PATCH", FUNCTION, update),
        Route("DELETE", FUNCTION, delete),
        Route("GET", TRIGGER, trigger),
    ]


async def _operation(name: str, work: Awaitable[JSON]) -> JSON:
    """A finished operation; a function that does not start is its error, not the call's."""
    try:
        return _done(name, {"response": await work})
    except Status as status:
        if status.code != grpc.StatusCode.FAILED_PRECONDITION:
            raise
        return _done(name, {"error": {"code": status.code.value[0], "message": status.message}})


def _done(name: str, outcome: JSON) -> JSON:
    project, location = name.split("/")[1], name.split("/")[3]
    operation = f"projects/{project}/locations/{location}/operations/operation-local"
    return {"name": operation, "metadata": {"target": name}, "done": True, **outcome}


def _trigger(entry: Entry) -> str:
    return str((entry.body.get("eventTrigger") or {}).get("trigger"))


def _named(entry: Entry | None, name: str) -> Entry:
    if entry is None:
        raise Status(grpc.StatusCode.NOT_FOUND, f"Resource '{name}' was not found")
    return entry
