"""Cloud Tasks v2, REST."""

from collections.abc import Awaitable, Callable
from typing import Any

from local.http.rest.routes import Call, Route
from local.http.rest.transcoding import Binding, routes
from local.kernel.refusals import not_found, unimplemented
from local.kernel.rpc import Service

LOCATION = "projects/*/locations/*"
QUEUE = f"{LOCATION}/queues/*"
TASK = f"{QUEUE}/tasks/*"

BINDINGS = (
    Binding("GET", f"/v2/{{parent={LOCATION}}}/queues", "ListQueues"),
    Binding("POST", f"/v2/{{parent={LOCATION}}}/queues", "CreateQueue", "queue"),
    Binding("GET", f"/v2/{{name={QUEUE}}}", "GetQueue"),
    Binding("PATCH", f"/v2/{{queue.name={QUEUE}}}", "UpdateQueue", "queue"),
    Binding("DELETE", f"/v2/{{name={QUEUE}}}", "DeleteQueue"),
    Binding("POST", f"/v2/{{name={QUEUE}}}:pause", "PauseQueue", "*"),
    Binding("POST", f"/v2/{{name={QUEUE}}}:resume", "ResumeQueue", "*"),
    Binding("POST", f"/v2/{{name={QUEUE}}}:purge", "PurgeQueue", "*"),
    Binding("GET", f"/v2/{{parent={QUEUE}}}/tasks", "ListTasks"),
    Binding("POST", f"/v2/{{parent={QUEUE}}}/tasks", "CreateTask", "*"),
    Binding("POST", f"/v2/{{parent={QUEUE}}}/tasks:batchCreate", "BatchCreateTasks", "*"),
    Binding("POST", f"/v2/{{parent={QUEUE}}}/tasks:batchDelete", "BatchDeleteTasks", "*"),
    Binding("GET", f"/v2/{{name={TASK}}}", "GetTask"),
    Binding("DELETE", f"/v2/{{name={TASK}}}", "DeleteTask"),
    Binding("POST", f"/v2/{{name={TASK}}}:run", "RunTask", "*"),
    Binding("GET", f"/v2/{{name={LOCATION}/cmekConfig}}", "GetCmekConfig"),
    Binding(
        "PATCH", f"/v2/{{cmekConfig.name={LOCATION}/cmekConfig}}", "UpdateCmekConfig", "cmekConfig"
    ),
)
OPERATIONS = (Binding("GET", f"/v2/{{name={LOCATION}/operations/*}}", "GetOperation"),)
LOCATIONS = (
    Binding("GET", "/v2/{name=projects/*}/locations", "ListLocations"),
    Binding("GET", f"/v2/{{name={LOCATION}}}", "GetLocation"),
)


VERBS = ("GET", "POST", "PATCH", "DELETE")
UNSERVED = ("v2beta2", "v2beta3")
"""Versions of the API that are refused by name: what they have beyond v2 is not served here."""


EMULATOR = (
    Binding("POST", f"/{{parent={QUEUE}}}/tasks", "CreateTask", "*"),
    Binding("DELETE", f"/{{name={TASK}}}", "DeleteTask"),
)
"""What firebase-admin asks an emulator for, with no version in the path."""

Url = Callable[[str, str], str]
"""(location, id) → the URL of a deployed function; empty if there is none."""


def tasks_routes(
    service: Service, operations: Service, locations: Service, url: Url
) -> list[Route]:
    """Its routes, and those of the operations of its batch methods and of its locations.

    `url`: to which function a task goes that firebase-admin leaves without a URL, because its
    emulator knows: the one that has the name of the queue, in its location.
    """
    return [
        *routes(service, BINDINGS),
        *(_addressed(route, url) for route in routes(service, EMULATOR)),
        *routes(operations, OPERATIONS),
        *routes(locations, LOCATIONS),
        *(
            Route(verb, f"/{version}/{{name=**}}", _refuse(version))
            for version in UNSERVED
            for verb in VERBS
        ),
    ]


def _refuse(version: str) -> Callable[[Call], Awaitable[Any]]:
    async def refuse(call: Call) -> Any:
        text = (
            f"Cloud Tasks {version} is not served by the local cloud, only v2: {call.path['name']}"
        )
        raise unimplemented(text)

    return refuse


def _addressed(route: Route, url: Url) -> Route:
    async def call(request: Call) -> Any:
        task = request.body.get("task")
        http = task.get("httpRequest") if isinstance(task, dict) else None
        if isinstance(http, dict) and not http.get("url"):
            http["url"] = _function_of(request.path["parent"], url)
        return _as_emulated(await route.call(request))

    return Route(route.verb, route.path, call)


def _function_of(parent: str, url: Url) -> str:
    """The URL of the function that has the name of the queue. Raises Status."""
    location, _, queue = parent.partition("/queues/")
    if not (found := url(location, queue)):
        raise not_found(f"HttpRequest.url is empty, and {location} has no function {queue}.")
    return found


def _as_emulated(answer: Any) -> Any:
    """The answer with what firebase-admin for Python reads of an emulator's: the task in a field of
    its own, its name behind a slash."""
    if "name" not in answer:
        return answer
    return {**answer, "task": {**answer, "name": f"/{answer['name']}"}}
