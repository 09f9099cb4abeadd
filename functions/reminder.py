"""Sends what is due, if it still makes sense.

Trigger: Cloud Tasks, HTTP with an OIDC token; a reminder's alarm, or one user of a campaign.
Does: looks at the world again; skips a cart that is gone or bought, else sends one message.
Repeats: none has an effect; the key is reminder and generation, or campaign, period and user.
Gives up: what can never succeed at once, others after MAX_ATTEMPTS; both are in `dead_letters`.
"""

from flask import Request

from common.idempotency import Answer, Outcome, Work
from common.messaging.steps import notify
from common.process import settings
from common.scheduling import campaigns, reminders
from common.scheduling.reminders import Reminder
from common.triggers import entry, http
from common.triggers.http import Call, Reply
from functions.shop import carts, orders, users


@entry.http
def reminder(request: Request) -> Reply:
    """Handle one call."""
    here = settings.current()
    emails = [here.tasks_service_account]
    return http.serve(request, "reminder", ring, audience=here.reminder_audience, emails=emails)


def ring(call: Call) -> Answer:
    """A campaign's task names its campaign, an alarm its reminder."""
    if "campaign" in call.body:
        return campaigns.ring(call, CAMPAIGNS)
    return reminders.ring(call, KINDS)


def cart_abandonment(due: Reminder, work: Work) -> Outcome:
    """Unless the cart was bought meanwhile, or is gone."""
    cart = carts.read(due.payload["cart_id"])
    if not work.has_finished("message") and cart.data.get("state") != "abandoned":
        return Outcome(result="skipped")
    return _send(due, work, "cart_abandonment_reminder")


def onboarding(due: Reminder, work: Work) -> Outcome:
    """The template has the kind's name."""
    return _send(due, work, due.kind)


def weekly_digest(user_id: str, work: Work) -> Outcome:
    """The user's week as it is now, not as it was when the task was made."""
    if not users.wants_digest(user_id):
        return Outcome(result="skipped")
    week = orders.week(user_id, until=work.now)
    context = {"orders": week.orders, "spending": week.spending}
    sent = work.last_step(
        "message", lambda key: notify(work, key, "weekly_digest", user_id, {}, context)
    )
    return Outcome(result=sent)


def _send(due: Reminder, work: Work, template: str) -> Outcome:
    sent = work.last_step(
        "message", lambda key: notify(work, key, template, due.user_id, due.payload)
    )
    return Outcome(result=sent)


KINDS = {
    "cart_abandonment": cart_abandonment,
    "onboarding_day_1": onboarding,
    "onboarding_day_3": onboarding,
    "onboarding_day_7": onboarding,
}
CAMPAIGNS = {"weekly_digest": weekly_digest}
