"""Functions: built and started by `gcloud functions deploy`, which does so even if nothing changed.

So a label remembers what was built from which source; everything else is read from what is
deployed. The trigger is only sent when it changes: sending it makes a new one, and a new
subscription, without what waits in the old one.
"""

import json
from collections.abc import Iterator, Mapping

from deployment.gcloud.calls import Command, command
from deployment.gcloud.world import Json, labels_of
from deployment.kinds import addresses, network, secrets, variables
from deployment.plan.changes import CHANGE, CREATE, REMOVE, Change, Difference, differences, maps
from deployment.plan.deployment import Deployment
from deployment.table import ownership
from deployment.table.bundle import Function
from deployment.table.target import BUILDS, CALLS_EVENTS

SOURCE = "bundle-source"
"""The label with the digest of the source."""
ACTIVE, DEPLOYING = "ACTIVE", "DEPLOYING"
INGRESS = {
    "ALLOW_ALL": "all",
    "ALLOW_INTERNAL_ONLY": "internal-only",
    "ALLOW_INTERNAL_AND_GCLB": "internal-and-gclb",
}
RETRY = "RETRY_POLICY_RETRY"
BUILD = {"SOURCE_DATE_EPOCH": "315532801"}
"""What a build is told, so that the bytecode which it makes is used.

Google's buildpack runs `python3 -m compileall -f` over the source, and the image then gives every
file the time 315532801 (1980-01-01T00:00:01Z). Bytecode usually goes by the time of its text: in
the image it is out of date, and each start of an instance compiles the text again. Where this
variable is set, `compileall` goes by a hash of the text. Sources: GoogleCloudPlatform/buildpacks
`cmd/python/functions_framework/lib/lib.go`; buildpacks/lifecycle `archive/writer.go`; `py_compile`
in Python's documentation.
"""


def plan(it: Deployment) -> list[Change]:
    """Functions that are missing or different, and what no row names."""
    _check_provider(it)
    changes = it.world.each(lambda row: _row(it, row), it.target.bundle.functions.values())
    return [*filter(None, changes), *_removed(it)]


def leave(it: Deployment) -> list[Change]:
    """All of ours; Eventarc's triggers and subscriptions go with them."""
    return [_remove(it, name) for name in ours(it)]


def ours(it: Deployment) -> list[str]:
    """The functions that are ours."""
    return [
        name
        for name, found in it.world.functions.items()
        if ownership.of_labels(labels_of(found)) == it.target.mark
    ]


def going_on(it: Deployment) -> list[str]:
    """Ours that somebody, perhaps an interrupted run, is deploying just now."""
    return [name for name in ours(it) if it.world.functions[name].get("state") == DEPLOYING]


def in_time(it: Deployment, changes: list[Change]) -> list[Change]:
    """The changes that need not wait for another function's address.

    A schedule's token carries the address that Cloud Run answers, so a function that a schedule
    calls is built when a first function has shown how addresses look here.
    """
    scheduled = {
        it.target.name(row) for row in it.target.bundle.functions if it.target.is_scheduled(row)
    }
    if it.target.environment.is_local or it.world.run_services:
        return changes
    early = [change for change in changes if change.name not in scheduled]
    return early or changes


def _row(it: Deployment, row: Function) -> Change | None:
    name = it.target.name(row.name)
    found = it.world.functions.get(name)
    if found is None:
        if name.replace("_", "-") in it.world.run_services:
            it.refuse(
                f"function {name}: a Cloud Run service of that name exists, and is no function"
            )
        deploy = _deploy(it, row, {}, _trigger(it, row))
        return Change(sign=CREATE, kind="function", name=name, commands=(deploy,))
    if not it.may_change("function", name, ownership.of_labels(labels_of(found))):
        return None
    changed = tuple(_differences(it, row, found))
    if not changed:
        return None
    deploy = _deploy(it, row, found, _trigger_change(it, row, found))
    return Change(sign=CHANGE, kind="function", name=name, commands=(deploy,), differences=changed)


