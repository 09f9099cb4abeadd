"""What an event costs in Firestore: documents written, the commits that write them, and reads."""

from typing import Any

import pytest

from tests.functions.shop_in_memory import ShopInMemory

ORDER = {"order_id": "o-1", "total": 12.5, "email": "else@example.com"}
COSTS: dict[str, tuple[str, dict[str, Any], int, int, int]] = {
    "an order without a cart": ("order.placed", ORDER, 5, 2, 3),
    "a failed payment": ("payment.failed", ORDER, 3, 2, 1),
    "a login that is not the first": ("user.logged_in", {}, 1, 1, 1),
}
"""Type and payload of the event; the most documents that it writes, in how many commits, and in how
many calls it reads.

`docs/limits-and-costs.md` says the same.
"""


@pytest.mark.parametrize("case", COSTS)
def test_an_event_costs_no_more_than_this(shop_in_memory: ShopInMemory, case: str) -> None:
    shop = shop_in_memory
    shop.set(INVENTORY_URL="https://inventory.example.com")
    shop.user(first_login_at="long ago")
    event_type, payload, documents, commits, reads = COSTS[case]
    before = shop.documents.commits, len(shop.documents.written)
    shop.documents.reads = 0
    shop.deliver(event_type, **payload)
    written = shop.documents.written[before[1] :]
    assert len(written) <= documents, written
    assert shop.documents.commits - before[0] <= commits
    assert shop.documents.reads <= reads
