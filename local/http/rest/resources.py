"""`/local/v1/resources/KIND/NAME`: what a deployment remembers. A name may hold slashes."""

from typing import Any

from local.http.rest.routes import Call, Route
from local.services.resources import Resources

KIND = "/local/v1/resources/{kind}"
ONE = "/local/v1/resources/{kind}/{name=**}"


def resources_routes(resources: Resources) -> list[Route]:
    """Return the routes; a list is answered as `{"resources": {NAME: document, …}}`."""

    async def list_kind(call: Call) -> Any:
        return {"resources": resources.all(call.path["kind"])}

    async def get(call: Call) -> Any:
        return resources.get(call.path["kind"], call.path["name"])

    async def put(call: Call) -> Any:
        resources.put(call.path["kind"], call.path["name"], call.body)
        return call.body

    async def delete(call: Call) -> Any:
        resources.delete(call.path["kind"], call.path["name"])
        return {}

    return [
        Route("GET", KIND, list_kind),
        Route("GET", ONE, get),
        Route("PUT", ONE, put),
        Route("DELETE", ONE, delete),
    ]
