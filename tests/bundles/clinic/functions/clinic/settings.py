"""The settings of the clinic, beside those of `common`."""

from dataclasses import dataclass, field

from common.process import parsers, settings
from common.process.variables import Variable


@dataclass(frozen=True, kw_only=True)
class Clinic:
    """What the clinic knows about itself and its surroundings."""

    text_url: str = field(repr=False)
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
