"""Storms in memory: what `test_storm` shows of one over sockets, of many and without crashes."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest

from common.cloud.memory.mishaps import TaskMishap
from common.errors import TransientError
from common.messaging import transports
from common.messaging.transports import Outgoing
from tests.common.web_server import Answer, Asked
from tests.functions import customers
from tests.functions.in_memory import Bundle
from tests.functions.stock import LOST, stocked

USERS = [f"storm-{number}" for number in range(4)]
LENGTH = 150
"""How many commits, and how many creations of tasks, something may befall."""


@dataclass
class Provider:
    """It honours keys; every third answer is lost, before or after the message is taken."""

    chance: random.Random
    name: str = "provider"
    taken: dict[str, tuple[str, str]] = field(default_factory=dict)

    def deliver(self, message: Outgoing) -> None:
        lost = self.chance.choice(["before", "after", "", "", "", ""])
        if lost != "before":
            self.taken[message.key] = (message.template, message.user_id)
        if lost:
            raise TransientError("no answer")


def events() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What happens to the users: each buys one of two carts."""
    for user in USERS:
        for event_type, payload in customers.happens(user):
            yield event_type, user, payload


def deliver(bundle: Bundle, chance: random.Random) -> None:
    """Every event at least once, in any order; what is not acknowledged comes again."""
    waiting = [(f"e-{number}", *event) for number, event in enumerate(events())]
    waiting += chance.sample(waiting, len(waiting) // 3)
    while waiting:
        event = waiting.pop(chance.randrange(len(waiting)))
        event_id, event_type, user, payload = event
        if bundle.publish(event_type, user, event_id=event_id, **payload) != 200:
            waiting.append(event)
        bundle.advance(seconds=chance.choice([0, 1, 20]))


def lost_at_times(chance: random.Random) -> Callable[[Asked], Answer]:
    """It is told; every third answer is lost, or says that it cannot be now."""
    answers = [LOST, Answer(status=503), *[Answer()] * 4]
    return lambda asked: chance.choice(answers)


def storm(bundle: Bundle, chance: random.Random) -> None:
    """What befalls the next commits and creations of tasks."""
    nasty: list[Any] = [*get_args(TaskMishap), *["none"] * 12]
    nasty.remove("permanent")
    for mishaps in (bundle.firestore.mishaps, bundle.tasks.mishaps):
        mishaps += chance.choices(nasty, k=LENGTH)


@pytest.mark.parametrize("seed", range(16))
def test_every_effect_happens_once(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    for name, value in {
        "MAX_ATTEMPTS": "100",
        "CART_REMINDER_DELAY": f"{9 * 3600}",
    }.items():
        monkeypatch.setenv(name, value)
    chance = random.Random(seed)
    provider = Provider(chance)
    with transports.using(provider), stocked(monkeypatch, lost_at_times(chance)) as stock:
        storm(bundle, chance)
        deliver(bundle, chance)
        for _ in range(18):
            bundle.advance(hours=1)
            bundle.tick("reminder_sweep")  # it sets the alarms that could not be set
    found = Counter((it["template"], it["user_id"]) for it in bundle.documents("messages"))
    assert found == Counter(provider.taken.values()) == customers.messages(USERS)
    told = dict(stock.told)
    assert len(told) == len({str(asked) for asked in stock.told}), "one content under one key"
    assert Counter(it["order_id"] for it in told.values()) == customers.orders(USERS)
    assert bundle.documents("dead_letters") == []
