"""The settings of the shop."""

from datetime import timedelta

import pytest

from common.errors import ConfigurationError
from common.process import settings
from functions.shop.settings import VARIABLES, ShopSettings


def load(**environ: str) -> ShopSettings:
    return settings.load(ShopSettings, VARIABLES, environ)


def test_every_variable_is_a_field_and_the_reverse() -> None:
    assert {name.upper() for name in ShopSettings.__struct_fields__} == set(VARIABLES)


def test_without_any_there_is_no_inventory_and_a_cart_waits_two_hours() -> None:
    expected = ShopSettings(inventory_url=None, cart_reminder_delay=timedelta(hours=2))
    assert load() == expected


def test_a_cart_may_not_wait_at_all() -> None:
    assert load(CART_REMINDER_DELAY="0").cart_reminder_delay == timedelta(0)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"CART_REMINDER_DELAY": "2h"},
            "CART_REMINDER_DELAY is '2h', but must be a number of seconds, 0 to ten years.",
        ),
        (
            {"INVENTORY_URL": "ftp://key:s3cret@a"},
            "INVENTORY_URL is '…@a', but must be a URL that begins with https:// or http://.",
        ),
    ],
)
def test_what_is_malformed_is_said_without_what_may_be_secret(
    environ: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(**environ)
    assert str(refused.value) == sentence


def test_the_address_of_the_inventory_may_hold_a_key_and_is_not_shown() -> None:
    assert "s3cret" not in repr(load(INVENTORY_URL="https://a/?key=s3cret"))
