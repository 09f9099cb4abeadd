"""Amounts of money as a customer reads them."""

import contextlib
from decimal import Decimal, InvalidOperation

from common.messaging.rendering import one_line

LINE_LIMIT = 200
"""Characters of what is no amount."""
LARGEST = Decimal(10) ** 15


def money(value: object, currency: object = "") -> str:
    """An amount with two decimals and thousands separated; what is no number stays as it is."""
    shown = one_line(value)[:LINE_LIMIT]
    with contextlib.suppress(InvalidOperation):  # no number, or NaN
        if -LARGEST < Decimal(shown) < LARGEST:
            shown = f"{Decimal(shown):,.2f}"
    return f"{shown} {one_line(currency)[:10]}".strip()
