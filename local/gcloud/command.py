"""What the mini gcloud carries out: a table of commands, each with the flags it acts on."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from local.gcloud import locations
from local.gcloud.errors import ApiError, GcloudError, Several, UsageError
from local.gcloud.rest import Cloud
from local.gcloud.surface import Invocation, Value
from local.gcloud.values import labels

Action = Callable[["Call"], Any]
"""Carries out a call; what it returns is printed, None: nothing."""
Field = tuple[str, Callable[[str], Any]]
"""Where in a resource a flag's value goes, and how it is read; raises UsageError."""


class Handler(NamedTuple):
    """What carries out a command. No dataclass: they take longer to import than most commands."""

    action: Action
    flags: frozenset[str]
    """Those it acts on."""
    is_quiet: bool
    """It prints what it made only if a format is asked for."""


HANDLERS: dict[str, Handler] = {}


def command(name: str, *flags: str, is_quiet: bool = False) -> Callable[[Action], Action]:
    """Registers what carries out a command, and the flags it acts on."""

    def register(action: Action) -> Action:
        HANDLERS[name] = Handler(action=action, flags=frozenset(flags), is_quiet=is_quiet)
        return action

    return register


class Call:
    """One command, about to be carried out."""

    def __init__(self, invocation: Invocation, cloud: Cloud, project: str) -> None:
        self.arguments = invocation.arguments
        self.cloud = cloud
        self.project = project
        self._flags = invocation.flags
        self._command = invocation.command

    @property
    def name(self) -> str:
        """The first positional argument."""
        return self.arguments[0]

    @property
    def id(self) -> str:
        """The last part of the first positional argument, which may be a full name."""
        return self.name.rpartition("/")[2]

    def flag(self, name: str, default: str = "") -> str:
        """Return a flag's value."""
        value = self._flags.get(name, default)
        return value if isinstance(value, str) else default

    def given(self, name: str) -> bool:
        """Return whether a flag is there, with whatever value."""
        return name in self._flags

    def switch(self, name: str) -> Value | None:
        """Return a flag without a value: True, `--no-…`: False, not given: None."""
        return self._flags.get(name)

    def read(self, name: str, reader: Callable[[str], Any], default: str = "") -> Any:
        """Return a flag's value as `reader` understands it; raises UsageError naming the flag."""
        try:
            return reader(self.flag(name, default))
        except UsageError as error:
            if error.command:
                raise
            raise UsageError(f"argument {name}: {error}") from error

    def parent(self, *flags: str) -> str:
        """Return `projects/P/locations/L`, the location being in one of the flags."""
        for flag in flags or ("--location",):
            if self.flag(flag):
                locations.check(self._command, self.flag(flag))
                return f"projects/{self.project}/locations/{self.flag(flag)}"
        place = (flags or ("--location",))[0]
        raise UsageError(f"argument {place}: Must be specified: the local gcloud has no default.")

    def body(self, fields: Mapping[str, Field]) -> tuple[dict[str, Any], list[str]]:
        """Return the part of a resource that the flags describe, and the paths in it."""
        body: dict[str, Any] = {}
        mask = []
        for flag, (path, read) in fields.items():
            if self.given(flag):
                put(body, path, self.read(flag, read))
                mask.append(path)
        return body, mask

    def labels(self, old: Mapping[str, str]) -> dict[str, str]:
        """Return labels as `--update-labels`, `--remove-labels` and `--clear-labels` leave them."""
        kept = {} if self.switch("--clear-labels") else dict(old)
        removed = self.flag("--remove-labels").split(",")
        kept = {key: value for key, value in kept.items() if key not in removed}
        return {**kept, **self.read("--update-labels", labels)}

    def of_each(self, verb: str, kind: str, act: Callable[[str], Any]) -> list[Any]:
        """Do something to each argument, and return the answers; raises Several.

        `act` takes an id. One that fails is told, and the others are done all the same.
        """
        done, failed = [], []
        for id_ in (argument.rpartition("/")[2] for argument in self.arguments):
            name = f"projects/{self.project}/{kind}s/{id_}"
            try:
                done.append(act(id_))
            except ApiError as error:
                failed.append(id_)
                text = f"Failed to {verb} {kind} [{name}]: {error.sentence}"
                print(f"ERROR: {text}", file=sys.stderr)
            else:
                print(f"{verb.capitalize().rstrip('e')}ed {kind} [{name}].", file=sys.stderr)
        if failed:
            raise Several(verb, failed, done)
        return done

    def limited(self, resources: list[Any]) -> list[Any]:
        """Return as many of a list as `--limit` says."""
        return resources[: int(self.flag("--limit"))] if self.flag("--limit") else resources


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Set the field at a dotted path."""
    *parents, last = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[last] = value


def outcome(operation: Mapping[str, Any]) -> Any:
    """Return what a finished operation brought; raises GcloudError for its error."""
    if "error" in operation:
        error = operation["error"]
        raise GcloudError(f"OperationError: code={error['code']}, message={error['message']}")
    return operation.get("response", {})


def say(sentence: str) -> None:
    """Print what happened where gcloud prints it."""
    print(sentence, file=sys.stderr)
