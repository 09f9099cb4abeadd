"""Times and zones that came from outside as text. Of times, RFC 3339 in every valid form, no more.

Python's own parser reads other texts too (a date alone, a week date, a time without a zone, any
character between date and time), and refuses some that are valid: `t` and `z` in lower case, and
the leap second `:60`.
"""

import functools
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]([01]\d|2[0-3]):[0-5]\d:(?P<second>[0-5]\d|60)(\.\d+)?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def parse(text: object) -> datetime:
    """The time that an RFC 3339 text names, in the zone that the text gives.

    A fraction is cut to microseconds; the second `:60` is the one that follows `:59`. Raises
    ValueError for anything else, and for what is out of Python's range: the year 0, or a time that
    has no UTC in the years 1 to 9999.
    """
    found = _RFC_3339.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r:.100} is not an RFC 3339 time")
    at = found.start("second")
    is_leap = found["second"] == "60"
    written = f"{found[0][:at]}59{found[0][at + 2 :]}" if is_leap else found[0]
    try:
        time = datetime.fromisoformat(written.upper()) + timedelta(seconds=is_leap)
        time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r:.100} is no time of the calendar: {error}") from error
    return time


def parse_or_none(text: object) -> datetime | None:
    """The time in UTC that an RFC 3339 text names; None for anything else."""
    try:
        return parse(text).astimezone(UTC)
    except ValueError:
        return None


@functools.lru_cache(maxsize=1000)
def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of that IANA name, such as `Europe/Paris`; None: there is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return None
