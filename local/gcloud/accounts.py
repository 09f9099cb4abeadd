"""`gcloud projects`, `services` and `iam service-accounts`: remembered, so that a deployment finds
again what it made. Nothing here depends on them."""

import sys
import zlib
from typing import Any

from local.gcloud import policies
from local.gcloud.command import Call, command
from local.gcloud.errors import ApiError
from local.gcloud.policies import ACCOUNTS

SERVICES = "/local/v1/resources/services"


@command("projects describe")
def describe_project(call: Call) -> Any:
    """The project; whatever its id, it exists, with a number of its own."""
    number = 100_000_000_000 + zlib.crc32(call.name.encode())
    return {"projectId": call.name, "projectNumber": str(number), "lifecycleState": "ACTIVE"}


@command("services enable")
def enable(call: Call) -> None:
    """Remember services as enabled."""
    for service in call.arguments:
        call.cloud.put(f"{SERVICES}/{call.project}/{service}", _service(service))


@command("services list", "--enabled")
def list_services(call: Call) -> Any:
    """The services that were enabled."""
    return _all(call, SERVICES, call.project)


def _service(name: str) -> dict[str, Any]:
    return {"config": {"name": name}, "state": "ENABLED"}


@command("iam service-accounts create", "--display-name", "--description")
def create(call: Call) -> Any:
    """Create an account and return it."""
    email = f"{call.name}@{call.project}.iam.gserviceaccount.com"
    if call.cloud.find(f"{ACCOUNTS}/{email}"):
        text = f"Service account {call.name} already exists within project projects/{call.project}."
        raise ApiError("ALREADY_EXISTS", text)
    account = {
        "name": f"projects/{call.project}/serviceAccounts/{email}",
        "email": email,
        "displayName": call.flag("--display-name"),
        "description": call.flag("--description"),
    }
    call.cloud.put(f"{ACCOUNTS}/{email}", account)
    print(f"Created service account [{call.name}].", file=sys.stderr)
    return account


@command("iam service-accounts describe")
def describe(call: Call) -> Any:
    """Return an account."""
    return call.cloud.get(f"{ACCOUNTS}/{call.id}")


@command("iam service-accounts list")
def list_accounts(call: Call) -> Any:
    """Return all accounts of the project."""
    domain = f"@{call.project}.iam.gserviceaccount.com"
    return [account for account in _all(call, ACCOUNTS) if account["email"].endswith(domain)]


@command("iam service-accounts delete")
def delete(call: Call) -> None:
    """Forget an account."""
    call.cloud.delete(f"{ACCOUNTS}/{call.id}")
    print(f"deleted service account [{call.id}]", file=sys.stderr)


def _all(call: Call, kind: str, prefix: str = "") -> list[Any]:
    found = call.cloud.get(kind)["resources"].items()
    return [document for name, document in found if name.startswith(prefix)]


policies.commands("projects", lambda call: f"/projects/{call.name}", exists=False)
policies.commands("iam service-accounts", lambda call: f"{ACCOUNTS}/{call.id}")
