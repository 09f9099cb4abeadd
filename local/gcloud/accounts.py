"""`gcloud iam service-accounts …`."""

from typing import Any

from local.gcloud import policies
from local.gcloud.command import Call, Field, command, say

FIELDS: dict[str, Field] = {
    "--display-name": ("displayName", str),
    "--description": ("description", str),
}


def path_of(call: Call) -> str:
    """Return the path of the account that is named."""
    return f"/v1/projects/-/serviceAccounts/{call.id}"


@command("iam service-accounts create", *FIELDS, is_quiet=True)
def create(call: Call) -> Any:
    """Make an account."""
    body, _ = call.body(FIELDS)
    account = {"displayName": "", **body}
    path = f"/v1/projects/{call.project}/serviceAccounts"
    made = call.cloud.post(path, {"accountId": call.name, "serviceAccount": account})
    say(f"Created service account [{call.name}].")
    return made


@command("iam service-accounts update", *FIELDS)
def update(call: Call) -> Any:
    """Change what the flags name."""
    body, mask = call.body(FIELDS)
    change = {"serviceAccount": body, "updateMask": ",".join(mask)}
    changed = call.cloud.patch(path_of(call), change)
    say(f"Updated serviceAccount [{call.id}].")
    return changed


@command("iam service-accounts describe")
def describe(call: Call) -> Any:
    """Describe one account."""
    return call.cloud.get(path_of(call))


@command("iam service-accounts list", "--limit")
def list_accounts(call: Call) -> Any:
    """List all accounts of the project."""
    found = call.cloud.each(f"/v1/projects/{call.project}/serviceAccounts", "accounts")
    return call.limited([{"disabled": False, **account} for account in found])


@command("iam service-accounts delete", is_quiet=True)
def delete(call: Call) -> Any:
    """Delete an account."""
    call.cloud.delete(path_of(call))
    say(f"deleted service account [{call.id}]")
    return []


policies.commands("iam service-accounts", path_of, "--condition")
