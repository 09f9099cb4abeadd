"""The shop's story: what happens, scene by scene, and what must have come of it."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from local.demo.provider import Provider
from local.demo.stage import Stage

MONDAY = 0
PEOPLE = {"ada": True, "ben": True, "cleo": True, "dan": False}
"""Who signs up, and whether for the weekly digest."""


@dataclass
class Story:
    """The scenes, played on a stage, and the effects that must come of them."""

    stage: Stage
    provider: Provider
    messages: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Expected: (template, user) → how many."""
    orders: set[str] = field(default_factory=set)
    signed_up: dict[str, datetime] = field(default_factory=dict)
    dead_letters: int = 0
    events: int = 0
    kills: int = 0

    def scenes(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield each scene: its title and the function that plays it."""
        yield "Four people sign up.", self.sign_ups
        yield "Ada orders. The shop is not sure it worked and publishes it again.", self.order_twice
        yield "Eve's order overtakes her sign-up.", self.overtaken
        yield "Ben leaves a full cart, and buys it half an hour later.", self.bought_in_time
        yield "Cleo leaves a full cart for good.", self.abandoned
        yield "Dan's payment fails.", self.payment_failed
        yield "Cleo orders; the function is killed while her mail is on its way.", self.killed
        yield "A broken event arrives.", self.malformed
        yield "Two hours pass.", self.two_hours
        yield "The days pass until Monday, eight o'clock. The Scheduler fires twice.", self.monday

    def sign_ups(self) -> None:
        for name, digest in PEOPLE.items():
            self._sign_up(name, digest)

    def order_twice(self) -> None:
        event = self._order("ada", "o-1001", 42.0)
        self._publish(event, event)

    def overtaken(self) -> None:
        self._publish(self._order("eve", "o-1002", 18.5))
        self.stage.post("idle")
        self._sign_up("eve", digest=True)
        self.stage.pass_time(60, until=lambda: self._is_confirmed("eve", 1))

    def bought_in_time(self) -> None:
        self._publish(_event("cart.abandoned", "ben", cart_id="c-1", total=30.0))
        self.stage.post("idle")
        self.stage.pass_time(1800, until=lambda: True)
        self._publish(self._order("ben", "o-1003", 30.0, cart_id="c-1"))

    def abandoned(self) -> None:
        self._publish(_event("cart.abandoned", "cleo", cart_id="c-2", total=64.9))
        self.messages["cart_abandonment_reminder", "cleo"] += 1

    def payment_failed(self) -> None:
        self._publish(_event("payment.failed", "dan", order_id="o-1004", total=9.99))
        self.messages["payment_retry", "dan"] += 1

    def killed(self) -> None:
        self.provider.before_answer = self._kill_once
        self._publish(self._order("cleo", "o-1005", 12.0))
        self.stage.post("idle")
        self.stage.pass_time(300, until=lambda: self._is_confirmed("cleo", 2))

    def malformed(self) -> None:
        self._publish({"event_id": "broken-1", "event_type": "order.placed", "user_id": 7})
        self.dead_letters += 1

    def two_hours(self) -> None:
        reminder = ("cart_abandonment_reminder", "cleo")
        self.stage.pass_time(7200, until=lambda: reminder in self.provider.kept())

    def monday(self) -> None:
        now = self.stage.now()
        tick = next_monday(now)
        day = timedelta(days=1)
        if self.stage.is_real_time:
            self.stage.post("tick", job="weekly-digest", at=tick.isoformat())
            self.stage.post("idle")
        else:
            self.stage.post("advance", seconds=(tick - now).total_seconds() + 1)
            for name, signed_up in self.signed_up.items():
                self.messages["onboarding_day_1", name] += signed_up + day <= tick
        self.stage.post("tick", job="weekly-digest", at=tick.isoformat())
        if self.stage.is_real_time:
            return  # it is sent when it is Monday
        for name in ("ada", "ben", "cleo", "eve"):
            self.messages["weekly_digest", name] += 1

    def _is_confirmed(self, user: str, times: int) -> bool:
        """Whether the provider was asked so often to send the mail of the user's order."""
        mails = [
            (key, it) for key, it in list(self.provider.mails.items()) if it["user_id"] == user
        ]
        keys = [key for key, it in mails if it["template"] == "order_confirmation"]
        return sum(self.provider.requests[key] for key in keys) >= times

    def _kill_once(self, body: dict[str, Any]) -> None:
        if body.get("template") == "order_confirmation":
            self.provider.before_answer = lambda body: None
            self.kills += 1
            self.stage.post("crash", function="consumer", now=True)

    def _sign_up(self, name: str, digest: bool) -> None:
        email = f"{name}@example.com"
        payload = {"email": email, "name": name.title(), "digest_opt_in": digest}
        self._publish(_event("user.signed_up", name, **payload))
        self.messages["welcome", name] += 1
        self.signed_up[name] = self.stage.now()

    def _order(self, user: str, order_id: str, total: float, **more: str) -> dict[str, Any]:
        self.orders.add(order_id)
        self.messages["order_confirmation", user] += 1
        return _event("order.placed", user, order_id=order_id, total=total, **more)

    def _publish(self, *events: dict[str, Any]) -> None:
        self.events += len(events)
        self.stage.post("publish", events=events)


def next_monday(now: datetime) -> datetime:
    """The next Monday, 08:00 UTC."""
    at = now.replace(hour=8, minute=0, second=0, microsecond=0)
    at += timedelta(days=(MONDAY - at.weekday()) % 7)
    return at if at > now else at + timedelta(days=7)


def _event(event_type: str, user: str, **payload: Any) -> dict[str, Any]:
    subject = payload.get("order_id") or payload.get("cart_id") or user
    return {
        "event_id": f"{event_type}:{subject}",
        "event_type": event_type,
        "user_id": user,
        "payload": payload,
    }
