"""What happens to a customer of the shop, and what must come of it, whatever goes wrong."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

Messages = Counter[tuple[str, str]]
"""How many, by template and user."""
TEMPLATES = ("welcome", "order_confirmation", "payment_retry", "cart_abandonment_reminder")


def happens(user: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a customer who buys one of two carts: type and payload."""
    order, cart = f"o-{user}", f"c-{user}"
    yield "order.placed", {"order_id": order, "total": 12.5, "cart_id": f"{cart}-bought"}
    yield "user.signed_up", {"email": f"{user}@example.com"}
    yield "cart.abandoned", {"cart_id": f"{cart}-bought", "total": 1}
    yield "cart.abandoned", {"cart_id": cart, "total": 1}
    yield "payment.failed", {"order_id": order, "total": 1}


def messages(users: Iterable[str], *, also: Iterable[str] = ()) -> Messages:
    """What the customers are sent; `also`: templates of what comes later."""
    templates = [*TEMPLATES, *also]
    return Counter((template, user) for user in users for template in templates)


def orders(users: Iterable[str]) -> Counter[str]:
    """The orders of the customers."""
    return Counter(f"o-{user}" for user in users)
