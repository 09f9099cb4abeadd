"""Carts: abandoned until purchased, in whatever order that is learned."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from common.cloud import firestore
from common.cloud.firestore import Create, Merge, Update
from common.cloud.memory import MemoryFirestore
from common.triggers.events import Event
from functions.shop import carts
from tests.functions.shop_in_memory import Work, event

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
EARLIER, LATER = NOW.replace(hour=11), NOW.replace(hour=13)
WORK: Any = Work(NOW)


def store(**fields: Any) -> None:
    """There is a cart."""
    firestore.commit([Merge(path="carts/c-1", fields=fields)])


def abandoned(occurred_at: datetime | None = None) -> Event:
    made = event("cart.abandoned", cart_id="c-1", total=3)
    return replace(made, occurred_at=occurred_at)


def ordered(occurred_at: datetime | None = None) -> Event:
    return replace(event(cart_id="c-1", order_id="o-1", total=3), occurred_at=occurred_at)


def abandon(occurred_at: datetime | None = None) -> dict[str, Any]:
    """The cart after an abandonment."""
    firestore.commit([carts.abandon(carts.read("c-1"), abandoned(occurred_at), WORK)])
    return dict(carts.read("c-1").data)


def test_a_cart_is_a_document_of_its_own_whatever_its_id(documents: MemoryFirestore) -> None:
    assert carts.read("a/b").path == "carts/a%2Fb"


@pytest.mark.parametrize(
    ("fields", "is_abandoned", "is_purchased"),
    [
        ({}, False, False),
        ({"state": "abandoned"}, True, False),
        ({"state": "purchased", "abandoned_at": NOW}, False, True),
    ],
)
def test_a_cart_is_abandoned_or_purchased_or_unknown(
    documents: MemoryFirestore, fields: dict[str, Any], is_abandoned: bool, is_purchased: bool
) -> None:
    store(**fields)
    assert carts.is_abandoned("c-1") is is_abandoned
    assert carts.is_purchased(carts.read("c-1")) is is_purchased


def test_an_abandonment_says_whose_cart_it_was_and_what_was_in_it(
    documents: MemoryFirestore,
) -> None:
    assert abandon() == {
        "cart_id": "c-1",
        "user_id": "u-1",
        "total": 3,
        "state": "abandoned",
        "abandoned_at": NOW,
    }


def test_an_abandonment_happened_when_it_says(documents: MemoryFirestore) -> None:
    assert abandon(EARLIER)["abandoned_at"] == EARLIER


def test_a_purchased_cart_stays_purchased(documents: MemoryFirestore) -> None:
    store(state="purchased", purchased_at=EARLIER, user_id="u-2")
    assert abandon() == {
        "cart_id": "c-1",
        "user_id": "u-2",
        "state": "purchased",
        "purchased_at": EARLIER,
        "abandoned_at": NOW,
    }


@pytest.mark.parametrize(
    ("known", "is_later"), [(None, False), (EARLIER, False), (NOW, False), (LATER, True)]
)
def test_a_later_abandonment_is_the_one_with_the_later_time(
    documents: MemoryFirestore, known: datetime | None, is_later: bool
) -> None:
    store(abandoned_at=known)
    assert carts.was_abandoned_later(carts.read("c-1"), abandoned(NOW), WORK) is is_later


def test_an_abandonment_without_a_time_happened_when_it_was_learned(
    documents: MemoryFirestore,
) -> None:
    store(abandoned_at=LATER)
    assert carts.was_abandoned_later(carts.read("c-1"), abandoned(), WORK)


def test_a_purchase_says_when_and_keeps_when_it_was_abandoned(documents: MemoryFirestore) -> None:
    store(state="abandoned", abandoned_at=EARLIER)
    firestore.commit([carts.purchase(ordered(LATER), WORK)])
    assert carts.read("c-1").data == {
        "cart_id": "c-1",
        "user_id": "u-1",
        "state": "purchased",
        "abandoned_at": EARLIER,
        "purchased_at": LATER,
    }


def test_a_purchase_without_a_time_happened_when_it_was_learned(documents: MemoryFirestore) -> None:
    firestore.commit([carts.purchase(ordered(), WORK)])
    assert carts.read("c-1").data["purchased_at"] == NOW


def test_what_is_written_holds_only_for_the_cart_as_it_was_read(documents: MemoryFirestore) -> None:
    """Otherwise an abandonment that read the cart before its purchase would undo that."""
    assert isinstance(carts.purchase(ordered(), WORK), Create)
    store(state="abandoned")
    writes = [carts.purchase(ordered(), WORK), carts.abandon(carts.read("c-1"), abandoned(), WORK)]
    assert all(isinstance(write, Update) for write in writes)
