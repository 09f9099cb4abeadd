"""The reminders of the shop: each kind declared once, and when it is due."""

from datetime import timedelta

from common.cloud.firestore import Write
from common.idempotency import Outcome, Work
from common.messaging.messages import Message, ensure_open
from common.messaging.steps import sending
from common.process.tables import table
from common.scheduling import reminders
from common.scheduling.reminders import Reminder, ReminderKind
from common.triggers.events import Event
from functions.shop import carts, messages, settings
from functions.shop.inventory import INVENTORY


def _is_abandoned(due: Reminder) -> bool:
    return carts.is_abandoned(due.payload["cart_id"])


def _remind_of_cart(due: Reminder, work: Work) -> Outcome:
    return _send(messages.CART_ABANDONMENT_REMINDER, due, work)


def _onboard(due: Reminder, work: Work) -> Outcome:
    return _send(ONBOARDING_MESSAGES[due.kind], due, work)


def _send(message: Message, due: Reminder, work: Work) -> Outcome:
    send = sending(message, work, due.user_id, due.payload, to=due.payload.get("email"))
    return Outcome(result=work.effect("message", send))


CART_ABANDONMENT = ReminderKind(
    name="cart_abandonment", check=_is_abandoned, act=_remind_of_cart, needs=ensure_open
)
ONBOARDING_DAY_1 = ReminderKind(name="onboarding_day_1", act=_onboard, needs=ensure_open)
ONBOARDING_DAY_3 = ReminderKind(name="onboarding_day_3", act=_onboard, needs=ensure_open)
ONBOARDING_DAY_7 = ReminderKind(name="onboarding_day_7", act=_onboard, needs=ensure_open)
ONBOARDING_MESSAGES = {
    ONBOARDING_DAY_1.name: messages.ONBOARDING_DAY_1,
    ONBOARDING_DAY_3.name: messages.ONBOARDING_DAY_3,
    ONBOARDING_DAY_7.name: messages.ONBOARDING_DAY_7,
}


def schedule_cart(event: Event, work: Work) -> list[Write]:
    """Remind of an abandoned cart after CART_REMINDER_DELAY."""
    return reminders.within(work).schedule(
        CART_ABANDONMENT,
        event.payload["cart_id"],
        user_id=event.user_id,
        payload=event.payload,
        at=work.now + settings.current().cart_reminder_delay,  # anew, for each abandonment
    )


def schedule_onboarding(event: Event, work: Work, kind: ReminderKind, *, days: int) -> list[Write]:
    """Look in on a user after so many days."""
    return reminders.within(work).schedule(
        kind,
        event.user_id,
        user_id=event.user_id,
        after=timedelta(days=days),
    )


REMINDERS = table(
    CART_ABANDONMENT,
    INVENTORY,
    ONBOARDING_DAY_1,
    ONBOARDING_DAY_3,
    ONBOARDING_DAY_7,
)
"""What `reminder` handles; whoever schedules another kind is told so at once."""
