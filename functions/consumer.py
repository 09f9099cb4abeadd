"""Reacts to the shop's events, now or with a reminder for later.

Trigger: Pub/Sub topic `commerce-events`, as an Eventarc CloudEvent.
Does: what the table at the end says for each type of event; other types are acknowledged.
Repeats: none has an effect; `event_id` is the key. A retry goes on behind the last finished step.
Gives up: malformed events at once, others after MAX_ATTEMPTS; both are in `dead_letters`.
"""

from cloudevents.http import CloudEvent

from common.idempotency import Outcome, Work
from common.messaging.steps import notify
from common.triggers import entry, pubsub
from common.triggers.events import NUMBER, Event, Fields
from common.triggers.pubsub import On
from functions.shop import carts, orders, users


@entry.cloud_event
def consumer(cloud_event: CloudEvent) -> None:
    """Handle one delivery of one event."""
    pubsub.receive(cloud_event, "consumer", EVENTS)


def order_placed(event: Event, work: Work) -> Outcome:
    """Record the order first; mail and inventory may fail and be retried behind it."""
    users.require(event.user_id)
    work.write("order", lambda: [orders.place(event, work), *carts.purchase(event, work)])
    work.step("confirmation", lambda key: _send(event, work, key, "order_confirmation"))
    work.last_step("inventory", lambda key: orders.notify_inventory(event, key))
    return Outcome(result="sent")


def cart_abandoned(event: Event, work: Work) -> Outcome:
    """Remind of it later, unless it is bought by then."""
    return carts.abandon(event, work)


def payment_failed(event: Event, work: Work) -> Outcome:
    """Ask for another try."""
    work.last_step("message", lambda key: _send(event, work, key, "payment_retry"))
    return Outcome(result="sent")


def user_signed_up(event: Event, work: Work) -> Outcome:
    """Record the user, welcome them, and look in after a day."""
    work.write("user", lambda: [users.signed_up(event, work), users.onboarding(event, work, 1)])
    work.last_step("welcome", lambda key: _send(event, work, key, "welcome"))
    return Outcome(result="sent")


def user_logged_in(event: Event, work: Work) -> Outcome:
    """The first time: look in after three days."""
    return users.first(event, work, "first_login_at", day=3)


def feature_used(event: Event, work: Work) -> Outcome:
    """The first time: look in after a week."""
    return users.first(event, work, "first_feature_at", day=7)


def _send(event: Event, work: Work, key: str, template: str) -> Outcome:
    return notify(work, key, template, event.user_id, event.payload)


ORDER: Fields = {"order_id": str, "total": NUMBER, "email?": str}
CART: Fields = {"cart_id": str, "total": NUMBER, "email?": str}
SIGN_UP: Fields = {"email": str, "name?": str, "timezone?": str, "digest_opt_in?": bool}
EVENTS = {
    "order.placed": On(order_placed, {**ORDER, "cart_id?": str}),
    "cart.abandoned": On(cart_abandoned, CART),
    "payment.failed": On(payment_failed, {**ORDER, "reason?": str}),
    "user.signed_up": On(user_signed_up, SIGN_UP),
    "user.logged_in": On(user_logged_in, {}, lambda event: users.later(event, "first_login_at")),
    "feature.used": On(feature_used, {}, lambda event: users.later(event, "first_feature_at")),
}
