"""Planning and carrying out: stage by stage, each planned again from what the one before has made.

    read everything ──▶ a refusal? nothing is changed
        └──▶ for each stage: what is missing ──▶ carried out, in parallel ──▶ is it so now?

An error that passes is waited for (`deployment.gcloud.waiting`). After any other one the stage is
planned again before the command gives up: if the change is not needed any more, its answer was
lost.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from deployment.errors import DeploymentError, RefusedError
from deployment.gcloud.calls import Failed, Gcloud
from deployment.gcloud.waiting import Patience
from deployment.gcloud.world import World, labels_of
from deployment.kinds import (
    accounts,
    alerts,
    callers,
    database,
    expiry,
    functions,
    grants,
    metrics,
    organization,
    queues,
    quota,
    regions,
    repository,
    schedules,
    secrets,
    services,
    subscriptions,
    tooling,
    topics,
)
from deployment.plan.changes import REMOVE, Change, Plan
from deployment.plan.deployment import Deployment, Options
from deployment.table import ownership
from deployment.table.target import BUILDS, Target

Planner = Callable[[Deployment], list[Change]]

STAGES: Sequence[Sequence[Planner]] = (
    (tooling.plan, organization.plan, services.plan),
    (regions.plan, quota.plan),
    (accounts.plan,),
    (queues.plan,),
    (grants.plan, repository.plan, database.plan, topics.plan, secrets.plan),
    (expiry.plan,),
    (functions.plan,),
    (callers.plan, subscriptions.plan, schedules.plan, metrics.plan),
    (alerts.plan,),
)
"""What a stage makes is there before the next one is planned. Queues come first: a name that was
deleted lately is refused, and by nothing but making it."""
GOING: Sequence[Sequence[Planner]] = (
    (schedules.plan, alerts.plan, functions.plan),
    (subscriptions.plan, queues.plan),
    (topics.plan, queues.forgotten, metrics.plan),
    (accounts.plan,),
)
"""In this order what no row names is removed."""
ROUNDS = 4
"""A stage that still differs after so many is given up."""
STILL = 20
"""Seconds between two lines that say what is still going on."""
LONGEST_BUILD = 20 * 60
LOOK_AGAIN = 15
"""Seconds."""


@dataclass(kw_only=True)
class Work:
    """One command that plans or applies."""

    target: Target
    options: Options
    world: World
    gcloud: Gcloud
    patience: Patience
    say: Callable[[str], None]
    """A line of the result."""
    progress: Callable[[str], None]
    """A line for whoever waits."""
    changed: int = 0

    def deployment(self) -> Deployment:
        """What the kinds work with, for one planning."""
        return Deployment(target=self.target, world=self.world, options=self.options)


def plan(work: Work) -> Plan:
    """All that would be changed, in order. Raises Failed for what cannot be read."""
    it = work.deployment()
    stages = [*STAGES, (queues.forgotten,)]
    changes = _planned(it, [planner for stage in stages for planner in stage])
    kept = [change for change in changes if change.sign != REMOVE or change.kind == "grant"]
    gone = [change for change in changes if change not in kept]
    return Plan(changes=[*kept, *gone], notes=sorted(it.notes), refusals=sorted(it.refusals))


def refuse(found: Plan) -> None:
    """Raises RefusedError if there is anything that is not to be changed."""
    if found.refusals:
        raise RefusedError("\n".join(found.refusals))


def apply(work: Work) -> Plan:
    """Carry it out; returns the plan it began with."""
    first = plan(work)
    refuse(first)
    if not first.changes:
        return first
    work.patience.resumes(accounts.notes(work.deployment(), BUILDS).get(accounts.SINCE, ""))
    for stage in STAGES:
        _converge(work, stage, lambda change: change.sign != REMOVE or change.kind == "grant")
    if not any(change.sign == REMOVE for change in first.changes):
        return first
    for stage in GOING:
        _converge(work, stage, lambda change: change.sign == REMOVE or change.kind == "account")
    return first


def keep_secret(work: Work, setting: str, value: str) -> None:
    """Put a value into Secret Manager, whose service is enabled first if it is not."""
    it = work.deployment()
    for change in services.plan(it):
        _one(work, change)
    work.world.forget()
    name = it.target.name(setting)
    if name in it.world.secrets:
        mark = ownership.of_labels(labels_of(it.world.secrets[name]))
        it.may_change("secret", name, mark)
        refuse(Plan(refusals=it.refusals))
    put = secrets.put(it, setting, value)
    _one(work, Change(sign="~", kind="secret", name=name, commands=(put,)))


def carry_out(work: Work, changes: Sequence[Change]) -> list[tuple[Change, Failed]]:
    """Each group that must be in order one after the other, the groups at the same time."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.after or change.what, []).append(change)
    with _Progress(work.progress) as going:
        done = work.world.each(lambda group: list(_group(work, group, going)), groups.values())
    return [failed for some in done for failed in some]


