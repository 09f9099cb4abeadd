"""The items of an order or a cart as a customer reads them."""

from collections.abc import Mapping

from common.messaging.rendering import one_line
from functions.shop.money import money

ITEM_LIMIT = 50
LINE_LIMIT = 200
"""Characters."""


def lines(items: object) -> list[str]:
    """One line for each item: a text, or an object with a name, title, sku or id."""
    if not isinstance(items, list | tuple):
        return []
    return [line for item in items[:ITEM_LIMIT] if (line := _line(item))]


def _line(item: object) -> str:
    if not isinstance(item, Mapping):
        return one_line(item)[:LINE_LIMIT] if isinstance(item, str | int | float) else ""
    named = [item[key] for key in ("name", "title", "sku", "id") if item.get(key)]
    if not named:
        return ""
    quantity, price = item.get("quantity"), item.get("price")
    count = f"{quantity} × " if quantity not in (None, 1, "1") else ""
    cost = f", {money(price)}" if price is not None else ""
    return one_line(f"{count}{named[0]}{cost}")[:LINE_LIMIT]
