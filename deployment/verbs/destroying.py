"""`destroy`: removes what is ours in one environment, and no more; the database stays.

What waits in queues and subscriptions goes with them, so it is shown before it is asked for.
"""

from collections.abc import Iterator, Sequence

from deployment.errors import DeploymentError
from deployment.kinds import (
    accounts,
    alerts,
    database,
    functions,
    grants,
    metrics,
    queues,
    repository,
    schedules,
    secrets,
    subscriptions,
    topics,
)
from deployment.plan.changes import Change
from deployment.plan.deployment import Deployment
from deployment.verbs import applying
from deployment.verbs.applying import Planner, Work

STAGES: Sequence[Planner] = (
    schedules.leave,
    alerts.leave,
    metrics.leave,
    functions.leave,
    subscriptions.leave,
    topics.leave,
    repository.leave,
)
"""One after the other: what calls goes before what is called, a subscription before its topic."""
DATA: Sequence[Planner] = (queues.leave, secrets.leave, database.leave)
"""Only with `--purge`."""
LEFT: Sequence[Planner] = (queues.stop, accounts.keep)
"""Else: queues stay, empty and paused, and with them a note of the database."""
LAST: Sequence[Planner] = (grants.leave, accounts.leave)
"""The accounts hold the notes that the others are found by."""


def changes(work: Work, *, purge: bool) -> list[Change]:
    """What would be removed, in order."""
    it = work.deployment()
    return [change for planner in _planners(purge) for change in planner(it)]


def waiting(it: Deployment) -> Iterator[str]:
    """What would be lost: one line for each queue and subscription."""
    names = queues.ours(it)
    for name, count in zip(
        names, it.world.each(lambda name: queues.backlog(it, name), names), strict=True
    ):
        yield f"queue {name}: {count} tasks wait in it"
    fed = [name for name in functions.ours(it) if it.world.functions[name].get("eventTrigger")]
    for name in [*subscriptions.ours(it), *(f"of {name}" for name in fed)]:
        yield f"subscription {name}: gcloud does not say what waits in it; see Cloud Monitoring"


def stays(it: Deployment, *, purge: bool) -> Iterator[str]:
    """What is kept."""
    name = it.target.environment.database
    if not purge and name in it.world.databases:
        knows = accounts.remembers(it) and accounts.noted_database(it) == name
        how = (
            "is known to a later apply" if knows else f"a later apply needs --adopt database/{name}"
        )
        yield f"database {name} stays; {how}"
    if not purge:
        yield from (f"queue {name} stays, emptied and paused" for name in queues.ours(it))
        yield from (f"secret {change.name} stays" for change in secrets.leave(it))
    yield "services stay enabled"


def destroy(work: Work, *, purge: bool) -> None:
    """Remove it all. Raises DeploymentError for what could not be removed."""
    for planner in _planners(purge):
        found = planner(work.deployment())
        failures = applying.carry_out(work, found)
        work.world.forget()
        there = {change.key for change in planner(work.deployment())} if failures else set()
        for change, failed in failures:
            if change.key in there:
                raise DeploymentError(f"{change.what}: {failed.failure.text}") from failed


def _planners(purge: bool) -> Sequence[Planner]:
    return [*STAGES, *(DATA if purge else LEFT), *LAST]
