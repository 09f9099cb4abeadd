"""Amounts of money: read without a float, summed by currency, shown as a customer reads them.

An amount is a number, or a text that is one, or an object with its currency:

    {"amount": "49.99", "currency": "EUR"}     {"value": 49.99, "currency": "EUR"}
    {"centAmount": 4999, "currencyCode": "EUR"}  {"units": "49", "nanos": 990000000, …}
"""

import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal

from msgspec import Struct

LARGEST = Decimal(10) ** 16
"""Amounts are smaller than this: no double has more digits before its point."""
DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
"""The decimals of currencies that have others than two: ISO 4217, list of 2026-01-01."""
_DIGITS = {code: digits for digits, codes in DIGITS.items() for code in codes.split()}
_AMOUNT = re.compile(r"-?\d{1,16}(\.\d{1,20})?", re.ASCII)


class Money(Struct, frozen=True):
    """An amount of one currency."""

    amount: Decimal
    currency: str = ""
    """Three letters in upper case; empty: nobody said which."""

    def __str__(self) -> str:
        """The amount with the decimals of its currency, and thousands separated."""
        unit = Decimal(1).scaleb(-_digits(self.currency))
        return f"{self.amount.quantize(unit, ROUND_HALF_UP) + 0:,f} {self.currency}".strip()


def money(value: object, currency: object = None) -> str:
    """An amount as a customer reads it; what is no amount is shown as nothing.

    `currency` is that of a value which does not say its own.
    """
    found = read(value, currency)
    return "" if found is None else str(found)


def amounts(values: object) -> str:
    """Sums of several currencies on one line: 61.50 EUR, 12,000 JPY."""
    found = values if isinstance(values, list | tuple) else [values]
    return ", ".join(
        filter(None, (str(it) if isinstance(it, Money) else money(it) for it in found))
    )


def total(values: Iterable[tuple[object, object]]) -> tuple[Money, ...]:
    """The sums of amounts and their currencies: one for each currency, in the order of the codes.

    What is no amount counts as nothing.
    """
    sums: dict[str, Decimal] = {}
    for value, currency in values:
        if (found := read(value, currency)) is not None:
            sums[found.currency] = sums.get(found.currency, Decimal(0)) + found.amount
    return tuple(Money(amount, code) for code, amount in sorted(sums.items()))


def read(value: object, currency: object = None) -> Money | None:
    """The amount that a JSON value is; None: it is none."""
    if isinstance(value, Mapping):
        own = next((value[it] for it in ("currency", "currencyCode") if value.get(it)), currency)
        return _money(_in_object(value, _code(own)), _code(own))
    return _money(_decimal(value), _code(currency))


def _money(amount: Decimal | None, currency: str) -> Money | None:
    return None if amount is None else Money(amount, currency)


def _in_object(value: Mapping[object, object], currency: str) -> Decimal | None:
    if "centAmount" in value:
        cents = _decimal(value["centAmount"])
        digits = value.get("fractionDigits", _digits(currency))
        if cents is None or not isinstance(digits, int) or not 0 <= digits <= 20:
            return None
        return cents.scaleb(-digits)
    if "units" in value:
        units, nanos = _decimal(value["units"]), _decimal(value.get("nanos", 0))
        return None if units is None or nanos is None else units + nanos.scaleb(-9)
    return _decimal(value.get("amount", value.get("value")))


def _decimal(value: object) -> Decimal | None:
    # By the shortest text of a double, which is what was written: 0.1 is 0.1.
    if isinstance(value, float):
        value = f"{Decimal(repr(value)):f}"
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < LARGEST else ""
    text = value if isinstance(value, str) else ""
    return Decimal(text) if _AMOUNT.fullmatch(text) else None


def _code(currency: object) -> str:
    is_code = isinstance(currency, str) and re.fullmatch(r"[A-Za-z]{3}", currency)
    return str(currency).upper() if is_code else ""


def _digits(currency: str) -> int:
    return _DIGITS.get(currency, 2)
