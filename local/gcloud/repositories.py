"""`gcloud artifacts repositories …`."""

import re
from typing import Any

from local.gcloud import policies
from local.gcloud.command import Call, Field, command, outcome, say
from local.gcloud.errors import GcloudError
from local.gcloud.values import labels

ID = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?")
FIELDS: dict[str, Field] = {
    "--repository-format": ("format", lambda text: text.upper().replace("-", "_")),
    "--description": ("description", str),
    "--kms-key": ("kmsKeyName", str),
    "--labels": ("labels", labels),
}


def path_of(call: Call) -> str:
    """Return the path of the repository that is named."""
    return f"/v1/{call.parent()}/repositories/{call.id}"


@command("artifacts repositories create", "--location", "--async", *FIELDS, is_quiet=True)
def create(call: Call) -> Any:
    """Make a repository."""
    if not ID.fullmatch(call.id):
        raise GcloudError(
            "Names may only contain lowercase letters, numbers, and hyphens, and must begin with a "
            "letter and end with a letter or number."
        )
    body, _ = call.body(FIELDS)
    path = f"/v1/{call.parent()}/repositories"
    made = outcome(call.cloud.post(path, body, repositoryId=call.id))
    say(f"Create request issued for: [{call.id}]\nCreated repository [{call.id}].")
    return made


@command("artifacts repositories describe", "--location")
def describe(call: Call) -> Any:
    """Describe one repository."""
    return call.cloud.get(path_of(call))


@command("artifacts repositories list", "--location", "--limit")
def list_repositories(call: Call) -> Any:
    """List all repositories of the location."""
    found = call.cloud.each(f"/v1/{call.parent()}/repositories", "repositories")
    say(f"Listing items under project {call.project}, location {call.flag('--location')}.")
    return call.limited(list(found))


@command(
    *("artifacts repositories update", "--location", "--description"),
    *("--update-labels", "--remove-labels", "--clear-labels"),
)
def update(call: Call) -> Any:
    """Change its labels and what it says of itself."""
    body, mask = call.body({"--description": ("description", str)})
    old = call.cloud.get(path_of(call)).get("labels", {})
    changed = {**body, "labels": call.labels(old)}
    made = call.cloud.patch(path_of(call), changed, updateMask=",".join([*mask, "labels"]))
    say(f"Updated repository [{call.id}].")
    return made


@command("artifacts repositories delete", "--location", "--async", is_quiet=True)
def delete(call: Call) -> Any:
    """Remove a repository."""
    operation = call.cloud.delete(path_of(call))
    say(f"Delete request issued for: [{call.id}]\nDeleted repository [{call.id}].")
    return operation


policies.commands("artifacts repositories", path_of, "--location")
