"""What a call is about: the body of a task or a tick says whose it is."""

from collections.abc import Mapping

from common.idempotency import Answer, Call
from common.idempotency.fields import parse_object
from common.scheduling import alarms, campaigns, resuming, ringing, sweep
from common.scheduling.campaigns import Campaign
from common.scheduling.kinds import ReminderKind
from common.scheduling.needs import Needs, nobody
from common.scheduling.resuming import Input, Resume

REFUSALS = 3
"""How often a task is refused because somebody whom it needs is unavailable. The pauses of a queue
until then are longer than a breaker's; after them the work is claimed and waits, with a patience
that ends and an alarm of its own: else what never happens to be a probe would be brought, and
refused, for as long as the outage lasts."""


def due(
    call: Call,
    kinds: Mapping[str, ReminderKind],
    campaigns_: Mapping[str, Campaign],
    resume: Mapping[str, Resume],
) -> Answer:
    """Do what is due: a reminder whose alarm rang, or a campaign's message to one user.

    The task of a campaign names its campaign, an alarm its reminder; that reminder may stand for
    work of another function that was handed over, and `resume` says how each of those goes on.
    Raises InProgressError while somebody outside whom it needs is known to be unavailable (REFUSALS
    times at most), and what `ringing.ring`, `resuming.ring` and `campaigns.send_to_user` raise.
    """
    if call.tries < REFUSALS:
        _needs(call, kinds, campaigns_)()
    if "campaign" in call.body:
        return campaigns.send_to_user(call, campaigns_)
    if resuming.is_one(call):
        mine = {ringing.FUNCTION: lambda it: campaigns.send_to_user(_again(it), campaigns_)}
        return resuming.ring(call, {**resume, **mine})
    return ringing.ring(call, kinds)


def _again(given: Input) -> Call:
    """The call that was handed over."""
    body = parse_object(given.data, "the body", len(given.data))
    origin = given.origin
    return Call(body=body, raw=given.data, task=origin.task, tick=origin.tick, is_ringing=True)


def tick(call: Call, campaigns_: Mapping[str, Campaign]) -> Answer:
    """Do what a tick of Cloud Scheduler asks for: a campaign's tasks, or the sweep of reminders.

    A task that goes on with a campaign comes here too, and the alarm of a tick that was handed
    over. Raises what `campaigns.start`, `resuming.ring` and `sweep.sweep` raise.
    """
    if resuming.is_one(call):
        mine = {alarms.FANOUT: lambda it: campaigns.start(_again(it), campaigns_)}
        return resuming.ring(call, mine)
    if call.body.get("campaign") == sweep.NAME:
        return sweep.sweep(call)
    return campaigns.start(call, campaigns_)


def _needs(
    call: Call, kinds: Mapping[str, ReminderKind], campaigns_: Mapping[str, Campaign]
) -> Needs:
    """Whom the work needs outside that the call is about."""
    campaign, kind = call.body.get("campaign"), str(call.body.get("reminder_id")).partition(":")[0]
    if isinstance(campaign, str) and campaign in campaigns_:
        return campaigns_[campaign].needs
    return kinds[kind].needs if kind in kinds else nobody
