"""Amounts of money as a customer reads them."""

import pytest

from functions.shop.money import money


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234.5, "1,234.50"),
        ("49.9", "49.90"),
        (0, "0.00"),
        ("-3", "-3.00"),
        (0.1 + 0.2, "0.30"),
        (999_999_999_999_999, "999,999,999,999,999.00"),
        ("twelve", "twelve"),
        ("NaN", "NaN"),
        ("1e400", "1e400"),
        (10**15, "1000000000000000"),
        ("sNaN", "sNaN"),
        (float("inf"), "inf"),
        (None, "None"),
        ([], "[]"),
    ],
)
def test_an_amount_has_two_decimals_and_anything_else_stays(value: object, shown: str) -> None:
    assert money(value) == shown


def test_an_amount_carries_its_currency() -> None:
    assert (money(20, "EUR"), money("much", "EUR")) == ("20.00 EUR", "much EUR")


def test_neither_breaks_out_of_its_line_nor_fills_the_page() -> None:
    shown = money("a\n" + "b" * 500, "E\nU" + "R" * 500)
    assert shown == "a " + "b" * 198 + " E URRRRRRR"
