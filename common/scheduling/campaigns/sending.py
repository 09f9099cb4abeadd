"""Sending: the message of one user and period, for which a run has made a task."""

from collections.abc import Mapping

from msgspec.structs import replace

from common import idempotency
from common.errors import NothingToDoError
from common.idempotency import Answer, Call, Job, Outcome
from common.process import logs
from common.scheduling.campaigns.campaign import Campaign, Edition, named
from common.scheduling.campaigns.runs import Run
from common.scheduling.resuming import Input, Resumption

FUNCTION = "reminder"


def send_to_user(call: Call, campaigns: Mapping[str, Campaign]) -> Answer:
    """Send the message of one user and period, for which a campaign has made the task of this call.

    The task of a cancelled run leaves no record, so another run reaches the user. Raises
    MalformedError for a body that is no such task, NothingToDoError for that of a cancelled run,
    and what `idempotency.run` raises.
    """
    campaign = named(call, campaigns)
    period, user_id = call.text("period"), call.text("user_id")
    logs.bind(period=period, user_id=user_id)
    run = Run(campaign=campaign, name=call.text("run"))
    edition = replace(run.edition, period=period)
    found = run.read()
    if found.data.get("state") == "cancelled":
        raise NothingToDoError("skipped", f"run {run.id} is cancelled")
    key = key_of(edition, user_id, force=bool(found.data.get("force")))
    job = Job(
        scope=FUNCTION,
        key=key,
        identity={"campaign": campaign.name, "period": period, "user_id": user_id},
        payload=call.raw,
        replay_of=call.replay_of,
        origin=call.origin,
        part_of=run.id,
        on_unknown_outcome=campaign.on_unknown_outcome,
        is_first=call.is_first,
        is_ringing=call.is_ringing,
        deferral=Resumption(
            key=key, input=Input(function=FUNCTION, data=call.raw, origin=call.origin)
        ),
    )
    return idempotency.run(job, lambda work: _sent(campaign.send(user_id, edition, work)))


def key_of(edition: Edition, user_id: str, *, force: bool) -> str:
    """The key of the message: one in a period, or, of a run that forces it, one in a run."""
    key = f"{edition.campaign}:{edition.period}:{user_id}"
    return f"{key}:{edition.run}" if force else key


def _sent(outcome: Outcome) -> Outcome:
    return replace(outcome, result="sent") if outcome.result is None else outcome
