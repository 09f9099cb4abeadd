"""The settings of the shop, beside those of `common`."""

from datetime import timedelta

from common.process import parsers, settings
from common.process.hiding import Hidden, Hiding
from common.process.variables import Variable


class ShopSettings(Hiding, frozen=True, kw_only=True):
    """What the shop knows about its surroundings."""

    inventory_url: Hidden[str | None]
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
