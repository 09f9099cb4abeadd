"""Erased and unknown people: nothing is sent to them and nothing about them is written."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from werkzeug.exceptions import HTTPException

from common.cloud import firestore
from common.cloud.firestore import Delete, Write
from common.errors import BundleError
from common.people.erasing import erase
from functions.shop.personal_data import SHOP
from tests.functions.shop_in_memory import ShopInMemory

Shop = ShopInMemory
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("order.placed", {"order_id": "o-1", "total": 1, "cart_id": "c-1", "email": "u-1@example.com"}),
    ("cart.abandoned", {"cart_id": "c-1", "total": 1, "email": "u-1@example.com"}),
    ("payment.failed", {"order_id": "o-1", "total": 1, "email": "u-1@example.com"}),
    ("payment.failed", {"order_id": "o-1", "total": 1, "email": "other@example.com"}),
    ("user.signed_up", {"email": "u-1@example.com"}),
    ("user.logged_in", {}),
    ("feature.used", {}),
]


@pytest.fixture
def shop(shop_in_memory: Shop) -> Shop:
    """The shop, with one user in it."""
    shop_in_memory.user(name="Ada")
    return shop_in_memory


def erased(user_id: str = "u-1") -> None:
    erase(user_id, SHOP, wait=lambda seconds: None)


@contextmanager
def racing(shop: Shop, number: int) -> Iterator[None]:
    """The user is erased just before the commit of this number; after the last, if it is less."""
    commit, commits = shop.documents.commit, itertools.count(1)

    def commit_after_all(writes: Sequence[Write]) -> datetime:
        if next(commits) == number:
            shop.documents.commit = commit  # type: ignore[method-assign]
            erased()
        return commit(writes)

    shop.documents.commit = commit_after_all  # type: ignore[method-assign]
    yield
    shop.documents.commit = commit  # type: ignore[method-assign]
    if next(commits) <= number:
        erased()


def about(shop: Shop, user_id: str = "u-1") -> set[str]:
    """The collections in which something names the user, but for the records of work."""
    found = shop.documents.documents().items()
    paths = [path for path, it in found if user_id in path or it.get("user_id") == user_id]
    return {path.partition("/")[0] for path in paths} - {"idempotency"}


@pytest.mark.parametrize(("event_type", "payload"), EVENTS)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_later_event_is_skipped_and_leaves_ids_alone(
    shop: Shop, event_type: str, payload: dict[str, Any], is_first: bool
) -> None:
    erased()
    shop.deliver(event_type, event_id="e-1", is_first=is_first, **payload)
    assert (about(shop), shop.provider.messages, shop.letters()) == (set(), [], [])
    (record,) = shop.documents.documents("idempotency").values()
    assert (record["state"], record["result"]) == ("done", '"skipped"')
    assert "example.com" not in repr(shop.documents.documents())


def test_everything_the_shop_keeps_is_gone(shop: Shop) -> None:
    shop.deliver("user.logged_in")
    shop.deliver("cart.abandoned", cart_id="c-1", total=1, email="u-1@example.com")
    shop.deliver("order.placed", order_id="o-1", total=1, email="u-1@example.com")
    shop.deliver("payment.failed", order_id="o-1", total=1, email="no address")
    erased()
    assert about(shop) == {"messages", "dead_letters"}
    assert not any(it in repr(shop.documents.documents()) for it in ("Ada", "example", "no addr"))


def test_a_reminder_that_waits_is_harmless(shop: Shop) -> None:
    shop.deliver("cart.abandoned", cart_id="c-1", total=1, email="u-1@example.com")
    (alarm,) = shop.queues.take()
    erased()
    shop.documents.advance(8000)
    with pytest.raises(Exception, match=r"there is no such reminder|skipped"):
        shop.ring(alarm)
    assert shop.provider.messages == []


def test_an_address_that_is_erased_is_not_written_to_for_somebody_else(shop: Shop) -> None:
    erased()
    shop.deliver("order.placed", "u-2", order_id="o-1", total=1, email="U-1@example.com")
    assert shop.provider.messages == []
    shop.deliver("order.placed", "u-2", order_id="o-2", total=1, email="u-2@example.com")
    assert shop.provider.sent() == [("order_confirmation", "u-2@example.com")]


def test_an_own_address_is_written_to_whoever_else_had_it(shop: Shop) -> None:
    """Two people share an address; one of them is erased, and the other is not."""
    shop.user("u-2", email="u-1@example.com")
    erased()
    shop.deliver("payment.failed", "u-2", order_id="o-1", total=1, email="u-1@example.com")
    assert shop.messages() == ["payment_retry"]


class TestSigningUpAgain:
    def sign_up(self, shop: Shop, occurred_at: str | None = None, **more: Any) -> None:
        shop.deliver("user.signed_up", email="u-1@example.com", occurred_at=occurred_at, **more)

    def after(self, shop: Shop, **later: float) -> str:
        return (shop.documents.now + timedelta(**later)).isoformat()

    def test_a_sign_up_after_the_erasure_is_a_new_beginning(self, shop: Shop) -> None:
        erased()
        shop.documents.advance(3600)
        self.sign_up(shop, self.after(shop))
        assert shop.messages() == ["welcome"]
        shop.deliver("order.placed", order_id="o-1", total=1)
        shop.deliver("user.logged_in")
        assert shop.messages() == ["order_confirmation", "welcome"]
        assert "first_login_at" in shop.document("users/u-1")

    @pytest.mark.parametrize("occurred_at", ["2029-12-31T00:00:00Z", None, "yesterday"])
    def test_an_older_one_that_comes_again_lifts_nothing(
        self, shop: Shop, occurred_at: str | None
    ) -> None:
        erased()
        shop.documents.advance(3600)
        self.sign_up(shop, occurred_at)
        assert (shop.provider.messages, about(shop)) == ([], set())

    def test_without_a_time_of_its_own_it_is_of_when_it_was_published(self, shop: Shop) -> None:
        erased()
        shop.documents.advance(3600)
        self.sign_up(shop, published_at=self.after(shop))
        assert shop.messages() == ["welcome"]

    @pytest.mark.parametrize(("occurred", "published"), [(7200, -7200), (-7200, 7200)])
    def test_it_cannot_have_happened_after_it_was_published(
        self, shop: Shop, occurred: float, published: float
    ) -> None:
        erased()
        times = [self.after(shop, seconds=it) for it in (occurred, published)]
        self.sign_up(shop, times[0], published_at=times[1])
        assert shop.messages() == []


class TestUnknown:
    def test_a_cart_reminder_of_a_user_who_is_gone_is_skipped(self, shop: Shop) -> None:
        shop.deliver("cart.abandoned", cart_id="c-1", total=1, email="u-1@example.com")
        firestore.commit([Delete(path="users/u-1")])
        (alarm,) = shop.queues.take()
        assert (shop.ring(alarm).result, shop.provider.messages) == ("skipped", [])

    @pytest.mark.parametrize("event_type", ["user.logged_in", "feature.used"])
    def test_an_onboarding_of_a_user_who_is_gone_is_skipped(
        self, shop: Shop, event_type: str
    ) -> None:
        shop.deliver(event_type)
        firestore.commit([Delete(path="users/u-1")])
        (alarm,) = shop.queues.take()
        assert (shop.ring(alarm).result, shop.letters()) == ("skipped", [])

    def test_an_onboarding_of_a_user_without_an_address_is_skipped(self, shop: Shop) -> None:
        shop.deliver("user.logged_in", "u-2")
        (alarm,) = shop.queues.take()
        assert (shop.ring(alarm).result, shop.letters()) == ("skipped", [])


def test_an_erasure_while_a_message_is_sent_leaves_nothing_of_it(shop: Shop) -> None:
    deliver = shop.provider.deliver

    def erasing(message: Any) -> None:
        deliver(message)
        erased()

    shop.provider.deliver = erasing  # type: ignore[method-assign]
    with pytest.raises(Exception, match="409"):
        shop.deliver("order.placed", order_id="o-1", total=1, event_id="e-1")
    assert (shop.messages(), about(shop)) == ([], set())
    assert "example.com" not in repr(shop.documents.documents())


@pytest.mark.parametrize(("event_type", "payload"), EVENTS)
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_erasure_before_any_commit_of_a_handler_leaves_nothing(
    shop: Shop, event_type: str, payload: dict[str, Any], is_first: bool, number: int
) -> None:
    """What the handler has read by then was not erased."""
    with racing(shop, number):
        for is_now_first in (is_first, False, False):
            with suppress(HTTPException):
                shop.deliver(event_type, event_id="e-1", is_first=is_now_first, **payload)
            shop.documents.advance(1000)
    assert about(shop) <= {"messages"}
    assert "example.com" not in repr(shop.documents.documents())


@pytest.mark.parametrize(("event_type", "payload"), EVENTS[:2])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_erasure_before_any_commit_of_a_reminder_leaves_nothing(
    shop: Shop, event_type: str, payload: dict[str, Any], number: int
) -> None:
    """Of a cart, and of an order that the inventory is told of."""
    shop.set(INVENTORY_URL="http://127.0.0.1:1")
    shop.deliver(event_type, **payload)
    (alarm,) = shop.queues.take()
    with racing(shop, number):
        for _ in range(2):
            with suppress(BundleError):
                shop.ring(alarm)
            shop.documents.advance(1000)
    assert about(shop) <= {"messages"}
    assert "example.com" not in repr(shop.documents.documents())
