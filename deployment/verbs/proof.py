"""The proof at the end of `apply`: a task, a tick and an event that do nothing reach each function.

task    GET /health of each function that a queue calls, gone from the queue when it was answered
tick    the sweep, which finds nothing to ring in a deployment that works
event   of a type that nobody handles, through each subscription; the function's log has its id
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from deployment.gcloud.calls import Failed
from deployment.kinds import accounts, addresses
from deployment.plan.deployment import Deployment
from deployment.table.bundle import Schedule, Subscription
from deployment.table.target import CALLS_TASKS
from deployment.verbs.applying import Work

PATIENCE = 300
"""Seconds until something counts as not seen: grants that are new may take some minutes."""
PAUSE = 5
"""Seconds between two looks."""
EVENT_TYPE = "deployment.proof"

ARRIVED = ""
Look = Callable[[], str | None]
"""Whether it has arrived: empty; or why it was refused so far; None: nothing is seen yet."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Something that was sent through the deployment."""

    what: str
    look: Look


@dataclass(kw_only=True)
class Proof:
    """What became of all of it."""

    seen: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    is_paused: bool = False
    """Nothing was sent."""


def prove(
    work: Work,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Proof:
    """Send everything, and look until it has arrived. Raises Failed for what cannot be sent."""
    it, found = work.deployment(), Proof()
    if accounts.is_paused(it):
        return Proof(is_paused=True)
    waiting = list(_probes(work, it))
    answers: dict[str, str | None] = {}
    ends = clock() + PATIENCE
    while waiting and clock() < ends and not work.patience.stopped:
        sleep(PAUSE)
        looks = it.world.each(lambda probe: probe.look(), waiting)
        answers.update(zip((probe.what for probe in waiting), looks, strict=True))
        waiting = [probe for probe in waiting if answers[probe.what] != ARRIVED]
    found.seen += [what for what, answer in answers.items() if answer == ARRIVED]
    found.refused += [f"{what}: {answer}" for what, answer in answers.items() if answer]
    found.unseen += [probe.what for probe in waiting if answers.get(probe.what) is None]
    return found


def _probes(work: Work, it: Deployment) -> Iterator[Probe]:
    bundle = it.target.bundle
    called = {queue.calls: queue.name for queue in bundle.queues.values()}
    for function, queue in called.items():
        yield _task(work, it, function, it.target.name(queue))
    for row in bundle.schedules.values():
        if row.campaign in it.target.declared.sweeps:
            yield _tick(work, it, row)
    for subscription in bundle.subscriptions.values():
        yield _event(work, it, subscription)


def _task(work: Work, it: Deployment, function: str, queue: str) -> Probe:
    name, address = f"proof-{secrets.token_hex(8)}", addresses.of(it, function)
    where = (f"--queue={queue}", f"--location={it.target.region}")
    work.gcloud.run(
        *("tasks", "create-http-task", name, *where, f"--url={address}/health", "--method=GET"),
        f"--oidc-service-account-email={it.target.email(CALLS_TASKS)}",
        f"--oidc-token-audience={address}",
    )

    def look() -> str | None:
        try:
            found = work.gcloud.run("tasks", "describe", name, *where) or {}
        except Failed as failed:
            if failed.failure.is_not_there:
                return ARRIVED
            raise
        status = found.get("lastAttempt", {}).get("responseStatus", {})
        return str(status.get("message") or status["code"]) if status.get("code") else None

    return Probe(what=f"a task on {queue} reaches {function}", look=look)


def _tick(work: Work, it: Deployment, row: Schedule) -> Probe:
    name, where = it.target.name(row.name), f"--location={it.target.region}"
    seen = [it.world.jobs.get(name, {}).get("lastAttemptTime", "")]
    work.gcloud.run("scheduler", "jobs", "run", name, where)

    def look() -> str | None:
        found = work.gcloud.run("scheduler", "jobs", "describe", name, where) or {}
        if found.get("lastAttemptTime", "") <= seen[-1]:
            return None
        status = found.get("status", {})
        if not status.get("code"):
            return ARRIVED
        seen.append(found["lastAttemptTime"])
        work.gcloud.run("scheduler", "jobs", "run", name, where)  # nobody else tries it again soon
        return str(status.get("message") or status["code"])

    return Probe(what=f"a tick of {name} reaches {row.calls}", look=look)


def _event(work: Work, it: Deployment, row: Subscription) -> Probe:
    event_id = f"proof-{secrets.token_hex(8)}"
    event = {"event_id": event_id, "event_type": EVENT_TYPE, "user_id": "nobody", "payload": {}}
    topic = it.target.name(row.topic)
    work.gcloud.run("pubsub", "topics", "publish", topic, f"--message={json.dumps(event)}")
    query = f'resource.type="cloud_run_revision" AND jsonPayload.event_id="{event_id}"'

    def look() -> str | None:
        found = work.gcloud.run("logging", "read", query, "--freshness=10m", "--limit=1")
        return ARRIVED if found else None

    return Probe(what=f"an event on {topic} reaches {row.calls}", look=look)
