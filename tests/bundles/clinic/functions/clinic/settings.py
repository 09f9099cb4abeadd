"""The settings of the clinic, beside those of `common`."""

from common.process import parsers, settings
from common.process.hiding import Hidden, Hiding
from common.process.variables import Variable


class Clinic(Hiding, frozen=True, kw_only=True):
    """What the clinic knows about itself and its surroundings."""

    text_url: Hidden[str]
    clinic_name: str


VARIABLES = {
    "TEXT_URL": Variable(
        meaning="where text messages are posted",
        parse=parsers.url,
        needed_by={"reminder"},
        show=parsers.masked_url,
    ),
    "CLINIC_NAME": Variable(
        meaning="what the clinic calls itself in a text message", default="Your clinic"
    ),
}
current = settings.reader(Clinic, VARIABLES)
