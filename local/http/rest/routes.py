"""REST paths in Google's notation (`/v2/{parent=projects/*/locations/*}/queues`), matched."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from local.kernel.faults import Fault, Faults
from local.kernel.status import Status

VARIABLE = re.compile(r"\{([\w.]+)(?:=([^}]*))?\}")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One REST request, taken apart."""

    path: Mapping[str, str]
    """The path's variables."""
    query: Mapping[str, str]
    body: Any
    """The JSON document sent; `{}` if there was none."""
    faults: Faults
    caller: str
    """The function that calls; empty: anybody else."""

    async def fault(self, service: str, method: str, subject: Callable[[], str]) -> Fault:
        """What goes wrong with the method that answers the call; see `Faults.call`."""
        return await self.faults.call(service, method, subject, self.caller)


@dataclass(frozen=True)
class Route:
    """A verb, a path, and the function that answers them, which may raise Status."""

    verb: str
    path: str
    call: Callable[[Call], Awaitable[Any]]


class Router:
    """All routes; the first one that matches a request answers it."""

    def __init__(self, routes: Iterable[Route], faults: Faults) -> None:
        self._routes = [(*_compiled(route.path), route) for route in routes]
        self._faults = faults

    async def dispatch(
        self, verb: str, path: str, query: Mapping[str, str], body: Any, *, caller: str = ""
    ) -> Any:
        """Return the answer to a request of `caller` (a function's id; empty: anybody else), a JSON
        document. Raises what the method does, and NOT_FOUND if no route matches."""
        for pattern, names, route in self._routes:
            match = pattern.fullmatch(path) if route.verb == verb else None
            if match:
                variables = dict(zip(names, match.groups(), strict=True))
                call = Call(
                    path=variables, query=query, body=body, faults=self._faults, caller=caller
                )
                return await route.call(call)
        raise Status(grpc.StatusCode.NOT_FOUND, f"no method answers {verb} {path}")


def _compiled(template: str) -> tuple[re.Pattern[str], list[str]]:
    """The regular expression of a path and its groups' names; `*` is one segment, `**` the rest."""
    pattern, names, end = "", [], 0
    for variable in VARIABLE.finditer(template):
        pattern += re.escape(template[end : variable.start()])
        pattern += f"({_segments(variable[2] or '*')})"
        names.append(variable[1])
        end = variable.end()
    return re.compile(pattern + re.escape(template[end:])), names


def _segments(text: str) -> str:
    return "/".join(
        {"*": "[^/:]+", "**": ".+"}.get(segment, re.escape(segment)) for segment in text.split("/")
    )
