"""What the mini gcloud carries out: a table of commands, each with the flags it acts on."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from local.gcloud.errors import GcloudError, UsageError
from local.gcloud.rest import Cloud
from local.gcloud.surface import Invocation, Value

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

Handler = Callable[["Call"], Any]
"""Carries out a call; what it returns is printed, None: nothing."""
Field = tuple[str, Callable[[str], Any]]
"""Where in a resource a flag's value goes, and how it is read."""

HANDLERS: dict[str, tuple[Handler, frozenset[str]]] = {}


def command(name: str, *flags: str) -> Callable[[Handler], Handler]:
    """Registers what carries out a command, and the flags it acts on."""

    def register(handler: Handler) -> Handler:
        HANDLERS[name] = handler, frozenset(flags)
        return handler

    return register


class Call:
    """One command, about to be carried out."""

    def __init__(self, invocation: Invocation, cloud: Cloud, project: str) -> None:
        self.arguments = invocation.arguments
        self.cloud = cloud
        self.project = project
        self._flags = invocation.flags

    @property
    def name(self) -> str:
        """The first positional argument."""
        return self.arguments[0]

    @property
    def id(self) -> str:
        """The last part of the first positional argument, which may be a full name."""
        return self.name.rpartition("/")[2]

    def flag(self, name: str, default: str = "") -> str:
        """A flag's value."""
        value = self._flags.get(name, default)
        return value if isinstance(value, str) else default

    def given(self, name: str) -> bool:
        """Whether a flag is there, with whatever value."""
        return name in self._flags

    def switch(self, name: str) -> Value | None:
        """A flag without a value: True, `--no-…`: False, not given: None."""
        return self._flags.get(name)

    def parent(self, *flags: str) -> str:
        """`projects/P/locations/L`, the location being in one of the flags."""
        for flag in flags or ("--location",):
            if self.flag(flag):
                return f"projects/{self.project}/locations/{self.flag(flag)}"
        place = (flags or ("--location",))[0]
        raise UsageError(f"argument {place}: Must be specified: the local gcloud has no default.")

    def body(self, fields: Mapping[str, Field]) -> tuple[dict[str, Any], list[str]]:
        """The part of a resource that the flags describe, and the paths in it."""
        body: dict[str, Any] = {}
        mask = []
        for flag, (path, read) in fields.items():
            if self.given(flag):
                put(body, path, read(self.flag(flag)))
                mask.append(path)
        return body, mask


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Set the field at a dotted path."""
    *parents, last = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[last] = value


def duration(text: str) -> str:
    """`90s`, `24h`, `1h30m` as the APIs write it: `5400s`."""
    parts = re.findall(r"(\d+)([smhdw]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"Invalid value '{text}': it must be a duration such as 30s or 2h")
    return f"{sum(int(number) * UNITS[unit] for number, unit in parts)}s"


def pairs(text: str) -> dict[str, str]:
    """`a=b,c=d`; `^;^a=b;c=d` has another separator."""
    separator = ","
    if text.startswith("^"):
        separator, _, text = text[1:].partition("^")
    items = [item.partition("=") for item in text.split(separator) if item]
    if not all(equals for _, equals, _ in items):
        raise UsageError(f"Bad syntax for dict arg: [{text}].")
    return {key: value for key, _, value in items}


def outcome(operation: Mapping[str, Any]) -> Any:
    """What a finished operation brought; raises GcloudError for its error."""
    if "error" in operation:
        error = operation["error"]
        raise GcloudError(f"OperationError: code={error['code']}, message={error['message']}")
    return operation.get("response", {})
