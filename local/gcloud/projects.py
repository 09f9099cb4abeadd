"""`gcloud projects …`, and what else there is to ask about a project and about gcloud itself."""

from typing import Any

from local.gcloud import locations, policies
from local.gcloud.command import Call, command
from local.gcloud.errors import ACCOUNT, GcloudError
from local.gcloud.surface import SURFACE

PROPERTIES = {"core/account": ACCOUNT, "account": ACCOUNT}


@command("projects describe")
def describe(call: Call) -> Any:
    """Describe a project; whatever its id, it exists, with a number of its own."""
    return call.cloud.get(f"/v1/projects/{call.name}")


@command("projects list", "--limit")
def list_projects(call: Call) -> Any:
    """List the project that is meant."""
    return [call.cloud.get(f"/v1/projects/{call.project}")]


@command("projects get-ancestors")
def ancestors(call: Call) -> Any:
    """Say what a project is in: nothing."""
    return [{"id": call.name, "type": "project"}]


@command("billing projects describe")
def billing(call: Call) -> Any:
    """Say who pays for a project; nobody has to here."""
    return {
        "billingAccountName": "billingAccounts/000000-000000-000000",
        "billingEnabled": True,
        "name": f"projects/{call.name}/billingInfo",
        "projectId": call.name,
    }


@command("org-policies list")
def org_policies(call: Call) -> Any:
    """List the organization policies: there is no organization."""
    return []


@command("version")
def version(call: Call) -> Any:
    """Say which version of gcloud the command lines are checked against."""
    return {"Google Cloud SDK": SURFACE["sdk"], "alpha": "local", "beta": "local", "core": "local"}


@command("auth list")
def accounts(call: Call) -> Any:
    """List who is logged in."""
    return [{"account": ACCOUNT, "status": "ACTIVE"}]


@command("config get")
@command("config get-value")
def get_property(call: Call) -> Any:
    """Say what a property of gcloud's configuration is."""
    known = {**PROPERTIES, "core/project": call.project, "project": call.project}
    if call.name not in known:
        raise GcloudError(f"the local gcloud has no property {call.name}")
    return known[call.name]


@command("quotas info describe", "--service")
def quota(call: Call) -> Any:
    """Refuse: there are no quotas here."""
    raise GcloudError("there are no quotas in the local cloud")


def _lists_locations(name: str, *flags: str) -> None:
    @command(name, *flags)
    def listed(call: Call) -> Any:
        return locations.listed(name.split()[0], call.project)


for _name in ("eventarc locations", "firestore locations", "run regions", "scheduler locations"):
    _lists_locations(f"{_name} list")
_lists_locations("tasks locations list")
_lists_locations("functions regions list", "--gen2")
policies.commands("projects", lambda call: f"/v1/projects/{call.name}", "--condition")
