"""What our accounts may do on the project, and on each other."""

from deployment.kinds import bindings
from deployment.kinds.bindings import Grant, Place
from deployment.plan.changes import Change
from deployment.plan.deployment import Deployment
from deployment.table.target import BUILDS, CALLS_EVENTS, CALLS_TASKS

ACT_AS = "roles/iam.serviceAccountUser"
MAKE_TOKENS = "roles/iam.serviceAccountTokenCreator"


def plan(it: Deployment) -> list[Change]:
    """What is missing, place by place."""
    changes = it.world.each(lambda place: _plan(it, *place), list(_wanted(it)))
    return [change for some in changes for change in some]


def leave(it: Deployment) -> list[Change]:
    """What they may do on the project; the rest goes with the accounts."""
    return bindings.leave(it, bindings.project(it))


def _plan(it: Deployment, place: Place, grants: list[Grant]) -> list[Change]:
    exists = place.kind == "project" or place.name in it.world.accounts
    return bindings.plan(it, place, grants, exists=exists)


def _wanted(it: Deployment) -> list[tuple[Place, list[Grant]]]:
    target = it.target
    wanted = [(bindings.project(it), _on_project(it))]
    if CALLS_TASKS in target.accounts:
        # Who makes a task says as whom it is called, and must be allowed to.
        makers = {name for q in target.bundle.queues.values() for name in q.enqueued_by}
        grants = [bindings.ours(it, target.runs_as(name), ACT_AS) for name in sorted(makers)]
        wanted.append((bindings.account(it, CALLS_TASKS), grants))
    if CALLS_EVENTS in target.accounts:
        # Projects that had Pub/Sub before April 2021 do not let it make tokens otherwise.
        grants = [bindings.agents(it, MAKE_TOKENS)]
        wanted.append((bindings.account(it, CALLS_EVENTS), grants))
    return wanted


def _on_project(it: Deployment) -> list[Grant]:
    functions = it.target.bundle.functions.values()
    roles = [(it.target.runs_as(row.name), role) for row in functions for role in row.roles]
    roles += [(BUILDS, role) for role in it.target.bundle.builder.roles]
    return [bindings.ours(it, account, role) for account, role in roles]
