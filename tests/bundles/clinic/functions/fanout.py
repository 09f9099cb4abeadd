"""Turns one tick into one task per patient.

Trigger: Cloud Scheduler, HTTP with an OIDC token; and tasks of its own that go on with a run.
Does: one task for each patient of the campaign's audience, page by page; `reminder` handles them.
Repeats: none has an effect; a run is the campaign and the tick's time, a text one per month.
Gives up: an unknown campaign at once, others after MAX_ATTEMPTS; both are in `dead_letters`.
"""

from flask import Request

from common.idempotency import Answer, Call
from common.process import settings
from common.scheduling import campaigns, sweep
from common.triggers import entry, http
from common.triggers.http import Reply
from functions.clinic.checkups import CAMPAIGNS


@entry.http
def fanout(request: Request) -> Reply:
    """Handle one tick, or one slice."""
    config = settings.current()
    emails = [config.scheduler_service_account, config.tasks_service_account]
    return http.serve(request, "fanout", start, audience=config.fanout_audience, emails=emails)


def start(call: Call) -> Answer:
    """Enqueue the tasks of a campaign; those of the sweep are the alarms of overdue reminders."""
    if call.body.get("campaign") == sweep.NAME:
        return sweep.sweep(call)
    return campaigns.start(call, CAMPAIGNS)
