"""`gcloud functions …`, and the Eventarc triggers that feed functions."""

import os
import re
from typing import Any

from local.gcloud import environments, locations, networks
from local.gcloud.command import Call, Field, command, outcome, say
from local.gcloud.errors import GcloudError
from local.gcloud.values import labels, pairs, seconds, topic

INGRESS = {
    "all": "ALLOW_ALL",
    "internal-only": "ALLOW_INTERNAL_ONLY",
    "internal-and-gclb": "ALLOW_INTERNAL_AND_GCLB",
}
RUNTIMES = ("python39", "python310", "python311", "python312", "python313", "python314")
"""Of the languages that there are, the one that runs here."""
MEMORY = re.compile(r"(\d+(?:\.\d+)?)(k|Ki|M|Mi|G|Gi|MB|GB|MiB|GiB)?")
FIELDS: dict[str, Field] = {
    "--runtime": ("buildConfig.runtime", str),
    "--entry-point": ("buildConfig.entryPoint", str),
    "--build-service-account": ("buildConfig.serviceAccount", str),
    "--docker-repository": ("buildConfig.dockerRepository", str),
    "--set-build-env-vars": ("buildConfig.environmentVariables", pairs),
    "--memory": ("serviceConfig.availableMemory", lambda text: memory(text)),
    "--cpu": ("serviceConfig.availableCpu", str),
    "--concurrency": ("serviceConfig.maxInstanceRequestConcurrency", int),
    "--min-instances": ("serviceConfig.minInstanceCount", int),
    "--max-instances": ("serviceConfig.maxInstanceCount", int),
    "--timeout": ("serviceConfig.timeoutSeconds", lambda text: int(seconds(text))),
    "--service-account": ("serviceConfig.serviceAccountEmail", str),
    "--ingress-settings": ("serviceConfig.ingressSettings", INGRESS.__getitem__),
}
TRIGGER = ("--trigger-http", "--trigger-topic", "--trigger-service-account", "--retry")
LABELS = ("--update-labels", "--remove-labels", "--clear-labels")
TOOL = {"deployment-tool": "cli-gcloud"}
"""A label that gcloud adds to everything it deploys."""
PUBSUB = "google.cloud.pubsub.topic.v1.messagePublished"
EVERYBODY = "allUsers"
INVOKER = "roles/run.invoker"


def path_of(call: Call) -> str:
    """The path of the function that is named."""
    return f"/v2/{call.parent('--region')}/functions/{call.id}"


@command(
    "functions deploy",
    *(*FIELDS, *TRIGGER, *LABELS),
    *(*environments.FLAGS, *environments.SECRETS, *networks.FLAGS),
    *("--region", "--gen2", "--source", "--allow-unauthenticated"),
)
def deploy(call: Call) -> Any:
    """Create or replace a function; returns when its process takes requests."""
    old = call.cloud.find(path_of(call))
    _check(call, old)
    body, mask = _described(call, old or {})
    operation = _sent(call, old, body, mask)
    say("Preparing function...\ndone.\nDeploying function...")
    say("failed\nFailed." if "error" in operation else "[Build]..done\n[Service]..done\nDone.")
    deployed = outcome(operation)
    _open_or_close(call, bool(old))
    return deployed


def memory(text: str) -> str:
    """Return a size as the API writes it; raises GcloudError."""
    match = MEMORY.fullmatch(text)
    if not match:
        wrong = f"Invalid memory value for: {text} specified."
        raise GcloudError(f"Invalid value for [--memory]: {wrong}")
    unit = (match[2] or "").removesuffix("B")
    return match[1] + unit


