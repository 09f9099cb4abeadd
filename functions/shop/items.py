"""The items of an order or a cart as a customer reads them."""

from collections.abc import Mapping, Sequence

from common.messaging.rendering import one_line
from functions.shop.money import money

ITEM_LIMIT = 50
LINE_LIMIT = 200
"""Characters."""
LANGUAGES = ("en", "de", "fr", "es", "it")
"""Of a name in several languages, the first that is there is shown, else any; the templates are
English."""


def lines(items: object, currency: object = None) -> list[str]:
    """One line for each item: a text, or an object with a name, title, sku or id.

    `currency` is that of a price which does not say its own. What cannot be shown is left out.
    """
    if not isinstance(items, list | tuple):
        return []
    return [line for item in items[:ITEM_LIMIT] if (line := _line(item, currency))]


def _line(item: object, currency: object) -> str:
    if not isinstance(item, Mapping):
        return _shown(item)
    quantity = item.get("quantity", 1)
    name = next((it for it in map(_name, _names(item)) if it), "")
    if not name or not _is_some(quantity):
        return ""
    number = _shown(quantity)
    count = f"{number} × " if number not in ("", "1") else ""
    cost = money(item.get("price"), item.get("currency") or currency)
    return f"{count}{name}{f', {cost}' if cost else ''}"[:LINE_LIMIT]


def _names(item: Mapping[object, object]) -> Sequence[object]:
    product = item.get("product")
    inner = product if isinstance(product, Mapping) else {}
    keys = ("name", "title", "sku", "id")
    return [it[key] for it in (item, inner) for key in keys if key in it] + [product]


def _name(value: object) -> str:
    """A name, of one in several languages the first that is there."""
    if isinstance(value, Mapping):
        preferred = [value[language] for language in LANGUAGES if language in value]
        return next((it for it in map(_shown, [*preferred, *value.values()]) if it), "")
    return _shown(value)


def _shown(value: object) -> str:
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    return one_line(value)[:LINE_LIMIT] if is_text else ""


def _is_some(quantity: object) -> bool:
    """Whether it is not none of them: an order with `"quantity": 0` has no such item."""
    is_number = isinstance(quantity, int | float) and not isinstance(quantity, bool)
    return not (is_number and quantity <= 0) and quantity != "0"  # type: ignore[operator]
