"""Periods: which day a tick means, which period that day is in, and when it is somebody's hour.

                   tick                the target day, Monday
                    │                  ┌─────────────────────┐
    ─── Sunday ─────┼──────────────────┼────────┬────────────┼──▶ in each user's zone
                    │◀── seven days ──▶│        8:00
                                 the window   it is sent

All of it is computed from the tick and never from the moment: a task that comes late, or twice, or
is replayed, means the same day, tells the same window, and is one message.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from msgspec import Struct

TargetDay = Callable[[datetime], date]
"""From the time of a tick to the local day that it means, the same for all users."""
Period = Callable[[date], str]
"""From the target day to the name of its period."""
BEHIND = timedelta(hours=12)
"""How far the last zone is behind UTC: there a day ends 12 hours later."""


class At(Struct, frozen=True, kw_only=True):
    """A local time of the target day, in each user's zone."""

    hour: int
    minute: int = 0


class Window(Struct, frozen=True, kw_only=True):
    """From `since` on, and before `until`."""

    since: datetime
    until: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.since <= moment < self.until


def week(day: date) -> str:
    """The ISO week of a day: `2026-W47`."""
    year, number, _ = day.isocalendar()
    return f"{year}-W{number:02d}"


def month(day: date) -> str:
    """The month of a day: `2026-11`."""
    return f"{day:%Y-%m}"


def today(tick: datetime) -> date:
    """The target day is that of the tick, in UTC."""
    return tick.astimezone(UTC).date()


def coming(weekday: int) -> TargetDay:
    """The target day is the next such day (0: Monday), or today while it is that day anywhere.

    So a tick on the day before, early enough for the first zone, and a firing by hand on the day
    mean the same day.
    """

    def target(tick: datetime) -> date:
        earliest = (tick.astimezone(UTC) - BEHIND).date()
        return earliest + timedelta(days=(weekday - earliest.weekday()) % 7)

    return target


def due(day: date, at: At, zone: tzinfo, now: datetime) -> datetime | None:
    """When it is that time of the day in the zone; None: the day is over there.

    An hour that has passed is due now. An hour that the zone's clock leaves out is due when the
    clock has been put forward; of one that comes twice, it is the first.
    """
    if now.astimezone(zone).date() > day:
        return None
    return max(datetime.combine(day, time(at.hour, at.minute), zone).astimezone(UTC), now)


def days_before(day: date, days: int, zone: tzinfo) -> Window:
    """So many local days, up to the beginning of `day`, in the zone."""
    return Window(since=_beginning(day - timedelta(days=days), zone), until=_beginning(day, zone))


def _beginning(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
