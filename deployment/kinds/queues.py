"""Queues. They have no labels: ours are those that `tasks-caller` may look at.

The names are noted before the first queue is made, see `deployment.kinds.accounts`. A deleted
queue's name is refused for days, so none is deleted on the way to anything: `destroy` empties and
pauses them, and the next `apply` sets them going again.
"""

from collections.abc import Iterator
from dataclasses import replace

from deployment.gcloud.calls import command
from deployment.gcloud.world import Json
from deployment.kinds import accounts, bindings
from deployment.kinds.bindings import Grant
from deployment.plan.changes import CHANGE, CREATE, REMOVE, Change, Difference, differences
from deployment.plan.deployment import Deployment
from deployment.table.bundle import Queue
from deployment.table.ownership import Mark
from deployment.table.target import CALLS_TASKS

ENQUEUER = "roles/cloudtasks.enqueuer"
VIEWER = "roles/cloudtasks.viewer"
RUNNING = "RUNNING"
SHOWN = 1000
"""Tasks that are counted."""


def plan(it: Deployment) -> list[Change]:
    """Queues that are missing or different, their grants, and what no row names."""
    changes = it.world.each(lambda row: list(_row(it, row)), it.target.bundle.queues.values())
    return [*(change for some in changes for change in some), *_removed(it)]


def leave(it: Deployment) -> list[Change]:
    """All of ours, with what waits in them, for good."""
    return [_remove(it, name) for name in ours(it)]


def stop(it: Deployment) -> list[Change]:
    """All of ours are emptied and paused, and stay; those that are so already do not change."""
    return [change for name in ours(it) for change in _stopped(it, name)]


def ours(it: Deployment) -> list[str]:
    """The queues that are there, noted and granted."""
    noted = [name for name in accounts.noted_queues(it) if name in it.world.queues]
    granted = it.world.each(lambda name: is_granted(it, name), noted)
    return [name for name, yes in zip(noted, granted, strict=True) if yes]


def is_granted(it: Deployment, name: str) -> bool:
    """Whether our account may look at it."""
    found = bindings.policy(it, bindings.queue(it, name))
    return bindings.ours(it, CALLS_TASKS, VIEWER).member in found.get(VIEWER, set())


def backlog(it: Deployment, name: str) -> str:
    """How many tasks wait in it, as a number or `1000 or more`."""
    flags = (f"--queue={name}", f"--location={it.target.region}", f"--limit={SHOWN}")
    count = len(it.world.listed("tasks", "list", *flags))
    return f"{SHOWN} or more" if count == SHOWN else str(count)


def pauses(it: Deployment, name: str, verb: str) -> Change:
    """The change that pauses or resumes a queue."""
    found = it.world.queues[name].get("state", RUNNING)
    wanted = {"pause": "PAUSED", "resume": RUNNING}[verb]
    return Change(
        sign=CHANGE,
        kind="queue",
        name=name,
        commands=(command("tasks", "queues", verb, name, f"--location={it.target.region}"),),
        differences=(Difference(name="state", found=found, wanted=wanted),),
        after=f"queue {name}",
    )


def _row(it: Deployment, row: Queue) -> Iterator[Change]:
    name = it.target.name(row.name)
    found = it.world.queues.get(name)
    if found is not None and not it.may_change("queue", name, _mark(it, name)):
        return
    yield from _settings(it, row, name, found)
    if found is not None and found.get("state", RUNNING) != RUNNING and not accounts.is_paused(it):
        yield pauses(it, name, "resume")
    place = bindings.queue(it, name)
    for change in bindings.plan(it, place, _grants(it, row), exists=found is not None):
        yield replace(change, after=f"queue {name}")


def _mark(it: Deployment, name: str) -> Mark | None:
    """Our mark, if the queue is noted or granted."""
    is_ours = name in accounts.noted_queues(it) or is_granted(it, name)
    return it.target.mark if is_ours else None


