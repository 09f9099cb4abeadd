"""What an event costs in Firestore: the documents it writes, and the commits that write them."""

from typing import Any

import pytest

from tests.functions.shop_in_memory import ShopInMemory

COSTS: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "an order without a cart": ("order.placed", {"order_id": "o-1", "total": 12.5}, 5, 2),
    "a failed payment": ("payment.failed", {"order_id": "o-1", "total": 12.5}, 3, 2),
    "a login that is not the first": ("user.logged_in", {}, 1, 1),
}
"""Type and payload of the event; the most documents that it writes, and in how many commits.

`docs/limits-and-costs.md` says the same.
"""


@pytest.mark.parametrize("case", COSTS)
def test_an_event_costs_no_more_than_this(shop_in_memory: ShopInMemory, case: str) -> None:
    shop = shop_in_memory
    shop.set(INVENTORY_URL="https://inventory.example.com")
    shop.user(first_login_at="long ago")
    event_type, payload, documents, commits = COSTS[case]
    before = shop.documents.commits, len(shop.documents.written)
    shop.deliver(event_type, **payload)
    written = shop.documents.written[before[1] :]
    assert len(written) <= documents, written
    assert shop.documents.commits - before[0] <= commits