def _differences(it: Deployment, row: Function, found: Json) -> Iterator[Difference]:
    yield from differences({"state": found.get("state")}, {"state": ACTIVE})
    wanted = {**it.target.mark.labels, SOURCE: it.target.source}
    yield from differences(labels_of(found), wanted)
    yield from differences(_limits(found), _wanted(it, row))
    service = found.get("serviceConfig", {})
    yield from differences(network.found(service), network.wanted(it))
    key = {"kms-key": it.target.environment.kms_key}
    yield from differences({"kms-key": found.get("kmsKeyName")}, key)
    yield from maps("settings", addresses.variables(found), variables.of(it, row))
    yield from maps("secrets", _secrets_of(found), _secrets(it))
    yield from differences(_trigger_of(found), _trigger_wanted(it, row))


def _wanted(it: Deployment, row: Function) -> dict[str, str]:
    """By the flags of gcloud."""
    target = it.target
    builder = f"projects/{target.project}/serviceAccounts/{target.email(BUILDS)}"
    repository = f"locations/{target.region}/repositories/{target.repository}"
    return {
        "runtime": target.bundle.head.runtime,
        "entry-point": row.name,
        "memory": row.memory,
        "cpu": str(row.cpu),
        "concurrency": str(row.concurrency),
        "min-instances": str(row.min_instances),
        "max-instances": str(row.max_instances),
        "timeout": f"{row.timeout}s",
        "service-account": target.email(target.runs_as(row.name)),
        "ingress-settings": row.ingress,
        "build-service-account": builder,
        "docker-repository": f"projects/{target.project}/{repository}",
        "set-build-env-vars": _pairs(BUILD),
    }


def _limits(found: Json) -> dict[str, str]:
    build, service = found.get("buildConfig", {}), found.get("serviceConfig", {})
    ingress = service.get("ingressSettings", "")
    return {
        "runtime": build.get("runtime", ""),
        "entry-point": build.get("entryPoint", ""),
        "memory": _mebibytes(service.get("availableMemory", "")),
        "cpu": str(service.get("availableCpu", "")),
        "concurrency": str(service.get("maxInstanceRequestConcurrency", 1)),
        "min-instances": str(service.get("minInstanceCount", 0)),
        "max-instances": str(service.get("maxInstanceCount", 0)),
        "timeout": f"{service.get('timeoutSeconds', 0)}s",
        "service-account": service.get("serviceAccountEmail", ""),
        "ingress-settings": INGRESS.get(ingress, ingress),
        "build-service-account": build.get("serviceAccount", ""),
        "docker-repository": build.get("dockerRepository", ""),
        "set-build-env-vars": _pairs(build.get("environmentVariables", {})),
    }


def _pairs(values: Mapping[str, str]) -> str:
    """As gcloud takes them."""
    return ",".join(f"{key}={value}" for key, value in sorted(values.items()))


def _mebibytes(memory: str) -> str:
    """`512M` is `512Mi` to Cloud Functions."""
    return f"{memory}i" if memory.endswith(("M", "G")) else memory


def _secrets(it: Deployment) -> dict[str, str]:
    """Setting → secret:version."""
    names = it.target.environment.secrets
    return {name: f"{it.target.name(name)}:{secrets.version(it, name)}" for name in names}


def _secrets_of(found: Json) -> dict[str, str]:
    held = found.get("serviceConfig", {}).get("secretEnvironmentVariables") or []
    return {it["key"]: f"{it.get('secret')}:{it.get('version')}" for it in held}


def _trigger_wanted(it: Deployment, row: Function) -> dict[str, str]:
    if row.is_http:
        return {"trigger": "http"}
    return {
        "trigger": f"projects/{it.target.project}/topics/{it.target.name(row.woken_by)}",
        "retries": "yes",
        "called by": it.target.email(CALLS_EVENTS),
    }


