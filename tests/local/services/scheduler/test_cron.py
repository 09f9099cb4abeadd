"""When a schedule fires."""

from datetime import UTC, datetime

import pytest

from local.kernel.status import Status
from local.services.scheduler.cron import Cron


def ticks(schedule: str, zone: str, start: str, count: int) -> list[str]:
    """The first ticks after a moment, in local time."""
    cron, moment = Cron(schedule, zone), datetime.fromisoformat(start)
    found = []
    for _ in range(count):
        moment = cron.after(moment) or pytest.fail("no more ticks")
        found.append(moment.astimezone(cron.zone).isoformat(timespec="minutes"))
    return found


def test_next_tick_is_strictly_after_the_moment_asked() -> None:
    """Asked at the tick itself, the next one is named; a microsecond earlier, this one."""
    cron = Cron("0 9 * * *", "UTC")
    nine = datetime(2027, 1, 4, 9, tzinfo=UTC)
    assert cron.after(nine) == nine.replace(day=5)
    assert cron.after(nine.replace(hour=8, minute=59, second=59, microsecond=999_999)) == nine


def test_hour_that_is_skipped_fires_once() -> None:
    """02:30 does not exist on the spring day; the job fires as the clock jumps, and once."""
    assert ticks("30 2 * * *", "Europe/Berlin", "2027-03-27T12:00+00:00", 2) == [
        "2027-03-28T03:00+02:00",
        "2027-03-29T02:30+02:00",
    ]


def test_hour_that_is_repeated_fires_once() -> None:
    """02:30 comes twice on the autumn day; the job fires at the first."""
    assert ticks("30 2 * * *", "Europe/Berlin", "2027-10-30T12:00+00:00", 2) == [
        "2027-10-31T02:30+02:00",
        "2027-11-01T02:30+01:00",
    ]


def test_asked_in_the_repeated_hour_the_next_tick_is_tomorrow() -> None:
    """Half past one UTC is the second 02:30 of that night: 02:45 has been."""
    found = ticks("45 2 * * *", "Europe/Berlin", "2027-10-31T01:30+00:00", 1)
    assert found == ["2027-11-01T02:45+01:00"]


def test_starred_hour_fires_in_every_hour_that_passes() -> None:
    """An hourly job fires in both of the repeated hours."""
    assert ticks("0 * * * *", "Europe/Berlin", "2027-10-30T23:59+00:00", 3) == [
        "2027-10-31T02:00+02:00",
        "2027-10-31T02:00+01:00",
        "2027-10-31T03:00+01:00",
    ]


@pytest.mark.parametrize("schedule", ["30 2 * * *", "*/20 * * * *", "15 1,2 * * *"])
@pytest.mark.parametrize("night", ["2027-03-27T20:00+00:00", "2027-10-30T20:00+00:00"])
def test_one_that_is_asked_on_and_on_says_the_same_as_one_that_is_new(
    schedule: str, night: str
) -> None:
    cron, moment = Cron(schedule, "Europe/Berlin"), datetime.fromisoformat(night)
    for _ in range(30):
        fresh = Cron(schedule, "Europe/Berlin").after(moment)
        assert cron.after(moment) == cron.after(moment) == fresh
        moment = fresh or pytest.fail("no more ticks")


def test_it_can_be_asked_of_an_earlier_moment_again() -> None:
    cron = Cron("0 * * * *", "UTC")
    nine = datetime(2027, 1, 4, 9, tzinfo=UTC)
    asked = (nine, nine.replace(hour=3), nine)
    assert [cron.after(it) for it in asked] == [nine.replace(hour=it) for it in (10, 4, 10)]


def test_day_of_month_and_day_of_week_are_alternatives() -> None:
    """Both restricted: either will do."""
    assert ticks("0 9 1 * MON", "UTC", "2027-01-30T00:00+00:00", 3) == [
        "2027-02-01T09:00+00:00",
        "2027-02-08T09:00+00:00",
        "2027-02-15T09:00+00:00",
    ]


def test_sunday_has_four_names() -> None:
    """0, 7 and SUN are the same day."""
    names = ("0", "7", "SUN", "sun")
    found = {name: ticks(f"0 9 * * {name}", "UTC", "2027-01-04T00:00+00:00", 1) for name in names}
    assert found == {name: ["2027-01-10T09:00+00:00"] for name in names}


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "@daily",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "0 9 L * *",
        "0 9 * * 1#2",
        "0 9 30 2 *",
    ],
)
def test_what_is_no_cron_is_refused(schedule: str) -> None:
    """Also what other crons allow: seconds, L, #, and dates that never come."""
    with pytest.raises(Status, match="INVALID_ARGUMENT"):
        Cron(schedule, "UTC")


def test_unknown_time_zone_is_refused() -> None:
    """Names come from the tz database."""
    with pytest.raises(Status, match="Mars/Olympus"):
        Cron("0 9 * * *", "Mars/Olympus")
