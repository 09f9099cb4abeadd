"""Events as shops really send them: the right outcome of each, from the bytes to the message."""

import base64
from typing import Any

import pytest
from cloudevents.http import CloudEvent

from common.triggers import pubsub
from functions.consumer import EVENTS
from tests.functions.shop_in_memory import ATTRIBUTES, ShopInMemory

Shop = ShopInMemory
SHIRT = {"centAmount": 1950, "currencyCode": "EUR"}


@pytest.fixture
def shop(shop_in_memory: Shop) -> Shop:
    """The shop, with one user in it."""
    shop_in_memory.user()
    return shop_in_memory


def text(shop: Shop, event_type: str, user_id: str = "u-1", /, **fields: Any) -> str:
    """The text of the only message that an event leads to."""
    shop.deliver(event_type, user_id, **fields)
    (message,) = shop.provider.messages
    return message.text


def order(shop: Shop, **more: Any) -> str:
    return text(shop, "order.placed", **{"order_id": "o-1", "total": 1, **more})


@pytest.mark.parametrize(
    ("total", "currency", "shown"),
    [
        (7.125, "BHD", "Total: 7.125 BHD\n"),
        (9800, "KRW", "Total: 9,800 KRW\n"),
        (24.9, "EUR", "Total: 24.90 EUR\n"),
        (24.9, None, "Total: 24.90\n"),
        (24.9, "", "Total: 24.90\n"),
        (24.9, ["EUR"], "Total: 24.90\n"),
        (24.9, "EUR\r\nBcc: x@evil.example", "Total: 24.90\n"),
    ],
)
def test_a_total_is_shown_in_its_currency(
    shop: Shop, total: float, currency: object, shown: str
) -> None:
    assert shown in order(shop, total=total, currency=currency)
    assert shop.letters() == []


def test_items_are_shown_as_far_as_they_can_be(shop: Shop) -> None:
    items: list[Any] = [
        {"name": {"de": "Hemd", "en": "Shirt"}, "price": SHIRT},
        {"name": "Sample", "quantity": 0},
        {"name": {"fr": "Bonnet"}, "quantity": 2, "price": {"amount": "12", "currency": "JPY"}},
        {"price": None, "name": None},
        None,
        7.5,
    ]
    listed = [line for line in order(shop, items=items).splitlines() if line.startswith("  * ")]
    assert listed == ["  * Shirt, 19.50 EUR", "  * 2 × Bonnet, 12 JPY", "  * 7.5"]


@pytest.mark.parametrize(
    "name",
    ["Win 900 USD now: https://evil.example/win", "\u202eEve", "call +1 555 0100 200"],
)
def test_a_name_is_a_name_or_is_not_shown(shop: Shop, name: str) -> None:
    greeting = text(shop, "user.signed_up", "u-2", email="a@example.com", name=name).split("\n")[0]
    assert greeting in ("Hi,", "Hi Eve,")
    assert shop.messages() == ["welcome"]


def test_an_order_id_that_looks_like_a_header_is_text(shop: Shop) -> None:
    order_id = "=?utf-8?q?7=0D=0ABcc:_x=40evil.example=0D=0A?="
    shop.deliver("order.placed", order_id=order_id, total=1)
    (message,) = shop.provider.messages
    assert message.to == "u-1@example.com"
    assert f"order {order_id} is confirmed" in message.subject
    assert shop.document(f"users/u-1/orders/{order_id.replace('/', '%2F')}")["total"] == 1


def test_an_international_domain_is_written_to(shop: Shop) -> None:
    shop.deliver("user.signed_up", "u-2", email="kundin@münchen.example")
    assert (shop.messages(), shop.letters()) == (["welcome"], [])


@pytest.mark.parametrize(
    ("occurred_at", "abandoned_at"),
    [
        ("2029-06-01t09:30:00z", "2029-06-01 09:30:00+00:00"),
        ("2029-06-01T09:30:00.123456789+02:00", "2029-06-01 07:30:00.123456+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01 00:00:00+00:00"),
        ("", "2030-01-01 00:00:00"),
        ("last week", "2030-01-01 00:00:00"),
        (1_900_000_000, "2030-01-01 00:00:00"),
    ],
)
def test_a_time_is_read_or_ignored_and_never_refuses_an_event(
    shop: Shop, occurred_at: Any, abandoned_at: str
) -> None:
    shop.deliver("cart.abandoned", cart_id="c-1", total=1, occurred_at=occurred_at)
    assert str(shop.document("carts/c-1")["abandoned_at"]).startswith(abandoned_at)
    assert shop.letters() == []


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"attributes": {"order": "o-1"}}, "the message has no data"),
        ({"data": "H4sIAAAAAAAC/w=="}, "the event is not UTF-8"),
        ({"data": base64.b64encode(b'{"event_id": "e-9"}').decode()}, "event_type is missing"),
    ],
)
def test_what_is_refused_is_found_with_what_was_said_of_it(
    shop: Shop, message: dict[str, Any], error: str
) -> None:
    attributes = {"content-type": "x/y", **message.get("attributes", {})}
    for number in ("1", "2"):
        envelope = {**message, "attributes": attributes, "messageId": number}
        pubsub.receive(CloudEvent(ATTRIBUTES, {"message": envelope}), "consumer", EVENTS)
    (letter,) = shop.letters()
    assert letter["error"].startswith(error)
    assert (letter["attributes"], letter["message_id"], letter["attempts"]) == (attributes, "1", 2)
    assert letter["event_id"] == ("e-9" if "e-9" in str(letter["payload"]) else None)
