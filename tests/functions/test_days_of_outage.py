"""Somebody outside is away for days: what waits is done once, by itself, when they are back.

With the queues, the lanes and the schedules of the bundle, over the wire, in virtual time.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.common import mail_server
from tests.common.mail_server import MailServer
from tests.common.web_server import Answer
from tests.functions.outage_cloud import Providers, World, deployed_bundle

pytestmark = pytest.mark.slow

RINGS_A_DAY = 48
"""Of each piece of work: its pauses grow to half an hour."""


@pytest.fixture(scope="module")
def providers() -> Providers:
    made = Providers()
    with made.up():
        pass  # a port of their own, at which nobody answers
    return made


@pytest.fixture(scope="module")
def world(providers: Providers) -> Iterator[World]:
    url = f"http://127.0.0.1:{providers.port}"
    with deployed_bundle(MESSAGING_URL=f"{url}/mail", INVENTORY_URL=f"{url}/inventory") as made:
        yield made


def person() -> str:
    return f"user-{uuid.uuid4().hex[:12]}"


def shopping(world: World, user: str) -> None:
    """An order, whose mail and inventory call are due now, and a cart, whose reminder is later."""
    world.publish(
        world.event("user.signed_up", user, email=f"{user}@example.com"),
        world.event("order.placed", user, order_id=f"o-{user}", total=1),
        world.event("cart.abandoned", user, cart_id=f"c-{user}", total=1),
    )


def everything(*users: str) -> Counter[tuple[str, str]]:
    """Each message once, and each order told once."""
    of_each = (
        "welcome",
        "order_confirmation",
        "inventory",
        "cart_abandonment_reminder",
        "onboarding_day_1",
    )
    return Counter((what, user) for user in users for what in of_each)


def test_providers_that_are_away_for_two_days(world: World, providers: Providers) -> None:
    users, other = [person(), person()], person()
    before = world.deliveries("reminder")
    for user in users:
        shopping(world, user)
    world.pass_time(days=1)  # nobody answers at their address
    with providers.up():
        for says in (Answer(status=503), Answer(status=503, headers={"Retry-After": "7200"})):
            providers.says = says
            world.pass_time(hours=12)
        assert world.is_done_at_once(other)
        assert not providers.taken(*users)
        pieces = sum(everything(*users).values())
        assert world.deliveries("reminder") - before < 2.5 * pieces * 2 * RINGS_A_DAY
        assert {world.deliveries("consumer", user_id=user) for user in users} == {3}
        providers.says = None
        world.pass_time(hours=3)
    assert providers.taken(*users) == everything(*users)
    assert world.left(*users) == []
    assert world.errors() == []


@pytest.mark.parametrize("status", [401, 403, 404, 307])
def test_providers_that_refuse_us_for_a_day(
    world: World, providers: Providers, status: int
) -> None:
    user = person()
    with providers.up():
        providers.says = Answer(status=status, headers={"Location": "/elsewhere"})
        shopping(world, user)
        world.pass_time(days=1)
        assert not providers.taken(user)
        providers.says = None
        world.pass_time(hours=26)
    assert providers.taken(user) == everything(user)
    assert world.left(user) == []


def test_providers_that_never_answer(world: World, providers: Providers) -> None:
    """For a minute: each call waits its twenty seconds in real time."""
    user = person()
    with providers.up():
        providers.hangs = threading.Event()
        world.publish(world.event("user.signed_up", user, email=f"{user}@example.com"))
        world.pass_time(minutes=1)
        assert not providers.taken(user)
        assert providers.kept_waiting > 1, "the first call was left, and made again"
        providers.hangs.set()
        providers.hangs = None
        world.pass_time(hours=26)
    assert providers.taken(user) == Counter([("welcome", user), ("onboarding_day_1", user)])
    assert world.left(user) == []
    assert world.errors() == []


def test_a_mail_server_that_refuses_us_for_a_day() -> None:
    """A wrong password, a quota of the day, a policy, and no answer."""
    refusals = (
        {"AUTH": b"535 5.7.8 Username and Password not accepted"},
        {"RCPT": b"550 5.4.5 Daily user sending limit exceeded"},
        {".": b"554 5.7.1 rejected for policy reasons"},
        {"EHLO": b""},
    )
    server, user = MailServer(extensions=("AUTH PLAIN",)), person()
    with ExitStack() as stack:
        stack.enter_context(mail_server.serving(server))
        url = f"smtp://shop:rose@127.0.0.1:{server.port}?starttls=no"
        world = stack.enter_context(
            deployed_bundle(SMTP_URL=url, MESSAGE_FROM="shop@example.com", INVENTORY_URL="")
        )
        server.answers = refusals[0]
        shopping(world, user)
        for server.answers in refusals:
            world.pass_time(hours=6)
        server.mails.clear()  # those that came before the policy's refusal
        server.answers = {}
        world.pass_time(hours=26)
        subjects = [mail["Subject"] for mail in server.mails]
        assert len(set(subjects)) == len(subjects) == 4
        assert world.left(user) == []
        assert world.errors() == []


def test_orders_and_a_tick_while_cloud_tasks_is_unreachable(
    world: World, providers: Providers
) -> None:
    users, late, other = [person(), person()], person(), person()
    with providers.up():
        world.publish(
            world.event("user.signed_up", other, email="o@example.com", digest_opt_in=True)
        )
        with world.without("CloudTasks"):
            for user in users:
                shopping(world, user)
            world.publish(world.event("order.placed", late, order_id=f"o-{late}", total=1))
            tick = world.cloud.now()
            world.cloud.tick("weekly-digest", at=tick)
            world.cloud.idle()
            assert world.is_done_at_once(other)
            world.pass_time(hours=13)
            assert world.deliveries("consumer", user_id=late) == 1
        world.publish(world.event("user.signed_up", late, email="late@example.com"))
        world.pass_time(hours=26)
    assert providers.taken(*users) == everything(*users)
    assert providers.taken(late)["order_confirmation", late] == 1
    assert providers.taken(late)["inventory", late] == 1
    assert world.left(*users, late) == []
    run = world.document(f"fanouts/weekly_digest:{tick.isoformat()}")
    assert run is not None
    assert (run["state"], run["failed"]) == ("complete", 0)
    assert world.errors() == []


@pytest.mark.parametrize("hours", [10, 48])
def test_events_reminders_and_a_tick_while_firestore_is_unreachable(
    world: World, providers: Providers, hours: int
) -> None:
    early, user = person(), person()
    with providers.up():
        shopping(world, early)  # its reminders fall due in the outage
        with world.without("Firestore"):
            shopping(world, user)
            tick = world.cloud.now()
            world.cloud.tick("weekly-digest", at=tick)
            world.pass_time(hours=hours)
        world.pass_time(hours=26)
    assert providers.taken(early, user) == everything(early, user)
    assert world.left(early, user) == []
    run = world.document(f"fanouts/weekly_digest:{tick.isoformat()}")
    assert run is not None
    assert run["state"] == "complete"
    assert world.errors() == []
