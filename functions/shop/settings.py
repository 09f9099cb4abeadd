"""The settings of the shop, beside those of `common`."""

from dataclasses import dataclass, field
from datetime import timedelta

from common.process import parsers, settings
from common.process.variables import Variable


@dataclass(frozen=True, kw_only=True)
class ShopSettings:
    """What the shop knows about its surroundings."""

    inventory_url: str | None = field(repr=False)
    cart_reminder_delay: timedelta


VARIABLES = {
    "INVENTORY_URL": Variable(
        meaning="the inventory service, told of every order; it gets a token of reminder's own "
        "account, whose audience is this address without its query",
        parse=parsers.url,
        show=parsers.masked_url,
    ),
    "CART_REMINDER_DELAY": Variable(
        meaning="seconds from an abandoned cart to its reminder",
        parse=parsers.delay,
        default="7200",
    ),
}
current = settings.reader(ShopSettings, VARIABLES)
