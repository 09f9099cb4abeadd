"""Does what is due, if it still makes sense.

Trigger: Cloud Tasks, HTTP with an OIDC token; an alarm, or one user of a campaign.
Does: what the kind of the reminder, or the campaign, says; a reminder is checked again first.
Repeats: none has an effect; the key is reminder and generation, or campaign, period and user.
Gives up: what can never succeed at once, others after MAX_ATTEMPTS; both are in `dead_letters`.
"""

from flask import Request

from common.idempotency import Answer, Call
from common.scheduling import calls
from common.triggers import entry, http, pubsub
from common.triggers.http import Reply
from functions.consumer import EVENTS
from functions.shop.campaigns import CAMPAIGNS
from functions.shop.reminders import REMINDERS


@entry.http
def reminder(request: Request) -> Reply:
    """Handle one call."""
    return http.serve(request, "reminder", ring)


def ring(call: Call) -> Answer:
    """Do what is due."""
    return calls.due(call, REMINDERS, CAMPAIGNS, {"consumer": pubsub.resume("consumer", EVENTS)})
