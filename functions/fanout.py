"""Turns one tick into one task per user.

Trigger: Cloud Scheduler, HTTP with an OIDC token; and tasks of its own that go on where it stopped.
Does: one task for each user of the campaign's audience, page by page; `reminder` handles them.
Repeats: none has an effect; a run is the campaign and the tick's time, a message one per period.
Gives up: an unknown campaign at once, others after MAX_ATTEMPTS; both are in `dead_letters`.
"""

from flask import Request

from common.idempotency import Answer
from common.process import settings
from common.scheduling import campaigns, reminders
from common.scheduling.campaigns import Campaign
from common.triggers import entry, http
from common.triggers.http import Call, Reply


@entry.http
def fanout(request: Request) -> Reply:
    """Handle one tick, or one slice."""
    here = settings.current()
    emails = [here.scheduler_service_account, here.tasks_service_account]
    return http.serve(request, "fanout", start, audience=here.fanout_audience, emails=emails)


def start(call: Call) -> Answer:
    """Enqueue the campaign's tasks; the sweep's are the alarms of overdue reminders."""
    if call.body.get("campaign") == "reminder_sweep":
        return reminders.sweep(call)
    return campaigns.start(call, CAMPAIGNS)


CAMPAIGNS = {
    "weekly_digest": Campaign(
        queue="digests",
        period=campaigns.week,
        audience=(("digest_opt_in", "==", True),),
    ),
}
