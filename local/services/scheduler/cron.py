"""When a job fires: five-field unix cron in a time zone.

As Debian's cron has it: where a fixed time falls into the hour a DST change skips, it fires once,
as soon as the clock has jumped; where the hour comes twice, it fires the first time only. A starred
hour fires in every hour that passes.
"""

import functools
import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from cronsim import CronSim, CronSimError

from local.kernel.refusals import invalid
from local.kernel.status import Status

_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_DAYS = "SUN|MON|TUE|WED|THU|FRI|SAT"
_FIELD = re.compile(rf"(?:[\d*,/-]|{_MONTHS}|{_DAYS})+", re.A | re.I)
_UTC = ("utc", "etc/utc")


class Cron:
    """One schedule. INVALID_ARGUMENT if it is none, or the time zone is unknown."""

    def __init__(self, schedule: str, time_zone: str) -> None:
        self.zone = _zone(time_zone)
        self._expression = schedule
        fields = schedule.split()
        # The library knows seconds, `L` and `#` as well; the platform does not.
        if len(fields) != 5 or not all(_FIELD.fullmatch(field) for field in fields):
            raise _malformed(schedule)
        try:
            CronSim(schedule, datetime(2000, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            raise _malformed(schedule) from error
        self._asked: datetime | None = None
        self._answer: datetime | None = None
        self._ticks: Iterator[datetime] = iter(())
        """Those behind the last answer."""

    def after(self, moment: datetime) -> datetime | None:
        """The first tick strictly after this, in UTC; None: never again."""
        # Whoever asks has nearly always been told this moment before: then it goes on from there.
        if moment != self._asked:
            if moment != self._answer:
                self._ticks = self._behind(moment)
            self._asked, self._answer = moment, next(self._ticks, None)
        return self._answer

    def _behind(self, moment: datetime) -> Iterator[datetime]:
        for local in CronSim(self._expression, moment.astimezone(self.zone)):
            tick: datetime = local.astimezone(UTC)
            # Asked in the repeated hour, the library first says the time of the hour before.
            if tick > moment:
                yield tick


@functools.lru_cache(maxsize=256)
def checked(schedule: str, time_zone: str) -> Cron:
    """The schedule of these words, which are read once. Raises Status."""
    return Cron(schedule, time_zone)


def _zone(name: str) -> tzinfo:
    if name.lower() in _UTC:
        return UTC  # the library knows that nothing is skipped or repeated there
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid(f"Time zone {name!r} is not in the tz database.") from error


def _malformed(schedule: str) -> Status:
    return invalid(
        f"Schedule or time zone is invalid: {schedule!r} is not five fields of unix cron.",
    )