def _converge(work: Work, stage: Sequence[Planner], counts: Callable[[Change], bool]) -> None:
    last: list[tuple[Change, Failed]] = []
    if stage == (functions.plan,):
        _let_finish(work)
    for _ in range(ROUNDS):
        it = work.deployment()
        changes = [change for change in _planned(it, stage) if counts(change) and change.commands]
        refuse(Plan(refusals=it.refusals))
        keys = {change.key for change in changes}
        for change, failed in last:
            if change.key in keys:
                raise DeploymentError(f"{change.what}: {failed.failure.explained}") from failed
        if not changes:
            return
        if stage == (functions.plan,):
            changes = functions.in_time(it, changes)
        last = carry_out(work, changes)
        work.world.forget(() if last else _groups(changes))
        if not last and stage != (functions.plan,):
            return
    it = work.deployment()
    for change in _planned(it, stage):
        if counts(change) and change.commands:
            raise DeploymentError("does not stay as it was made:\n" + "\n".join(change.lines()))


def _let_finish(work: Work) -> None:
    """What is being deployed is waited for: a second deployment would be refused or superfluous."""
    for _ in range(LONGEST_BUILD // LOOK_AGAIN):
        names = functions.going_on(work.deployment())
        if not names or work.patience.stopped:
            return
        work.patience.pause(LOOK_AGAIN, f"… {', '.join(names)}: being deployed already")
        work.world.forget({"functions"})


def _groups(changes: Sequence[Change]) -> set[str]:
    words = [command.words for change in changes for command in change.commands]
    return {it[it[0] in ("alpha", "beta")] for it in words}


def _planned(it: Deployment, planners: Sequence[Planner]) -> list[Change]:
    found = it.world.each(lambda planner: planner(it), planners)
    return [change for changes in found for change in changes]


def _group(work: Work, group: list[Change], going: "_Progress") -> Iterator[tuple[Change, Failed]]:
    for change in group:
        if work.patience.stopped:
            return
        try:
            with going.on(change.what):
                _one(work, change)
        except Failed as failed:
            yield change, failed
            return


def _one(work: Work, change: Change) -> None:
    for command in change.commands:
        tries, began = 0, time.monotonic()
        while True:
            try:
                work.gcloud.carry_out(command)
                break
            except Failed as failed:
                if not work.patience.again(failed.failure, tries, began, change.what):
                    if command.is_optional:
                        break
                    raise
                tries += 1
    work.patience.changed(change.grants)
    work.changed += 1
    work.say("\n".join(change.lines()))


class _Progress:
    """Says now and then what is still going on."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._going: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Progress":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def on(self, what: str) -> "_Going":
        """For as long as something is being changed."""
        return _Going(self._going, what)

    def _watch(self) -> None:
        while not self._ended.wait(STILL):
            now = time.monotonic()
            slow = {what: now - began for what, began in list(self._going.items())}
            shown = ", ".join(f"{what} ({age:.0f} s)" for what, age in slow.items() if age >= STILL)
            if shown:
                self._progress(f"… still: {shown}")


class _Going:
    def __init__(self, going: dict[str, float], what: str) -> None:
        self._all, self._what = going, what

    def __enter__(self) -> None:
        self._all[self._what] = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._all.pop(self._what, None)
