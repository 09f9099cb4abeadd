"""Quiet hours: the time of a user's day in which nothing is sent."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta, tzinfo

from msgspec import Struct

from common.errors import ConfigurationError
from common.process import settings
from common.process.times import zone_of

DAY = timedelta(days=1)


class QuietHours(Struct, frozen=True, kw_only=True):
    """From `begin` to `end` of each day in the user's zone, over midnight if `end` is earlier."""

    begin: time
    end: time
    zone: Callable[[str], str | None]
    """The IANA name of the zone of a user, by id, such as `Europe/Paris`; None: not known."""
    default_zone: str | None = None
    """The zone of those whose own is not known, or is none; None: DEFAULT_TIMEZONE."""

    def __post_init__(self) -> None:
        if self.begin == self.end or self.begin.tzinfo or self.end.tzinfo:
            raise ConfigurationError(
                f"Quiet hours from {self.begin} to {self.end}: must differ, and have no zone."
            )

    def until(self, now: datetime, user_id: str) -> datetime | None:
        """When the quiet hours end that it is now for this user; None: it is not quiet."""
        zone = self._zone(user_id)
        local = now.astimezone(zone)
        if not self._holds(local.time()):
            return None
        day = local.date() if local.time() < self.end else local.date() + DAY
        ends = (
            datetime.combine(day, self.end, zone).replace(fold=fold).astimezone(UTC)
            for fold in (0, 1)
        )
        # When the clocks go back, an hour comes twice: its first end may be over.
        return next((end for end in ends if end > now), now + timedelta(hours=1))

    def _zone(self, user_id: str) -> tzinfo:
        names = (self.zone(user_id), self.default_zone)
        known = (zone for name in names if name and (zone := zone_of(name)))
        return next(known, None) or settings.current().default_timezone

    def _holds(self, local: time) -> bool:
        if self.begin < self.end:
            return self.begin <= local < self.end
        return local >= self.begin or local < self.end
