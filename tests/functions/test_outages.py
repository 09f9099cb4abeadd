"""An outage is not a failure: what waits is sent once, by itself, when the outage is over."""

from collections import Counter
from dataclasses import dataclass, field

from common.errors import UnavailableError
from common.messaging import transports
from common.messaging.transports import Outgoing
from tests.functions.in_memory import Bundle


@dataclass
class Provider:
    """It is down, or sends."""

    name: str = "provider"
    is_down: bool = False
    asked: int = 0
    sent: list[tuple[str, str]] = field(default_factory=list)

    def deliver(self, message: Outgoing) -> None:
        self.asked += 1
        if self.is_down:
            raise UnavailableError("down")
        self.sent.append((message.template, message.user_id))


def test_a_provider_that_is_down_for_two_days_delays_messages_and_loses_none(
    bundle: Bundle,
) -> None:
    provider = Provider()
    with transports.using(provider):
        bundle.publish("user.signed_up", "ada", email="a@example.com")
        provider.is_down = True
        bundle.publish("order.placed", "ada", order_id="o", total=1)
        bundle.publish("cart.abandoned", "ada", cart_id="c", total=1)
        bundle.advance(days=2)
        assert provider.asked < 400, "in proportion to the work, not to the outage"
        provider.is_down = False
        bundle.advance(hours=1)
    assert Counter(provider.sent) == Counter(
        (name, "ada")
        for name in (
            "welcome",
            "order_confirmation",
            "cart_abandonment_reminder",
            "onboarding_day_1",
        )
    )
    assert bundle.documents("dead_letters") == []


def test_orders_wait_for_sign_ups_also_while_no_alarm_can_be_set(bundle: Bundle) -> None:
    provider = Provider()
    with transports.using(provider):
        bundle.tasks.is_unreachable = True
        bundle.publish("order.placed", "ada", order_id="o", total=1)
        bundle.advance(hours=13)
        bundle.tasks.is_unreachable = False
        bundle.publish("user.signed_up", "ada", email="a@example.com")
        bundle.tick("reminder_sweep")
        bundle.advance(hours=1)
    assert sorted(provider.sent) == [("order_confirmation", "ada"), ("welcome", "ada")]
    assert bundle.documents("dead_letters") == []