def _trigger_of(found: Json) -> dict[str, str]:
    trigger = found.get("eventTrigger")
    if not trigger:
        return {"trigger": "http"}
    return {
        "trigger": trigger.get("pubsubTopic", "") if trigger.get("trigger") else "not made",
        "retries": "yes" if trigger.get("retryPolicy") == RETRY else "no",
        "called by": trigger.get("serviceAccountEmail", ""),
    }


def _trigger(it: Deployment, row: Function) -> list[str]:
    """The flags that make a trigger anew."""
    if row.is_http:
        return ["--trigger-http"]
    topic = f"--trigger-topic={it.target.name(row.woken_by)}"
    return [topic, "--retry", f"--trigger-service-account={it.target.email(CALLS_EVENTS)}"]


def _trigger_change(it: Deployment, row: Function, found: Json) -> list[str]:
    """The same, if it must be; `--retry` alone leaves the trigger as it is."""
    names = {
        difference.name for difference in differences(_trigger_of(found), _trigger_wanted(it, row))
    }
    if names <= {"retries"}:
        return ["--retry"] if names else []
    return _trigger(it, row)


def _key(it: Deployment, found: Json) -> list[str]:
    """What a deployment says of the key; gcloud keeps what is not said."""
    if it.target.environment.kms_key:
        return [f"--kms-key={it.target.environment.kms_key}"]
    return ["--clear-kms-key"] if found.get("kmsKeyName") else []


def _deploy(it: Deployment, row: Function, found: Json, trigger: list[str]) -> Command:
    labels = {**it.target.mark.labels, SOURCE: it.target.source}
    references = _pairs(_secrets(it))
    flags = [
        "--gen2",
        f"--region={it.target.region}",
        *(f"--{key}={value}" for key, value in _wanted(it, row).items()),
        "--no-allow-unauthenticated",
        f"--source={it.target.root}",
        f"--update-labels={_pairs(labels)}",
        f"--set-secrets={references}" if references else "--clear-secrets",
        *network.flags(it, found.get("serviceConfig", {})),
        *_key(it, found),
        *trigger,
    ]
    settings = json.dumps(variables.of(it, row), indent=1)
    return command("functions", "deploy", it.target.name(row.name), *flags, env_vars_file=settings)


def _check_provider(it: Deployment) -> None:
    """Who sends the messages is not exchanged or forgotten by the way."""
    if it.options.change_provider or it.target.environment.is_local:
        return
    for row in it.target.bundle.functions:
        found = it.world.functions.get(it.target.name(row), {})
        if ownership.of_labels(labels_of(found)) != it.target.mark:
            continue
        before = {**addresses.variables(found), **_secret_names(found)}
        after = {
            **it.target.settings,
            **{n: it.target.name(n) for n in it.target.environment.secrets},
        }
        for name in it.target.bundle.head.providers:
            if before.get(name) and before[name] != after.get(name):
                word = "exchanged" if after.get(name) else "unset"
                it.refuse(
                    f"{name} would be {word}, and with it who sends the messages: --change-provider"
                )


def _secret_names(found: Json) -> dict[str, str]:
    return {name: held.rpartition(":")[0] for name, held in _secrets_of(found).items()}


def _removed(it: Deployment) -> list[Change]:
    rows = set(map(it.target.name, it.target.bundle.functions))
    changes = []
    for name in ours(it):
        if name in rows:
            continue
        fed = it.world.functions[name].get("eventTrigger")
        if fed and f"function/{name}" not in it.options.remove:
            it.note(
                f"function {name} is in the table no more; events may wait in its subscription, so "
                f"it is kept; --remove function/{name} removes it with them"
            )
        else:
            changes.append(_remove(it, name))
    return changes


def _remove(it: Deployment, name: str) -> Change:
    delete = command("functions", "delete", name, f"--region={it.target.region}")
    return Change(sign=REMOVE, kind="function", name=name, commands=(delete,))
