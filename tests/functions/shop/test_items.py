"""The items of an order or a cart as a customer reads them."""

import pytest

from functions.shop.items import ITEM_LIMIT, LINE_LIMIT, lines


@pytest.mark.parametrize(
    ("item", "line"),
    [
        ("Mug", "Mug"),
        (7, "7"),
        ({"name": "Tea"}, "Tea"),
        ({"title": "Tea", "sku": "s-1"}, "Tea"),
        ({"sku": "s-1", "id": 7}, "s-1"),
        ({"id": 7}, "7"),
        ({"name": "Tea", "quantity": 2, "price": 3}, "2 × Tea, 3.00"),
        ({"name": "Tea", "quantity": 0.5, "price": "much"}, "0.5 × Tea"),
        ({"name": "Tea", "quantity": None, "price": None}, "Tea"),
        ({"name": "Tea", "quantity": [2]}, "Tea"),
        ({"name": {"de": "Tee", "en": "Tea"}}, "Tea"),
        ({"name": {"ja": "茶"}}, "茶"),
        ({"name": {"en": "", "de": {}, "pt": "Chá"}}, "Chá"),
        ({"name": {}, "sku": "s-1"}, "s-1"),
        ({"name": ["Tea"], "title": True, "id": 7}, "7"),
        ({"product": {"name": {"en": "Tea"}}, "quantity": 2}, "2 × Tea"),
        ({"product": "Tea"}, "Tea"),
        (
            {"name": "Tea", "price": {"centAmount": 4999, "currencyCode": "EUR"}},
            "Tea, 49.99 EUR",
        ),
        ({"name": "Tea", "price": 3, "currency": "KWD"}, "Tea, 3.000 KWD"),
        ({"name": "Tea", "quantity": 1}, "Tea"),
        ({"name": "Tea", "quantity": "1", "price": 0}, "Tea, 0.00"),
        ({"name": "Tea\r\nBcc: x", "quantity": "2\n"}, "2 × Tea Bcc: x"),
    ],
)
def test_an_item_is_one_line(item: object, line: str) -> None:
    assert lines([item]) == [line]


@pytest.mark.parametrize(
    "item",
    [{}, None, [], ["Mug"], {"name": ""}, {"price": 3}, "", " \n", True, {"name": {"en": []}},
     {"name": "Gift", "quantity": 0}, {"name": "Gift", "quantity": "0"},
     {"name": "Gift", "quantity": -1}],
)  # fmt: skip
def test_what_cannot_be_shown_is_left_out(item: object) -> None:
    assert lines([item, "Mug"]) == ["Mug"]


@pytest.mark.parametrize("items", [None, "Mug", 3, {"name": "Mug"}])
def test_what_is_no_list_has_no_items(items: object) -> None:
    assert lines(items) == []


def test_a_price_without_a_currency_has_that_of_the_order() -> None:
    assert lines([{"name": "Tea", "price": 300}], "JPY") == ["Tea, 300 JPY"]


def test_a_long_list_of_long_lines_is_cut() -> None:
    assert lines(["x" * 1000] * 1000) == ["x" * LINE_LIMIT] * ITEM_LIMIT
