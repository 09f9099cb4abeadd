"""A function's environment variables, from the flags of a deploy."""

import json
import re
from collections.abc import Mapping
from typing import Any

from local.gcloud.command import Call
from local.gcloud.errors import GcloudError, UsageError
from local.gcloud.values import pairs

FLAGS = (
    "--env-vars-file",
    "--set-env-vars",
    "--update-env-vars",
    "--remove-env-vars",
    "--clear-env-vars",
)
SECRETS = ("--set-secrets", "--update-secrets", "--remove-secrets", "--clear-secrets")
SHORT = re.compile(r"(?P<secret>[\w-]+):(?P<version>[1-9]\d*|latest)")
FULL = re.compile(r"projects/[^/]+/secrets/(?P<secret>[\w-]+)/versions/(?P<version>\w+)")
PLAIN = re.compile(r"[A-Za-z/][^:#'\"{}\[\]]*")
"""Values of YAML that need no quotes and are no numbers."""


def wanted(call: Call, old: Mapping[str, Any]) -> dict[str, str]:
    """Return all variables the function is to have; `old` is its present serviceConfig."""
    if call.given("--env-vars-file"):
        return read_file(call.flag("--env-vars-file"))
    if call.given("--set-env-vars"):
        return dict(call.read("--set-env-vars", pairs))
    variables = {} if call.given("--clear-env-vars") else dict(old.get("environmentVariables", {}))
    removed = call.flag("--remove-env-vars").split(",")
    variables = {name: value for name, value in variables.items() if name not in removed}
    return {**variables, **call.read("--update-env-vars", pairs)}


def read_file(path: str) -> dict[str, str]:
    """Return a flat map of strings, JSON or the simple YAML of `NAME: "value"` lines."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise GcloudError(f"Failed to load environment variables from [{path}]: {error}") from error
    if text.lstrip().startswith("{"):
        return dict(json.loads(text))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return dict(_variable(line) for line in lines)


def secrets(call: Call, old: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the secrets the function is to have in its environment, as references.

    `old` is its present serviceConfig.
    """
    if call.given("--set-secrets"):
        return [*call.read("--set-secrets", lambda text: _references(call, text)).values()]
    kept = {one["key"]: one for one in old.get("secretEnvironmentVariables", [])}
    if call.switch("--clear-secrets"):
        kept = {}
    removed = call.flag("--remove-secrets").split(",")
    kept = {name: one for name, one in kept.items() if name not in removed}
    new = call.read("--update-secrets", lambda text: _references(call, text))
    return [*{**kept, **new}.values()]


def _references(call: Call, text: str) -> dict[str, dict[str, str]]:
    return {name: _reference(call, name, value) for name, value in pairs(text).items()}


def _reference(call: Call, name: str, text: str) -> dict[str, str]:
    """`SECRET:VERSION`, or the full name of a version."""
    if name.startswith("/"):
        raise GcloudError("the local gcloud has secrets in the environment only, not as files")
    match = FULL.fullmatch(text) or SHORT.fullmatch(text)
    if not match:
        raise UsageError(
            f"Secret value configuration for key [{name}] must be of the form "
            "<secret>:<version> or projects/<project>/secrets/<secret>/versions/<version>"
        )
    secret, version = match["secret"], match["version"]
    return {"key": name, "projectId": call.project, "secret": secret, "version": version}


def _variable(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(": ")
    if colon and value.startswith('"'):
        return name, json.loads(value)
    if colon and value.startswith("'"):
        return name, value.strip()[1:-1].replace("''", "'")
    if colon and PLAIN.fullmatch(value):
        return name, value.strip()
    raise GcloudError(f'the local gcloud reads lines of NAME: "value" only, not {line!r}')
