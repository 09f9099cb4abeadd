"""Firestore v1, REST: documents and queries; and the emulator's way to wipe a database."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from local.http.rest.routes import Call, Route
from local.http.rest.transcoding import Binding, answered, routes
from local.kernel.refusals import not_found
from local.kernel.rpc import Method, Service

DATABASE = "projects/*/databases/*"
ROOT = f"{DATABASE}/documents"
BELOW = f"{ROOT}/**"

UNARY = (
    Binding("POST", f"/v1/{{database={DATABASE}}}/documents:commit", "Commit", "*"),
    Binding("POST", f"/v1/{{database={DATABASE}}}/documents:batchWrite", "BatchWrite", "*"),
    Binding("POST", f"/v1/{{database={DATABASE}}}/documents:rollback", "Rollback", "*"),
    Binding(
        "POST", f"/v1/{{database={DATABASE}}}/documents:beginTransaction", "BeginTransaction", "*"
    ),
    *(
        Binding("POST", f"/v1/{{parent={parent}}}:{verb}", rpc, "*")
        for parent in (ROOT, BELOW)
        for verb, rpc in (
            ("listCollectionIds", "ListCollectionIds"),
            ("partitionQuery", "PartitionQuery"),
        )
    ),
    Binding("PATCH", f"/v1/{{document.name={BELOW}}}", "UpdateDocument", "document"),
    Binding("DELETE", f"/v1/{{name={BELOW}}}", "DeleteDocument"),
)
STREAMS = (
    Binding("POST", f"/v1/{{database={DATABASE}}}/documents:batchGet", "BatchGetDocuments", "*"),
    *(
        Binding("POST", f"/v1/{{parent={parent}}}:{verb}", rpc, "*")
        for parent in (ROOT, BELOW)
        for verb, rpc in (
            ("runQuery", "RunQuery"),
            ("runAggregationQuery", "RunAggregationQuery"),
        )
    ),
)
"""Methods that answer with several messages: over REST, with an array of them."""
GET_ONE = Binding("GET", f"/v1/{{name={BELOW}}}", "GetDocument")
GET_SEVERAL = Binding("GET", f"/v1/{{name={BELOW}}}", "ListDocuments")
CREATE = Binding("POST", f"/v1/{{name={BELOW}}}", "CreateDocument", "document")
WIPE = f"/emulator/v1/{{name={DATABASE}}}/documents"


class Wiped(Protocol):
    """Whoever can delete every document of a database."""

    async def wipe(self, database: str) -> None:
        """Delete every document of `projects/P/databases/D`."""


def documents_routes(service: Service, ours: Wiped) -> list[Route]:
    """Return the routes of the methods on documents. `ours`: what the emulator's DELETE wipes."""
    methods = service.methods()
    return [
        *routes(service, (*UNARY, *STREAMS)),
        Route("GET", GET_ONE.path, _read(service.name, methods)),
        Route("POST", CREATE.path, _create(service.name, methods["CreateDocument"])),
        Route("DELETE", WIPE, _wipe(ours)),
    ]


Answer = Callable[[Call], Awaitable[Any]]


def _read(service: str, methods: Mapping[str, Method]) -> Answer:
    """A document, or the documents of a collection: which of them, the length of the name says."""

    async def call(request: Call) -> Any:
        name = request.path["name"]
        if name.count("/") % 2 == 0:
            binding, method = GET_ONE, methods["GetDocument"]
        else:
            binding, method = GET_SEVERAL, methods["ListDocuments"]
            request = _in_collection(request)
        return await answered(service, binding, request, method)

    return call


def _create(service: str, method: Method) -> Answer:
    async def call(request: Call) -> Any:
        if request.path["name"].count("/") % 2 == 0:
            raise not_found(f"no method answers POST {request.path['name']}")
        return await answered(service, CREATE, _in_collection(request), method)

    return call


def _in_collection(request: Call) -> Call:
    parent, _, collection = request.path["name"].rpartition("/")
    path = {"parent": parent, "collectionId": collection}
    return replace(request, path=path)


def _wipe(ours: Wiped) -> Answer:
    async def call(request: Call) -> Any:
        await ours.wipe(request.path["name"])
        return {}

    return call
