"""A function's environment variables, from the flags of a deploy."""

import json
import re
from collections.abc import Mapping
from typing import Any

from local.gcloud.command import Call, pairs
from local.gcloud.errors import GcloudError

FLAGS = (
    "--env-vars-file",
    "--set-env-vars",
    "--update-env-vars",
    "--remove-env-vars",
    "--clear-env-vars",
)
PLAIN = re.compile(r"[A-Za-z/][^:#'\"{}\[\]]*")
"""Values of YAML that need no quotes and are no numbers."""


def wanted(call: Call, old: Mapping[str, Any]) -> dict[str, str]:
    """All variables the function is to have; `old` is its present serviceConfig."""
    if call.given("--env-vars-file"):
        return read_file(call.flag("--env-vars-file"))
    if call.given("--set-env-vars"):
        return pairs(call.flag("--set-env-vars"))
    variables = {} if call.given("--clear-env-vars") else dict(old.get("environmentVariables", {}))
    removed = call.flag("--remove-env-vars").split(",")
    variables = {name: value for name, value in variables.items() if name not in removed}
    return {**variables, **pairs(call.flag("--update-env-vars"))}


def read_file(path: str) -> dict[str, str]:
    """A flat map of strings, JSON or the simple YAML of `NAME: "value"` lines."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise GcloudError(f"Failed to load environment variables from [{path}]: {error}") from error
    if text.lstrip().startswith("{"):
        return dict(json.loads(text))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return dict(_variable(line) for line in lines)


def _variable(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(": ")
    if colon and value.startswith('"'):
        return name, json.loads(value)
    if colon and value.startswith("'"):
        return name, value.strip()[1:-1].replace("''", "'")
    if colon and PLAIN.fullmatch(value):
        return name, value.strip()
    raise GcloudError(f'the local gcloud reads lines of NAME: "value" only, not {line!r}')
