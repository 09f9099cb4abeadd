"""Who may call a function: the accounts as which queues, schedules and topics call it."""

from deployment.gcloud.calls import command
from deployment.kinds import bindings
from deployment.kinds.bindings import Grant
from deployment.plan.changes import CHANGE, Change, Difference
from deployment.plan.deployment import Deployment
from deployment.table.target import CALLS_EVENTS, CALLS_SCHEDULES, CALLS_TASKS

INVOKER = "roles/run.invoker"
EVERYBODY = ("allUsers", "allAuthenticatedUsers")
CHECK_OFF = "run.googleapis.com/invoker-iam-disabled"


def plan(it: Deployment) -> list[Change]:
    """Callers that are missing; whoever is let in without being anybody is always put out."""
    changes = it.world.each(lambda row: _plan(it, row), it.target.bundle.functions)
    return [change for some in changes for change in some]


def _plan(it: Deployment, row: str) -> list[Change]:
    name = it.target.name(row)
    exists = name in it.world.functions
    place = bindings.service(it, name)
    changes = bindings.plan(it, place, _callers(it, row), exists=exists)
    if exists:
        policy = bindings.policy(it, place)
        changes += [
            bindings.taken_back(place, Grant(role=role, member=member))
            for role, members in sorted(policy.items())
            for member in EVERYBODY
            if member in members
        ]
        changes += _check_off(it, name)
    return changes


def _callers(it: Deployment, row: str) -> list[Grant]:
    bundle = it.target.bundle
    function = bundle.functions[row]
    calls = {
        CALLS_TASKS: any(queue.calls == row for queue in bundle.queues.values()),
        CALLS_SCHEDULES: it.target.is_scheduled(row),
        CALLS_EVENTS: any(s.calls == row for s in bundle.subscriptions.values())
        or not function.is_http,
    }
    return [bindings.ours(it, account, INVOKER) for account, yes in calls.items() if yes]


def _check_off(it: Deployment, name: str) -> list[Change]:
    """Cloud Run can be told not to ask who calls at all."""
    service = it.world.run_services.get(name.replace("_", "-"), {})
    annotations = service.get("metadata", {}).get("annotations") or {}
    if annotations.get(CHECK_OFF, "false") != "true":
        return []
    check = command(
        "run", "services", "update", name, f"--region={it.target.region}", "--invoker-iam-check"
    )
    change = Difference(name="open to everybody", found="yes", wanted="no")
    return [
        Change(sign=CHANGE, kind="function", name=name, commands=(check,), differences=(change,))
    ]
