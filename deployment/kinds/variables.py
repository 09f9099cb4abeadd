"""The environment variables of a function: what the table's numbers and names amount to."""

from deployment.kinds import addresses
from deployment.plan.deployment import Deployment
from deployment.table.bundle import Function
from deployment.table.pauses import lasts
from deployment.table.target import CALLS_SCHEDULES, CALLS_TASKS, KEPT, variable

FOR_EVER = -1


def of(it: Deployment, row: Function) -> dict[str, str]:
    """All of them. A secret is a reference beside them, see `deployment.kinds.functions`."""
    target = it.target
    values = {
        "GOOGLE_CLOUD_PROJECT": target.project,
        "LOCATION": target.region,
        **({"QUEUE_PREFIX": target.environment.prefix} if target.environment.prefix else {}),
        "FIRESTORE_DATABASE": target.environment.database,
        "HANDLER_BUDGET": str(row.budget),
        "FUNCTION_TIMEOUT": str(row.timeout),
        "LEASE_SECONDS": str(row.lease),
        "MAX_ATTEMPTS": str(target.bundle.head.max_attempts),
        "THREADS": str(row.concurrency),
        # Cloud Run verifies a token and takes its signature off before the function sees it.
        "PLATFORM_CHECKS_CALLERS": "yes",
        # The platform sets this one, and a list of variables would unset it.
        "LOG_EXECUTION_ID": "true",
        **_groups(it, row),
        **_redelivery(it, row),
        **_addresses(it, row),
    }
    if CALLS_TASKS in target.accounts:
        values["TASKS_SERVICE_ACCOUNT"] = target.email(CALLS_TASKS)
    if target.is_scheduled(row.name):
        values["SCHEDULER_SERVICE_ACCOUNT"] = target.email(CALLS_SCHEDULES)
    return {**values, **target.settings}


def _groups(it: Deployment, row: Function) -> dict[str, str]:
    """How many queues there are of each name, of those on which it makes tasks, and their rates.

    Only campaigns ask for them: a change of a rate leaves the other functions as they are.
    """
    if not it.target.is_scheduled(row.name):
        return {}
    queues = [q for q in it.target.bundle.queues.values() if row.name in q.enqueued_by]
    groups = {q.group: f"{q.group}={q.count}@{q.a_second:g}" for q in queues}
    return {"QUEUE_GROUPS": ",".join(groups.values())} if groups else {}


def _addresses(it: Deployment, row: Function) -> dict[str, str]:
    """Its own, and those of the functions whose tasks it makes."""
    called = [row, *it.target.called_by_tasks_of(row.name)]
    values = {}
    for name in sorted({function.name for function in called if function.is_http}):
        values[variable(name, "URL")] = values[variable(name, "AUDIENCE")] = addresses.of(it, name)
    return values


def _redelivery(it: Deployment, row: Function) -> dict[str, str]:
    """How often and how long at least it is called again; it checks that this outlasts its own."""
    if row.is_http:
        queues = [q for q in it.target.bundle.queues.values() if q.calls == row.name]
        ends = [q for q in queues if q.attempts != FOR_EVER]
        attempts = [q.attempts for q in ends]
        seconds = [lasts(q.attempts, q.first_pause, q.last_pause, q.doublings) for q in ends]
    else:
        feeding = [s for s in it.target.bundle.subscriptions.values() if s.calls == row.name]
        attempts = [s.deliveries for s in feeding if s.deliveries]
        seconds = [s.keeps for s in feeding]
    values = {"REDELIVERY_SECONDS": str(min([KEPT, *seconds]))}
    return {**values, **({"REDELIVERY_ATTEMPTS": str(min(attempts))} if attempts else {})}
