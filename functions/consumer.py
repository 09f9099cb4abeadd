"""Reacts to the shop's events, now or with a reminder for later.

Trigger: Pub/Sub topic `commerce-events`, as an Eventarc CloudEvent.
Does: what the handler of the event's type says; events of other types are acknowledged.
Repeats: none has an effect; `event_id` is the key. A retry goes on after the last finished step.
Gives up: malformed events at once, others after MAX_ATTEMPTS; both are in `dead_letters`.
"""

from collections.abc import Callable

from cloudevents.http import CloudEvent

from common.cloud.firestore import Write
from common.idempotency import Outcome, Work
from common.messaging.messages import Message
from common.messaging.steps import sending
from common.people import marks
from common.process.tables import table
from common.scheduling import reminders
from common.scheduling.reminders import ReminderKind
from common.triggers import entry, pubsub
from common.triggers.events import NUMBER, Event, Fields, event
from functions.shop import carts, inventory, messages, orders, users
from functions.shop.reminders import (
    CART_ABANDONMENT,
    ONBOARDING_DAY_1,
    ONBOARDING_DAY_3,
    ONBOARDING_DAY_7,
    schedule_cart,
    schedule_onboarding,
)
from functions.shop.users import Mark

ORDER: Fields = {"order_id": str, "total": NUMBER, "email?": str}


@entry.cloud_event
def consumer(cloud_event: CloudEvent) -> None:
    """Handle one delivery of one event."""
    pubsub.receive(cloud_event, "consumer", EVENTS)


@event("order.placed", fields={**ORDER, "cart_id?": str})
def order_placed(placed: Event, work: Work) -> Outcome:
    """Record the order first, sign-up or not; only its mail waits for an address."""
    work.write("order", lambda: _place(placed, work))
    if work.has_finished("inventory"):  # in the last release, whose own task tells it
        work.effect("inventory", str)
    confirm = _sending(messages.ORDER_CONFIRMATION, placed, work)
    return Outcome(result=work.effect("confirmation", confirm))


@event("cart.abandoned", fields={"cart_id": str, "total": NUMBER, "email?": str})
def cart_abandoned(abandoned: Event, work: Work) -> Outcome:
    """Remind of the cart later, unless it is bought by then."""
    cart = carts.read(abandoned.payload["cart_id"])
    if carts.was_abandoned_later(cart, abandoned, work):
        return Outcome(result="skipped")
    write = carts.abandon(cart, abandoned, work)
    alive = marks.unless_erased(abandoned.user_id)
    if carts.is_purchased(cart):
        return Outcome(result="skipped", writes=[write, *alive])
    return Outcome(result="scheduled", writes=[write, *alive, *schedule_cart(abandoned, work)])


@event("payment.failed", fields={**ORDER, "reason?": str})
def payment_failed(failed: Event, work: Work) -> Outcome:
    """Ask for another try."""
    return Outcome(result=work.effect("message", _sending(messages.PAYMENT_RETRY, failed, work)))


@event(
    "user.signed_up",
    fields={"email": str, "name?": str, "timezone?": str, "digest_opt_in?": bool},
)
def user_signed_up(signed_up: Event, work: Work) -> Outcome:
    """Record the user; the first time, welcome them, and look in after a day."""
    work.write("user", lambda: _sign_up(signed_up, work))
    if not users.is_first_sign_up(users.read(signed_up.user_id), signed_up):
        return Outcome(result="skipped")
    return Outcome(result=work.effect("welcome", _sending(messages.WELCOME, signed_up, work)))


@event("user.logged_in", fields={})
def user_logged_in(seen: Event, work: Work) -> Outcome:
    """The first time: look in after three days."""
    return _first(seen, work, "first_login_at", ONBOARDING_DAY_3, days=3)


@event("feature.used", fields={})
def feature_used(seen: Event, work: Work) -> Outcome:
    """The first time: look in after a week."""
    return _first(seen, work, "first_feature_at", ONBOARDING_DAY_7, days=7)


def _sign_up(signed_up: Event, work: Work) -> list[Write]:
    user = users.read(signed_up.user_id)
    record = users.sign_up(user, signed_up, work)
    lifted = users.lifted(signed_up)
    if not users.is_first_sign_up(user, signed_up):
        return [*lifted, record]
    return [*lifted, record, *schedule_onboarding(signed_up, work, ONBOARDING_DAY_1, days=1)]


def _place(placed: Event, work: Work) -> list[Write]:
    """The order, unless its user is erased; who is told of it, and what it means for a cart."""
    alive = marks.unless_erased(placed.user_id)
    told = inventory.schedule(placed, work)
    return [*alive, orders.place(placed, work), *told, *_purchase(placed, work)]


def _purchase(placed: Event, work: Work) -> list[Write]:
    """The cart of an order is purchased, and its pending reminder cancelled."""
    cart_id = placed.payload.get("cart_id")
    if not cart_id:
        return []
    cancelled = reminders.within(work).cancel(CART_ABANDONMENT, cart_id)
    return [carts.purchase(placed, work), *cancelled]


def _first(seen: Event, work: Work, mark: Mark, kind: ReminderKind, *, days: int) -> Outcome:
    first = users.set_first(seen, work, mark)
    if not first:
        return Outcome(result="skipped")
    return Outcome(
        result="scheduled", writes=[*first, *schedule_onboarding(seen, work, kind, days=days)]
    )


def _sending(message: Message, about: Event, work: Work) -> Callable[[str], Outcome]:
    to = about.payload.get("email")
    return sending(message, work, about.user_id, about.payload, to=to)


EVENTS = table(
    order_placed,
    cart_abandoned,
    payment_failed,
    user_signed_up,
    user_logged_in,
    feature_used,
)
