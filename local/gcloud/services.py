"""`gcloud services …`, and which service a command needs: one that is not enabled refuses it."""

from typing import Any

from local.gcloud.command import Call, command, say
from local.gcloud.errors import Disabled, GcloudError

DOMAIN = ".googleapis.com"
NEEDED = {
    "artifacts": ("artifactregistry", "Artifact Registry API"),
    "eventarc": ("eventarc", "Eventarc API"),
    "firestore": ("firestore", "Cloud Firestore API"),
    "functions": ("cloudfunctions", "Cloud Functions API"),
    "iam": ("iam", "Identity and Access Management (IAM) API"),
    "pubsub": ("pubsub", "Cloud Pub/Sub API"),
    "quotas": ("cloudquotas", "Cloud Quotas API"),
    "run": ("run", "Cloud Run Admin API"),
    "scheduler": ("cloudscheduler", "Cloud Scheduler API"),
    "secrets": ("secretmanager", "Secret Manager API"),
    "tasks": ("cloudtasks", "Cloud Tasks API"),
}
"""By command group; what the others need is enabled in every project."""


def check_enabled(call: Call, name: str) -> None:
    """Refuse a command whose service is not enabled in the project; raises Disabled."""
    if name.split()[0] not in NEEDED:
        return
    service, title = NEEDED[name.split()[0]]
    path = f"/v1/projects/{call.project}/services/{service}{DOMAIN}"
    if call.cloud.get(path)["state"] == "ENABLED":
        return
    raise Disabled(f"{service}{DOMAIN}", title, call.project)


@command("services enable", "--async", is_quiet=True)
def enable(call: Call) -> Any:
    """Enable services; one of a name that nothing has is refused."""
    path = f"/v1/projects/{call.project}/services:batchEnable"
    call.cloud.post(path, {"serviceIds": call.arguments})
    return []


@command("services disable", "--force", is_quiet=True)
def disable(call: Call) -> Any:
    """Disable a service; what was made with it stays."""
    for name in call.arguments:
        call.cloud.post(f"/v1/projects/{call.project}/services/{name}:disable")
    return []


@command("services list", "--enabled", "--available", "--limit")
def list_services(call: Call) -> Any:
    """List the services that are enabled."""
    if call.switch("--available"):
        raise GcloudError("the local gcloud lists enabled services only")
    found = call.cloud.each(f"/v1/projects/{call.project}/services", "services")
    return call.limited(list(found))


@command("services identity create", "--service", is_quiet=True)
def create_identity(call: Call) -> Any:
    """Name the account that a service acts as."""
    service = call.flag("--service")
    check = call.cloud.get(f"/v1/projects/{call.project}/services/{service}")
    number = check["parent"].rpartition("/")[2]
    email = f"service-{number}@gcp-sa-{service.removesuffix(DOMAIN)}.iam.gserviceaccount.com"
    say(f"Service identity created: {email}")
    return {"email": email, "uniqueId": number}
