"""`pause` and `resume`: queues, schedules and subscriptions stand still, and keep what they have.

Who stopped them and when is noted, so that `apply` does not set them going again. A schedule's
ticks are not kept: the bundle's campaigns fire for the day they belong to, if at all.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from deployment.errors import DeploymentError
from deployment.gcloud.calls import Command
from deployment.gcloud.waiting import TIME
from deployment.kinds import accounts, queues, schedules, subscriptions
from deployment.plan.changes import CHANGE, Change, Difference
from deployment.plan.deployment import Deployment
from deployment.table.target import BUILDS, CALLS_EVENTS
from deployment.verbs import applying
from deployment.verbs.applying import Work


def pause(work: Work) -> str:
    """Stop everything; returns when messages would be lost, in a sentence."""
    it = work.deployment()
    _check_there(it)
    now = datetime.now(UTC)
    who = it.world.text("config", "get", "core/account") or "somebody"
    _carry_out(work, list(_notes(it, f"{now:{TIME}} by {who}")))
    _carry_out(work, list(_pauses(work.deployment())))
    kept = min((row.keeps for row in it.target.bundle.subscriptions.values()), default=0)
    return (
        f"paused; Pub/Sub keeps events until {now + timedelta(seconds=kept):%Y-%m-%d %H:%M} UTC, "
        f"Cloud Tasks its tasks for 31 days from when they were made"
    )


def resume(work: Work) -> None:
    """Set everything going again, and forget who stopped it."""
    it = work.deployment()
    _check_there(it)
    _carry_out(work, list(_resumes(it)))
    it = work.deployment()
    if accounts.is_paused(it):
        forget = accounts.describe(it, BUILDS, {accounts.PAUSED: ""})
        difference = Difference(name="paused", found=accounts.is_paused(it), wanted="not set")
        name = it.target.name(BUILDS)
        _carry_out(work, [_account(name, forget, difference)])


def _carry_out(work: Work, changes: Sequence[Change]) -> None:
    for change, failed in applying.carry_out(work, changes):
        raise DeploymentError(f"{change.what}: {failed.failure.text}") from failed
    work.world.forget()


def _check_there(it: Deployment) -> None:
    if not accounts.notes(it, BUILDS):
        raise DeploymentError(f"environment {it.target.environment.name} is not deployed")


def _notes(it: Deployment, paused: str) -> Iterator[Change]:
    """Who stopped it, and where Eventarc's subscription pushed to."""
    if not accounts.is_paused(it):
        command = accounts.describe(it, BUILDS, {accounts.PAUSED: paused})
        difference = Difference(name="paused", found="not set", wanted=paused)
        yield _account(it.target.name(BUILDS), command, difference)
    for row in it.target.bundle.subscriptions.values():
        endpoint = subscriptions.endpoint_of(it, subscriptions.name_of(it, row))
        noted = accounts.notes(it, CALLS_EVENTS).get(accounts.ENDPOINT, "")
        if row.is_eventarcs and endpoint and endpoint != noted:
            command = accounts.describe(it, CALLS_EVENTS, {accounts.ENDPOINT: endpoint})
            difference = Difference(name="endpoint", found=noted or "not set", wanted=endpoint)
            yield _account(it.target.name(CALLS_EVENTS), command, difference)


def _account(name: str, command: Command, difference: Difference) -> Change:
    return Change(
        sign=CHANGE, kind="account", name=name, commands=(command,), differences=(difference,)
    )


def _pauses(it: Deployment) -> Iterator[Change]:
    for name in schedules.ours(it):
        if it.world.jobs[name].get("state", schedules.ENABLED) == schedules.ENABLED:
            yield schedules.pauses(it, name, "pause")
    for name in queues.ours(it):
        if it.world.queues[name].get("state", queues.RUNNING) == queues.RUNNING:
            yield queues.pauses(it, name, "pause")
    for row in it.target.bundle.subscriptions.values():
        name = subscriptions.name_of(it, row)
        if subscriptions.endpoint_of(it, name):
            yield subscriptions.pushes(it, row, name, "")


def _resumes(it: Deployment) -> Iterator[Change]:
    for row in it.target.bundle.subscriptions.values():
        name = subscriptions.name_of(it, row)
        if name in it.world.subscriptions and not subscriptions.endpoint_of(it, name):
            yield subscriptions.pushes(it, row, name, subscriptions.usual_endpoint(it, row))
    for name in queues.ours(it):
        if it.world.queues[name].get("state", queues.RUNNING) != queues.RUNNING:
            yield queues.pauses(it, name, "resume")
    for name in schedules.ours(it):
        if it.world.jobs[name].get("state", schedules.ENABLED) != schedules.ENABLED:
            yield schedules.pauses(it, name, "resume")
