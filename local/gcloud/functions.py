"""`gcloud functions …`, and the Eventarc triggers that feed functions."""

import os
import sys
from typing import Any

from local.gcloud import environments
from local.gcloud.command import Call, Field, command, duration, outcome, pairs
from local.gcloud.errors import GcloudError

INGRESS = {
    "all": "ALLOW_ALL",
    "internal-only": "ALLOW_INTERNAL_ONLY",
    "internal-and-gclb": "ALLOW_INTERNAL_AND_GCLB",
}
FIELDS: dict[str, Field] = {
    "--runtime": ("buildConfig.runtime", str),
    "--entry-point": ("buildConfig.entryPoint", str),
    "--build-service-account": ("buildConfig.serviceAccount", str),
    "--memory": ("serviceConfig.availableMemory", str),
    "--cpu": ("serviceConfig.availableCpu", str),
    "--concurrency": ("serviceConfig.maxInstanceRequestConcurrency", int),
    "--min-instances": ("serviceConfig.minInstanceCount", int),
    "--max-instances": ("serviceConfig.maxInstanceCount", int),
    "--timeout": ("serviceConfig.timeoutSeconds", lambda text: int(duration(text)[:-1])),
    "--service-account": ("serviceConfig.serviceAccountEmail", str),
    "--ingress-settings": ("serviceConfig.ingressSettings", INGRESS.__getitem__),
}
TRIGGER = ("--trigger-http", "--trigger-topic", "--trigger-service-account", "--retry")
PUBSUB = "google.cloud.pubsub.topic.v1.messagePublished"


def path_of(call: Call) -> str:
    """The path of the function that is named."""
    return f"/v2/{call.parent('--region')}/functions/{call.id}"


@command(
    "functions deploy",
    *FIELDS,
    *TRIGGER,
    *environments.FLAGS,
    *("--region", "--gen2", "--source", "--allow-unauthenticated", "--update-labels"),
)
def deploy(call: Call) -> Any:
    """Create or replace a function; returns when its process takes requests."""
    old = call.cloud.find(path_of(call))
    _check(call, old)
    body, mask = call.body(FIELDS)
    source = os.path.abspath(call.flag("--source", "."))
    body.setdefault("buildConfig", {})["source"] = {"localPath": source}
    variables = environments.wanted(call, (old or {}).get("serviceConfig", {}))
    body.setdefault("serviceConfig", {})["environmentVariables"] = variables
    labels = pairs(call.flag("--update-labels"))
    body["labels"] = {**(old or {}).get("labels", {}), **labels}
    mask += ["buildConfig.source", "serviceConfig.environmentVariables", "labels"]
    if call.given("--trigger-topic"):
        body["eventTrigger"] = _event_trigger(call)
    if call.given("--trigger-topic") or call.given("--trigger-http"):
        mask.append("eventTrigger")
    if old:
        return outcome(call.cloud.patch(path_of(call), body, updateMask=",".join(mask)))
    parent = f"/v2/{call.parent('--region')}/functions"
    return outcome(call.cloud.post(parent, body, functionId=call.id))


def _check(call: Call, old: Any) -> None:
    """What real gcloud refuses before it sends anything."""
    topic, http = call.given("--trigger-topic"), call.given("--trigger-http")
    if not old and not topic and not http:
        raise GcloudError("You must specify a trigger when deploying a new function.")
    if not old and not call.given("--runtime"):
        raise GcloudError("argument --runtime: Missing required argument [--runtime]")
    if call.given("--retry") and http:
        raise GcloudError("`--retry` is not supported with `--trigger-http`.")
    if call.given("--cpu") and not call.given("--memory"):
        raise GcloudError("Function memory must be specified together with --cpu.")
    if call.switch("--allow-unauthenticated"):
        raise GcloudError("the local cloud does not open a function to everybody")


def _event_trigger(call: Call) -> dict[str, Any]:
    account = call.flag("--trigger-service-account") or call.flag("--service-account")
    return {
        "eventType": PUBSUB,
        "pubsubTopic": f"projects/{call.project}/topics/{call.flag('--trigger-topic')}",
        "retryPolicy": f"RETRY_POLICY_{'RETRY' if call.switch('--retry') else 'DO_NOT_RETRY'}",
        **({"serviceAccountEmail": account} if account else {}),
    }


@command("functions describe", "--region", "--gen2")
def describe(call: Call) -> Any:
    """One function."""
    return call.cloud.get(path_of(call))


@command("functions list", "--regions")
def list_functions(call: Call) -> Any:
    """All functions of the regions."""
    regions = call.flag("--regions").split(",")
    if regions == [""]:
        raise GcloudError("the local gcloud lists functions of --regions only")
    parents = [f"/v2/projects/{call.project}/locations/{region}/functions" for region in regions]
    return [function for path in parents for function in call.cloud.each(path, "functions")]


@command("functions delete", "--region", "--gen2")
def delete(call: Call) -> None:
    """End a function."""
    outcome(call.cloud.delete(path_of(call)))
    print(f"Deleted [{path_of(call)[4:]}].", file=sys.stderr)


@command("eventarc triggers describe", "--location")
def describe_trigger(call: Call) -> Any:
    """What feeds a function."""
    if "/" in call.name:
        return call.cloud.get(f"/v1/{call.name}")
    return call.cloud.get(f"/v1/{call.parent()}/triggers/{call.id}")