def _described(call: Call, old: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the function as the flags have it, and the fields that are to change."""
    body, mask = call.body(FIELDS)
    present = old.get("serviceConfig", {})
    source = os.path.abspath(call.flag("--source", "."))
    body.setdefault("buildConfig", {})["source"] = {"localPath": source}
    config = body.setdefault("serviceConfig", {})
    config["environmentVariables"] = environments.wanted(call, present)
    config["secretEnvironmentVariables"] = environments.secrets(call, present)
    reached, changed = networks.service(call, present)
    config.update(reached)
    key, changed_key = networks.key(call, old)
    body.update(key)
    mask += [*changed, *changed_key]
    body["labels"] = {**call.labels(old.get("labels", {})), **TOOL}
    mask += ["buildConfig.source", "labels", "serviceConfig.environmentVariables"]
    mask += ["serviceConfig.secretEnvironmentVariables"]
    if call.given("--trigger-topic"):
        body["eventTrigger"] = _event_trigger(call)
        mask.append("eventTrigger")
    elif call.given("--trigger-http"):
        mask.append("eventTrigger")
    elif call.given("--retry") or call.given("--trigger-service-account"):
        body["eventTrigger"] = _changed_trigger(call, old)
        mask += [f"eventTrigger.{key}" for key in body["eventTrigger"]]
    if not config["secretEnvironmentVariables"]:
        del config["secretEnvironmentVariables"]
    return body, mask


def _sent(call: Call, old: Any, body: dict[str, Any], mask: list[str]) -> Any:
    """Return the finished operation."""
    if old:
        return call.cloud.patch(path_of(call), body, updateMask=",".join(mask))
    parent = f"/v2/{call.parent('--region')}/functions"
    return call.cloud.post(parent, body, functionId=call.id)


def _check(call: Call, old: Any) -> None:
    """Refuse what real gcloud refuses before it sends anything."""
    has_topic, has_http = call.given("--trigger-topic"), call.given("--trigger-http")
    if not old and not has_topic and not has_http:
        raise GcloudError("You must specify a trigger when deploying a new function.")
    if not old and not call.given("--runtime"):
        raise GcloudError("argument --runtime: Missing required argument [--runtime]")
    runtime = call.flag("--runtime", RUNTIMES[-1])
    if runtime not in RUNTIMES:
        raise GcloudError(
            f"Invalid value for [--runtime]: {runtime} is not a supported runtime on GCF 2nd gen. "
            "Use `gcloud functions runtimes list` to get a list of available runtimes"
        )
    if call.given("--retry") and has_http:
        raise GcloudError("`--retry` is not supported with `--trigger-http`.")
    if call.given("--cpu") and not call.given("--memory"):
        raise GcloudError("Function memory must be specified together with --cpu.")
    if not os.path.isdir(call.flag("--source", ".")):
        raise GcloudError("Invalid value for [--source]: Provided directory does not exist")
    call.read("--update-labels", labels)


def _open_or_close(call: Call, was_there: bool) -> None:
    """Let everybody call the function, or nobody without a role, if that is asked for."""
    wanted = call.switch("--allow-unauthenticated")
    if wanted is None or (wanted is False and not was_there):
        return
    path = f"/v1/{call.parent('--region')}/services/{call.id}"
    policy = call.cloud.post(f"{path}:getIamPolicy")
    bindings = [dict(binding) for binding in policy.get("bindings", [])]
    for binding in bindings:
        if binding["role"] == INVOKER:
            binding["members"] = [one for one in binding["members"] if one != EVERYBODY]
    if wanted:
        bindings.append({"role": INVOKER, "members": [EVERYBODY]})
    kept = [binding for binding in bindings if binding["members"]]
    call.cloud.post(f"{path}:setIamPolicy", {"policy": {**policy, "bindings": kept}})


def _event_trigger(call: Call) -> dict[str, Any]:
    account = call.flag("--trigger-service-account") or call.flag("--service-account")
    return {
        "eventType": PUBSUB,
        "pubsubTopic": f"projects/{call.project}/topics/{call.read('--trigger-topic', topic)}",
        "retryPolicy": f"RETRY_POLICY_{'RETRY' if call.switch('--retry') else 'DO_NOT_RETRY'}",
        **({"serviceAccountEmail": account} if account else {}),
    }


def _changed_trigger(call: Call, old: dict[str, Any]) -> dict[str, Any]:
    """Return what the flags say of a trigger that stays otherwise."""
    if not old.get("eventTrigger"):
        raise GcloudError("`--retry` is not supported with `--trigger-http`.")
    changed = {}
    if call.given("--retry"):
        changed["retryPolicy"] = "RETRY_POLICY_" + (
            "RETRY" if call.switch("--retry") else "DO_NOT_RETRY"
        )
    if call.given("--trigger-service-account"):
        changed["serviceAccountEmail"] = call.flag("--trigger-service-account")
    return changed


@command("functions describe", "--region", "--gen2")
def describe(call: Call) -> Any:
    """One function."""
    return call.cloud.get(path_of(call))


@command("functions list", "--regions", "--v2", "--limit")
def list_functions(call: Call) -> Any:
    """List all functions of the regions, of all regions without any."""
    regions = [region for region in call.flag("--regions", "-").split(",") if region]
    for region in regions:
        if region != "-":
            locations.check("functions list", region)
    parents = [f"/v2/projects/{call.project}/locations/{region}/functions" for region in regions]
    found = [function for path in parents for function in call.cloud.each(path, "functions")]
    return call.limited(found)


@command("functions delete", "--region", "--gen2", is_quiet=True)
def delete(call: Call) -> Any:
    """End a function."""
    outcome(call.cloud.delete(path_of(call)))
    say(f"Deleted [{path_of(call)[4:]}].")
    return []


@command("functions runtimes list", "--region")
def list_runtimes(call: Call) -> Any:
    """List the runtimes of the language that runs here."""
    return [{"environments": ["GEN_2"], "name": name, "stage": "GA"} for name in RUNTIMES]


@command("eventarc triggers describe", "--location")
def describe_trigger(call: Call) -> Any:
    """Describe what feeds a function."""
    if "/" in call.name:
        return call.cloud.get(f"/v1/{call.name}")
    return call.cloud.get(f"/v1/{call.parent()}/triggers/{call.id}")


@command("eventarc triggers list", "--location", "--limit")
def list_triggers(call: Call) -> Any:
    """List what feeds the functions of a region."""
    return call.limited(list(call.cloud.each(f"/v1/{call.parent()}/triggers", "triggers")))
