"""REST paths in Google's notation (`/v2/{parent=projects/*/locations/*}/queues`), matched."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc

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


@dataclass(frozen=True)
class Route:
    """A verb, a path, and the function that answers them, which may raise Status."""

    verb: str
    path: str
    call: Callable[[Call], Awaitable[Any]]


class Router:
    """All routes; the first one that matches a request answers it."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(*_compiled(route.path), route) for route in routes]

    async def dispatch(self, verb: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        """Return the answer to a request, a JSON document; raises NOT_FOUND if no route matches."""
        for pattern, names, route in self._routes:
            match = pattern.fullmatch(path) if route.verb == verb else None
            if match:
                variables = dict(zip(names, match.groups(), strict=True))
                return await route.call(Call(path=variables, query=query, body=body))
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