def _settings(it: Deployment, row: Queue, name: str, found: Json | None) -> Iterator[Change]:
    wanted = {
        "max-dispatches-per-second": row.a_second,
        "max-concurrent-dispatches": row.at_once,
        "max-attempts": row.attempts,
        "min-backoff": f"{row.first_pause}s",
        "max-backoff": f"{row.last_pause}s",
        "max-doublings": row.doublings,
    }
    flags = [f"--{key}={value}" for key, value in wanted.items()]
    location = f"--location={it.target.region}"
    if found is None:
        make = command("tasks", "queues", "create", name, location, *flags)
        yield Change(sign=CREATE, kind="queue", name=name, commands=(make,), after=f"queue {name}")
    elif changed := differences(_found(found), wanted):
        update = command("tasks", "queues", "update", name, location, *flags)
        yield Change(
            sign=CHANGE,
            kind="queue",
            name=name,
            commands=(update,),
            differences=changed,
            after=f"queue {name}",
        )


def _found(found: Json) -> Json:
    rate, retry = found.get("rateLimits", {}), found.get("retryConfig", {})
    return {
        "max-dispatches-per-second": rate.get("maxDispatchesPerSecond"),
        "max-concurrent-dispatches": rate.get("maxConcurrentDispatches"),
        "max-attempts": retry.get("maxAttempts"),
        "min-backoff": retry.get("minBackoff"),
        "max-backoff": retry.get("maxBackoff"),
        "max-doublings": retry.get("maxDoublings"),
    }


def _grants(it: Deployment, row: Queue) -> list[Grant]:
    pairs = [(ENQUEUER, row.enqueued_by), (VIEWER, row.looked_at_by)]
    used = [
        bindings.ours(it, it.target.runs_as(function), role)
        for role, functions in pairs
        for function in functions
    ]
    return [bindings.ours(it, CALLS_TASKS, VIEWER), *used]


def _removed(it: Deployment) -> Iterator[Change]:
    rows = set(map(it.target.name, it.target.bundle.queues))
    for name in ours(it):
        if name in rows:
            continue
        waiting = backlog(it, name)
        if waiting == "0" or f"queue/{name}" in it.options.remove:
            yield _remove(it, name)
            continue
        if it.world.queues[name].get("state", RUNNING) == RUNNING:
            yield pauses(it, name, "pause")
        it.note(
            f"queue {name} is in the table no more; {waiting} tasks wait in it, so it is kept, "
            f"paused; --remove queue/{name} removes it with them"
        )


def _remove(it: Deployment, name: str) -> Change:
    delete = command("tasks", "queues", "delete", name, f"--location={it.target.region}")
    return Change(sign=REMOVE, kind="queue", name=name, commands=(delete,))


def _stopped(it: Deployment, name: str) -> Iterator[Change]:
    waiting = backlog(it, name)
    if waiting != "0":
        purge = command("tasks", "queues", "purge", name, f"--location={it.target.region}")
        yield Change(
            sign=CHANGE,
            kind="queue",
            name=name,
            commands=(purge,),
            differences=(Difference(name="tasks", found=waiting, wanted="none"),),
            after=f"queue {name}",
        )
    if it.world.queues[name].get("state", RUNNING) == RUNNING:
        yield pauses(it, name, "pause")


def forgotten(it: Deployment) -> list[Change]:
    """The note of queues that are in the table no more, and are gone."""
    if CALLS_TASKS not in it.target.accounts:
        return []
    rows = set(map(it.target.name, it.target.bundle.queues))
    noted = accounts.noted_queues(it)
    kept = [name for name in noted if name in rows or name in it.world.queues]
    if kept == noted:
        return []
    change = accounts.describe(it, CALLS_TASKS, {accounts.QUEUES: ",".join(kept)})
    name = it.target.name(CALLS_TASKS)
    notes = differences({"queues": ",".join(noted)}, {"queues": ",".join(kept)})
    return [Change(sign=CHANGE, kind="account", name=name, commands=(change,), differences=notes)]
