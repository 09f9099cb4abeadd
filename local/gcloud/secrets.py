"""`gcloud secrets …`. Values come from a file or from standard input, and are printed by `access`
alone."""

import base64
import sys
from typing import Any

from local.gcloud import policies
from local.gcloud.command import Call, command, say
from local.gcloud.errors import GcloudError, UsageError
from local.gcloud.values import labels

LARGEST = 65_536
"""Bytes of a value."""


def path_of(call: Call) -> str:
    """Return the path of the secret that is named."""
    return f"/v1/projects/{call.project}/secrets/{call.id}"


@command(
    "secrets create",
    *("--replication-policy", "--labels", "--data-file"),
    is_quiet=True,
)
def create(call: Call) -> Any:
    """Make a secret, with its first version if there is a value."""
    if call.flag("--replication-policy", "automatic") != "automatic":
        raise GcloudError("the local gcloud makes secrets with --replication-policy=automatic only")
    body: dict[str, Any] = {"replication": {"automatic": {}}}
    if call.given("--labels"):
        body["labels"] = call.read("--labels", labels)
    value = _value(call) if call.given("--data-file") else None
    made = call.cloud.post(f"/v1/projects/{call.project}/secrets", body, secretId=call.name)
    if value is None:
        say(f"Created secret [{call.name}].")
    else:
        _add(call, value)
    return made


@command("secrets describe")
def describe(call: Call) -> Any:
    """Describe one secret; its values are not part of it."""
    return call.cloud.get(path_of(call))


@command("secrets list", "--filter", "--limit")
def list_secrets(call: Call) -> Any:
    """List all secrets; the service itself filters."""
    query = {"filter": call.flag("--filter")} if call.flag("--filter") else {}
    found = call.cloud.each(f"/v1/projects/{call.project}/secrets", "secrets", **query)
    return call.limited(list(found))


@command("secrets update", "--update-labels", "--remove-labels", "--clear-labels", is_quiet=True)
def update(call: Call) -> Any:
    """Change a secret's labels."""
    changed = {"labels": call.labels(describe(call).get("labels", {}))}
    answer = call.cloud.patch(path_of(call), changed, updateMask="labels")
    say(f"Updated secret [{call.id}].")
    return answer


@command("secrets delete", is_quiet=True)
def delete(call: Call) -> Any:
    """Remove a secret with all its versions."""
    answer = call.cloud.delete(path_of(call))
    say(f"Deleted secret [{call.id}].")
    return answer


@command("secrets versions add", "--data-file", is_quiet=True)
def add_version(call: Call) -> Any:
    """Keep a value as the secret's next version."""
    return _add(call, _value(call))


@command("secrets versions list", "--limit")
def list_versions(call: Call) -> Any:
    """List a secret's versions, the newest first."""
    return call.limited(list(call.cloud.each(f"{path_of(call)}/versions", "versions")))


@command("secrets versions describe", "--secret")
def describe_version(call: Call) -> Any:
    """Describe one version, without its value."""
    return call.cloud.get(_version(call))


@command("secrets versions access", "--secret")
def access(call: Call) -> Any:
    """Print a value: as it is, or in whatever form is asked for."""
    answer = call.cloud.get(f"{_version(call)}:access")
    if call.given("--format"):
        return answer
    sys.stdout.write(base64.b64decode(answer["payload"]["data"]).decode())
    return None


def _moves(verb: str, done: str) -> None:
    @command(f"secrets versions {verb}", "--secret", is_quiet=True)
    def move(call: Call) -> Any:
        answer = call.cloud.post(f"{_version(call)}:{verb}")
        number = answer["name"].rpartition("/")[2]
        say(f"{done} version [{number}] of the secret [{_secret(call)}].")
        return answer


_moves("enable", "Enabled")
_moves("disable", "Disabled")
_moves("destroy", "Destroyed")


def _version(call: Call) -> str:
    version = call.id
    return f"/v1/projects/{call.project}/secrets/{_secret(call)}/versions/{version}"


def _secret(call: Call) -> str:
    """Return the id of the secret, which the version's full name may hold."""
    if "/" in call.name:
        return call.name.split("/")[-3]
    if not call.flag("--secret"):
        raise UsageError("argument --secret: Must be specified.")
    return call.flag("--secret")


def _add(call: Call, value: bytes) -> Any:
    payload = {"data": base64.b64encode(value).decode()}
    answer = call.cloud.post(f"{path_of(call)}:addVersion", {"payload": payload})
    number = answer["name"].rpartition("/")[2]
    say(f"Created version [{number}] of the secret [{call.id}].")
    return answer


def _value(call: Call) -> bytes:
    path = call.flag("--data-file")
    if not path:
        raise UsageError("argument --data-file: Must be specified.")
    try:
        if path == "-":
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise GcloudError(f"Unable to read file [{path}]: {error}") from error


policies.commands("secrets", path_of, "--condition")
