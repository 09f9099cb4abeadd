"""Amounts of money: read without a float, summed by currency, shown as a customer reads them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shop.money import DIGITS, Money, amounts, money, total


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234.5, "1,234.50"),
        ("49.9", "49.90"),
        (0, "0.00"),
        ("-3", "-3.00"),
        (-0.001, "0.00"),
        (0.1 + 0.2, "0.30"),
        (1.005, "1.01"),
        (1e-7, "0.00"),
        (2**53, "9,007,199,254,740,992.00"),
        (450359962737049.75, "450,359,962,737,049.75"),
    ],
)
def test_an_amount_has_two_decimals_and_its_thousands_apart(value: object, shown: str) -> None:
    assert money(value) == shown


@pytest.mark.parametrize(
    "value",
    ["twelve", "", "NaN", "1e400", "1_000", " 5 ", "٣", 10**16, -(10**16), "sNaN", "9" * 17,
     float("inf"), float("nan"), 1e300, None, True, [], {}, {"amount": None}, [1]],
)  # fmt: skip
def test_what_is_no_amount_is_shown_as_nothing(value: object) -> None:
    assert money(value, "EUR") == ""


def test_a_number_that_is_too_long_to_be_written_down_is_none() -> None:
    assert money(10**5000) == ""


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [
        (20, "EUR", "20.00 EUR"),
        (20, "eur", "20.00 EUR"),
        (12.345, "KWD", "12.345 KWD"),
        (12000, "JPY", "12,000 JPY"),
        (12000.4, "JPY", "12,000 JPY"),
        (1, "CLF", "1.0000 CLF"),
        (1234.5, "HUF", "1,234.50 HUF"),
        (20, "XYZ", "20.00 XYZ"),
    ],
)
def test_it_has_the_decimals_of_its_currency(value: object, currency: str, shown: str) -> None:
    assert money(value, currency) == shown


@pytest.mark.parametrize("currency", [None, "", "EURO", "E\nU", 978, ["EUR"], "€", "ＥＵＲ"])
def test_what_is_no_currency_is_left_out(currency: object) -> None:
    assert money(20, currency) == "20.00"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"amount": "49.99", "currency": "EUR"}, "49.99 EUR"),
        ({"value": 49.99, "currency": "eur"}, "49.99 EUR"),
        ({"amount": 49.99}, "49.99 CHF"),
        ({"centAmount": 4999, "currencyCode": "EUR"}, "49.99 EUR"),
        ({"centAmount": 4999, "currencyCode": "JPY"}, "4,999 JPY"),
        ({"centAmount": 4999, "currencyCode": "EUR", "fractionDigits": 3}, "5.00 EUR"),
        ({"units": "49", "nanos": 990_000_000, "currencyCode": "EUR"}, "49.99 EUR"),
        ({"units": 49, "currencyCode": "EUR"}, "49.00 EUR"),
        ({"centAmount": "much", "currencyCode": "EUR"}, ""),
        ({"centAmount": 4999, "fractionDigits": -5}, ""),
        ({"centAmount": 4999, "fractionDigits": "2"}, ""),
        ({"units": None, "currencyCode": "EUR"}, ""),
        ({"units": 1, "nanos": "x"}, ""),
    ],
)
def test_an_object_says_its_amount_and_its_currency(value: dict[str, Any], shown: str) -> None:
    assert money(value, "CHF") == shown


def test_sums_are_per_currency_and_exact() -> None:
    given = [(0.1, "EUR")] * 10 + [(500, "JPY"), ("much", "EUR"), (1, "eur"), (3, None)]
    assert total(given) == (
        Money(Decimal(3)),
        Money(Decimal(2), "EUR"),
        Money(Decimal(500), "JPY"),
    )


def test_sums_are_shown_on_one_line() -> None:
    assert amounts(total([(61.5, "EUR"), (12000, "JPY")])) == "61.50 EUR, 12,000 JPY"
    assert (amounts(()), amounts(0), amounts("much")) == ("", "0.00", "")


def test_every_currency_has_one_number_of_decimals() -> None:
    codes = [code for each in DIGITS.values() for code in each.split()]
    assert len(codes) == len(set(codes))


@given(st.floats() | st.integers() | st.text() | st.none(), st.text() | st.none())
def test_whatever_it_is_it_stays_on_its_line(value: object, currency: object) -> None:
    assert set(money(value, currency)) <= set("0123456789.,- ABCDEFGHIJKLMNOPQRSTUVWXYZ")
