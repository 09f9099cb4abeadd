"""Orders: recorded, summed up by the week."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore
from common.errors import RefusedError
from common.people import marks
from common.scheduling.campaigns import Window
from functions import consumer
from functions.shop import orders
from functions.shop.money import Money
from functions.shop.orders import Summary
from tests.functions.shop_in_memory import Work, event

NOW = datetime(2030, 1, 8, 12, tzinfo=UTC)
WORK: Any = Work(NOW)
WEEK = timedelta(days=7)
WINDOW = Window(since=NOW - WEEK, until=NOW)


def place(**payload: Any) -> Merge:
    return orders.place(event(**payload), WORK)


class TestPlace:
    def test_an_order_is_recorded_under_its_user_with_all_that_is_said_of_it(self) -> None:
        write = place(order_id="o-1", total=12.5, items=[{"sku": "a"}])
        assert write.path == "users/u-1/orders/o-1"
        assert write.fields == {
            "order_id": "o-1",
            "total": 12.5,
            "items": [{"sku": "a"}],
            "user_id": "u-1",
            "placed_at": NOW,
            "recorded_at": NOW,
        }

    def test_it_is_not_recorded_once_its_user_is_erased(self, documents: MemoryFirestore) -> None:
        writes = consumer._place(event(order_id="o-1", total=1), WORK)
        marks.mark("u-1", [])
        with pytest.raises(RefusedError):
            firestore.commit(writes)

    def test_any_order_id_is_an_id(self) -> None:
        assert place(order_id="a/../b", total=1).path == "users/u-1/orders/a%2F..%2Fb"

    @pytest.mark.parametrize("name", ["user_id", "placed_at", "recorded_at"])
    def test_a_payload_cannot_say_whose_it_is_or_when(self, name: str) -> None:
        fields = place(order_id="o-1", total=1, **{name: "forged"}).fields
        assert "forged" not in fields.values()

    def test_what_firestore_cannot_hold_is_kept_as_text(self) -> None:
        fields = place(**{"order_id": "o", "total": 1, "large": 2**70, "__x__": 1}).fields
        assert (fields["large"], fields["more"]) == (str(2**70), '{"__x__": 1}')


class TestWeek:
    @pytest.mark.parametrize(
        ("recorded_at", "counts"),
        [
            (NOW - WEEK - timedelta(microseconds=1), 0),
            (NOW - WEEK, 1),
            (NOW - timedelta(microseconds=1), 1),
            (NOW, 0),
        ],
    )
    def test_an_order_counts_in_one_week_by_when_it_was_learned(
        self, documents: MemoryFirestore, recorded_at: datetime, counts: int
    ) -> None:
        record("o-1", recorded_at=recorded_at, total=2)
        assert orders.within("u-1", WINDOW) == Summary(
            orders=counts, spending=(Money(Decimal(2)),) * counts
        )

    def test_the_spending_is_one_sum_for_each_currency(self, documents: MemoryFirestore) -> None:
        for number, (total, currency) in enumerate([(0.1, "EUR"), (9, "JPY"), (0.2, "EUR")]):
            record(f"o-{number}", recorded_at=NOW - WEEK, total=total, currency=currency)
        spending = (Money(Decimal("0.3"), "EUR"), Money(Decimal(9), "JPY"))
        assert orders.within("u-1", WINDOW) == Summary(orders=3, spending=spending)

    def test_the_orders_of_others_do_not_count(self, documents: MemoryFirestore) -> None:
        record("o-1", user="u-2", recorded_at=NOW - WEEK, total=1)
        assert orders.within("u-1", WINDOW) == Summary(orders=0, spending=())


def record(order: str, user: str = "u-1", **fields: Any) -> None:
    """There is an order."""
    firestore.commit([Merge(path=f"users/{user}/orders/{order}", fields=fields)])
