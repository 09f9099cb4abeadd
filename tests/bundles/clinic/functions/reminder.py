"""Sends a text that is due, if it still makes sense.

Trigger: Cloud Tasks, HTTP with an OIDC token; a reminder's alarm, or one patient of a campaign.
Does: what the kind of the reminder, or the campaign, says; a reminder is checked again first.
Repeats: none has an effect; the key is reminder and generation, or campaign, period and patient.
Gives up: what can never succeed at once, others after MAX_ATTEMPTS; both are in `dead_letters`.
"""

from flask import Request

from common.idempotency import Answer, Call
from common.process import settings
from common.process.tables import table
from common.scheduling import campaigns, reminders
from common.triggers import entry, http
from common.triggers.http import Reply
from functions.clinic.appointments import APPOINTMENT_TOMORROW
from functions.clinic.checkups import CAMPAIGNS


@entry.http
def reminder(request: Request) -> Reply:
    """Handle one call."""
    config = settings.current()
    emails = [config.tasks_service_account]
    return http.serve(request, "reminder", ring, audience=config.reminder_audience, emails=emails)


def ring(call: Call) -> Answer:
    """The task of a campaign names its campaign, an alarm its reminder."""
    if "campaign" in call.body:
        return campaigns.send_to_user(call, CAMPAIGNS)
    return reminders.ring(call, REMINDERS)


REMINDERS = table(APPOINTMENT_TOMORROW)
