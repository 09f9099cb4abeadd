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
        ({"name": "Tea", "quantity": 1}, "Tea"),
        ({"name": "Tea", "quantity": "1", "price": 0}, "Tea, 0.00"),
        ({"name": "Tea\r\nBcc: x", "quantity": "2\n"}, "2 × Tea Bcc: x"),
    ],
)
def test_an_item_is_one_line(item: object, line: str) -> None:
    assert lines([item]) == [line]


@pytest.mark.parametrize("item", [{}, None, [], ["Mug"], {"name": ""}, {"price": 3}, "", " \n"])
def test_what_has_no_name_is_left_out(item: object) -> None:
    assert lines([item, "Mug"]) == ["Mug"]


@pytest.mark.parametrize("items", [None, "Mug", 3, {"name": "Mug"}])
def test_what_is_no_list_has_no_items(items: object) -> None:
    assert lines(items) == []


def test_a_long_list_of_long_lines_is_cut() -> None:
    assert lines(["x" * 1000] * 1000) == ["x" * LINE_LIMIT] * ITEM_LIMIT
