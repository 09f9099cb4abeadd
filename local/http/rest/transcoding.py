"""REST in front of the gRPC methods: the same service objects answer both."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from local.http.rest.routes import Call, Route
from local.kernel.refusals import invalid
from local.kernel.rpc import Method, Service

IGNORED = ("alt", "$alt", "prettyPrint", "key", "fields")
"""Query parameters every Google API takes, which change nothing here."""


LISTS = ("fieldPaths",)
"""The last names of query parameters that are given once for each of several values."""


@dataclass(frozen=True)
class Binding:
    """One method's REST form, as in its `google.api.http` annotation."""

    verb: str
    path: str
    rpc: str
    body: str = ""
    """The request field the body is; `*`: the whole request; empty: there is none."""


def routes(service: Service, bindings: Iterable[Binding]) -> list[Route]:
    """The bindings as routes to the service's methods."""
    methods = service.methods()
    return [_route(service.name, binding, methods[binding.rpc]) for binding in bindings]


def parsed(binding: Binding, call: Call, method: Method) -> Any:
    """A call's request as the method's message. Raises Status."""
    return _parse(_document(binding, call), method.request())


async def answered(service: str, binding: Binding, request: Call, method: Method) -> Any:
    """The answer of a service's method to a call, with what the plan of faults does to calls;
    several messages are a list. Raises Status."""
    message = parsed(binding, request, method)
    fault = await request.fault(service, binding.rpc, lambda: method.subject(message))
    try:
        found: Any = method.call(message)
        if method.server_stream:
            return [json_format.MessageToDict(one) async for one in found]
        return json_format.MessageToDict(await found)
    finally:
        fault.after()


def _route(service: str, binding: Binding, method: Method) -> Route:
    async def call(request: Call) -> Any:
        return await answered(service, binding, request, method)

    return Route(binding.verb, binding.path, call)


def _document(binding: Binding, call: Call) -> dict[str, Any]:
    """The request as one JSON document."""
    document: dict[str, Any] = {}
    if binding.body == "*":
        document = dict(_object(call.body))
    elif binding.body:
        document = {binding.body: dict(_object(call.body))}
    for path, value in (*_parameters(call.query), *call.path.items()):
        _put(document, path, value)
    return document


def _object(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise invalid("the body must be a JSON object")
    return body


def _parameters(query: Mapping[str, str]) -> Iterable[tuple[str, Any]]:
    for name, value in query.items():
        if name in IGNORED:
            continue
        if name.lower().replace("_", "") in ("updatemask", "readmask"):
            yield name, _camel(value)
        else:
            yield name, {"true": True, "false": False}.get(value, value)


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    if last in LISTS:
        document.setdefault(last, []).append(value)
    else:
        document[last] = value


def _camel(mask: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), mask)


def _parse(document: dict[str, Any], message: Any) -> Any:
    try:
        return json_format.ParseDict(document, message)
    except json_format.ParseError as error:
        raise invalid(str(error)) from error
