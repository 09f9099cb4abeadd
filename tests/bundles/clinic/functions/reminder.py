"""Sends a text that is due, if it still makes sense.

Trigger: Cloud Tasks, HTTP with an OIDC token; a reminder's alarm, or one patient of a campaign.
Does: what the kind of the reminder, or the campaign, says; a reminder is checked again first.
Repeats: none has an effect; the key is reminder and generation, or campaign, period and patient.
Gives up: what can never succeed at once, others after MAX_ATTEMPTS; both are in `dead_letters`.
"""

from flask import Request

from common.idempotency import Answer, Call
from common.process.tables import table
from common.scheduling import calls
from common.triggers import entry, http, pubsub
from common.triggers.http import Reply
from functions.clinic.appointments import APPOINTMENT_TOMORROW
from functions.clinic.checkups import CAMPAIGNS
from functions.consumer import EVENTS


@entry.http
def reminder(request: Request) -> Reply:
    """Handle one call."""
    return http.serve(request, "reminder", ring)


def ring(call: Call) -> Answer:
    """Do what is due."""
    return calls.due(call, REMINDERS, CAMPAIGNS, {"consumer": pubsub.resume("consumer", EVENTS)})


REMINDERS = table(APPOINTMENT_TOMORROW)
