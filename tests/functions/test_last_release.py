"""What the last release has written is read: documents and tasks outlive a deployment.

The documents and bodies here are as version 0.1.0 and the first 0.2.0 wrote them, without `format`.
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Create
from common.cloud.tasks import Task
from common.idempotency.fingerprint import fingerprint
from common.idempotency.record import WRITTEN, record_id
from tests.functions.in_memory import Bundle
from tests.functions.shop_in_memory import ShopInMemory

Shop = ShopInMemory
PAYLOAD: dict[str, Any] = {"order_id": "o-1", "total": 1}


def store(path: str, **fields: Any) -> None:
    firestore.commit([Create(path=path, fields=fields)])


def record(
    shop: Shop,
    state: str,
    *,
    event_type: str = "payment.failed",
    steps: Mapping[str, Any] = MappingProxyType({}),
    **more: Any,
) -> None:
    """The record of the event e-1, a failed payment."""
    identity = {"event_type": event_type, "user_id": "u-1", "payload": PAYLOAD}
    fields = {
        "scope": "consumer",
        "key": "e-1",
        "fingerprint": fingerprint(identity),
        "state": state,
        "owner": "somebody",
        "write_id": "1",
        "attempts": 1,
        "lease_seconds": 90.0,
        "retention_seconds": 5184000.0,
        "steps": dict(steps),
        "result": None,
        "error": None,
        "waiting_since": None,
        "replay_of": None,
        "first_seen": shop.documents.now,
    }
    store(f"idempotency/{record_id('consumer', 'e-1')}", **fields, **more)


def deliver(shop: Shop) -> None:
    shop.deliver("payment.failed", event_id="e-1", is_first=False, **PAYLOAD)


@pytest.fixture
def shop(shop_in_memory: Shop) -> Shop:
    """The shop, with one user in it, as the last release kept one."""
    shop_in_memory.user(signed_up_at=shop_in_memory.documents.now, digest_opt_in=True)
    return shop_in_memory


class TestRecords:
    def test_what_was_done_stays_done(self, shop: Shop) -> None:
        record(shop, "done")
        deliver(shop)
        assert (shop.provider.messages, shop.letters()) == ([], [])

    @pytest.mark.parametrize("state", ["waiting", "claimed"])
    def test_what_was_not_is_done(self, shop: Shop, state: str) -> None:
        record(shop, state)
        shop.documents.advance(1000)
        deliver(shop)
        assert shop.messages() == ["payment_retry"]

    def test_an_order_whose_mail_waited_is_confirmed(self, shop: Shop) -> None:
        """Its inventory was told by a task of its own."""
        results = {"order": WRITTEN, "inventory": '"created"'}
        steps = {name: {"name": name, "result": result} for name, result in results.items()}
        record(shop, "waiting", event_type="order.placed", steps=steps)
        shop.documents.advance(1000)
        shop.deliver("order.placed", event_id="e-1", is_first=False, **PAYLOAD)
        assert (shop.messages(), shop.letters()) == (["order_confirmation"], [])
        assert shop.queues.tasks == {}

    def test_what_was_given_up_is_replayed_by_its_letter(self, shop: Shop) -> None:
        record(shop, "dead")
        letter_id = record_id("consumer", "e-1")
        payload = (
            '{"event_id": "e-1", "event_type": "payment.failed", "user_id": "u-1",'
            ' "payload": {"order_id": "o-1", "total": 1}}'
        )
        store(
            f"dead_letters/{letter_id}",
            source="consumer",
            reason="permanent",
            error="no",
            attempts=1,
            state="open",
            key="e-1",
            payload=payload,
            payload_truncated=False,
        )
        deliver(shop)
        assert shop.messages() == []
        shop.replay(letter_id)
        assert shop.messages() == ["payment_retry"]
        assert shop.document(f"dead_letters/{letter_id}")["state"] == "replayed"


def test_who_has_signed_up_is_not_welcomed_again(shop: Shop) -> None:
    shop.deliver("user.signed_up", email="new@example.com")
    assert (shop.messages(), shop.document("users/u-1")["digest_opt_in"]) == ([], True)


class TestReminders:
    def schedule(self, shop: Shop, *, days: float) -> Task:
        """A reminder that waits, and its alarm."""
        now = shop.documents.now
        due = now + timedelta(days=days)
        shop.deliver("cart.abandoned", cart_id="c-2", total=1)
        (alarm,) = shop.queues.take()
        store("carts/c-1", cart_id="c-1", user_id="u-1", state="abandoned", total=1)
        store(
            "reminders/cart_abandonment:c-1",
            reminder_id="cart_abandonment:c-1",
            kind="cart_abandonment",
            user_id="u-1",
            payload={"cart_id": "c-1", "total": 1},
            due_at=due,
            generation=1,
            state="pending",
            overdue_at=due + timedelta(minutes=15),
            updated_at=now,
            expire_at=due + timedelta(days=90),
        )
        return Task(
            queue="reminders",
            url=alarm.url,
            body={"reminder_id": "cart_abandonment:c-1", "generation": 1},
            identity=("1",),
            at=due,
            audience=alarm.audience,
        )

    def test_one_that_waits_is_sent(self, shop: Shop) -> None:
        alarm = self.schedule(shop, days=1)
        assert shop.ring(alarm).result == "sent"
        assert shop.messages() == ["cart_abandonment_reminder"]

    def test_one_that_waits_is_cancelled(self, shop: Shop) -> None:
        self.schedule(shop, days=1)
        shop.deliver("order.placed", order_id="o-1", total=1, cart_id="c-1")
        assert shop.document("reminders/cart_abandonment:c-1")["state"] == "cancelled"


def test_a_task_of_a_campaign_is_done(bundle: Bundle) -> None:
    store("users/u-1", user_id="u-1", email="u-1@example.com", digest_opt_in=True)
    body = {
        "campaign": "weekly_digest",
        "period": "2029-W52",
        "user_id": "u-1",
        "run": "2029-12-31T08:00:00Z",
    }
    assert bundle.call("reminder", body) == 200
    assert bundle.messages("u-1") == ["weekly_digest"]


@pytest.mark.parametrize(
    ("function", "body"),
    [
        ("reminder", {"reminder_id": "cart_abandonment:c", "generation": 0}),
        ("reminder", {"reminder_id": "cart_abandonment:c", "generation": 2**53}),
        ("reminder", {"reminder_id": "/../:x", "generation": 1}),
        ("reminder", {"campaign": "weekly_digest", "period": "0001-W01", "user_id": "u"}),
        ("reminder", {"campaign": "weekly_digest", "period": "x", "user_id": "u", "run": "r"}),
        ("fanout", {"campaign": "weekly_digest", "after": "a/b", "run": "r", "period": "x"}),
        ("fanout", {"campaign": "weekly_digest", "run": "r", "period": "2029-W52", "after": "u"}),
        ("fanout", {"campaign": "weekly_digest"}),
        ("fanout", {"campaign": "reminder_sweep"}),
        ("fanout", {"campaign": "nothing"}),
        ("fanout", {}),
    ],
)
@pytest.mark.parametrize(
    "tick", [None, "", "x", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
             "9999-12-31T23:59:59Z", "2029-12-31T08:00:00"],
)  # fmt: skip
def test_no_call_of_whatever_age_fails_for_ever(
    bundle: Bundle, function: str, body: dict[str, Any], tick: str | None
) -> None:
    assert bundle.call(function, body, tick=tick) in (200, 409)
