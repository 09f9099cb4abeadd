"""`gcloud run services …`: the services behind the functions."""

from typing import Any

from local.gcloud import policies
from local.gcloud.command import Call, command, say
from local.gcloud.errors import ApiError, GcloudError

UNCHECKED = "run.googleapis.com/invoker-iam-disabled"


def path_of(call: Call) -> str:
    """Return the path of the service that is named."""
    return f"/v1/{call.parent('--region')}/services/{call.id}"


@command("run services describe", "--region")
def describe(call: Call) -> Any:
    """Describe one service."""
    try:
        return call.cloud.get(path_of(call))
    except ApiError as error:
        if error.status != "NOT_FOUND":
            raise
        raise GcloudError(f"Cannot find service [{call.id}]") from error


@command("run services list", "--region", "--limit")
def list_services(call: Call) -> Any:
    """List the services of a region, of all without one."""
    parent = call.parent("--region") if call.given("--region") else _everywhere(call)
    return call.limited(call.cloud.get(f"/v1/{parent}/services")["items"])


@command("run services update", "--region", "--invoker-iam-check", is_quiet=True)
def update(call: Call) -> Any:
    """Switch on or off whether Cloud Run checks who calls."""
    service = describe(call)
    if call.switch("--invoker-iam-check") is None:
        raise GcloudError("No configuration change requested. Did you mean to include a flag?")
    value = "false" if call.switch("--invoker-iam-check") else "true"
    service["metadata"]["annotations"][UNCHECKED] = value
    changed = call.cloud.put(path_of(call), service)
    say(f"Service [{call.id}] has been updated.")
    return changed


def _everywhere(call: Call) -> str:
    return f"projects/{call.project}/locations/-"


policies.commands("run services", path_of, "--region", "--condition")
