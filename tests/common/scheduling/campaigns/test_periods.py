"""Periods: which day a tick means, and when it is somebody's hour of that day."""

import itertools
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from common.scheduling.campaigns import periods
from common.scheduling.campaigns.periods import At, Window, coming
from tests.common.scheduling.campaigns.news import time

MONDAY = date(2030, 1, 7)
EIGHT = At(hour=8)


@pytest.mark.parametrize(
    ("day", "name"),
    [("2030-01-06", "2030-W01"), ("2030-01-07", "2030-W02"), ("2027-01-03", "2026-W53")],
)
def test_a_week_is_the_iso_week(day: str, name: str) -> None:
    assert periods.week(date.fromisoformat(day)) == name


def test_a_month_is_named_by_its_number() -> None:
    assert periods.month(MONDAY) == "2030-01"


def test_today_is_the_day_of_the_tick_in_utc() -> None:
    assert periods.today(time("2030-01-07T01:30:00+02:00")) == date(2030, 1, 6)


@pytest.mark.parametrize(
    "tick",
    [
        "2030-01-06T17:00:00Z",  # early enough for the first zone
        "2030-01-07T08:00:00Z",  # by hand on the day
        "2030-01-08T11:59:00Z",  # it is still Monday in the last zone
        "2030-01-01T12:00:00Z",
    ],
)
def test_the_coming_monday_is_the_same_as_long_as_it_is_monday_anywhere(tick: str) -> None:
    assert coming(0)(time(tick)) == MONDAY


def test_after_the_last_zone_s_monday_the_next_one_is_coming() -> None:
    assert coming(0)(time("2030-01-08T12:00:00Z")) == MONDAY + timedelta(days=7)


@pytest.mark.parametrize(
    ("zone", "at"),
    [
        ("Pacific/Kiritimati", "2030-01-06T18:00:00Z"),
        ("Europe/Berlin", "2030-01-07T07:00:00Z"),
        ("Etc/UTC", "2030-01-07T08:00:00Z"),
        ("Asia/Kathmandu", "2030-01-07T02:15:00Z"),
        ("Etc/GMT+12", "2030-01-07T20:00:00Z"),
    ],
)
def test_an_hour_is_that_of_each_zone(zone: str, at: str) -> None:
    now = time("2030-01-06T17:00:00Z")
    assert periods.due(MONDAY, EIGHT, ZoneInfo(zone), now) == time(at)


def test_an_hour_that_has_passed_is_due_now() -> None:
    now = time("2030-01-07T22:59:00Z")
    assert periods.due(MONDAY, EIGHT, ZoneInfo("Europe/Berlin"), now) == now


def test_a_day_that_is_over_has_no_hour() -> None:
    now = time("2030-01-07T23:00:00Z")
    assert periods.due(MONDAY, EIGHT, ZoneInfo("Europe/Berlin"), now) is None


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_there_is_one_moment_for_each_day_of_a_year_with_its_changes_of_the_clock(
    zone: str,
) -> None:
    """2:30 is left out on one day and comes twice on another; each day has one, on that day."""
    now, first = time("2029-12-30T00:00:00Z"), date(2030, 1, 1)
    days = [first + timedelta(days=number) for number in range(365)]
    moments = [periods.due(day, At(hour=2, minute=30), ZoneInfo(zone), now) for day in days]
    assert [it.astimezone(ZoneInfo(zone)).date() for it in moments if it] == days
    gaps = {b - a for a, b in itertools.pairwise(moments) if a and b}
    assert all(abs(gap - timedelta(days=1)) <= timedelta(hours=1) for gap in gaps)


def test_the_days_before_begin_and_end_where_days_do_in_the_zone() -> None:
    window = periods.days_before(date(2030, 4, 1), 7, ZoneInfo("Europe/Berlin"))
    since, until = time("2030-03-24T23:00:00Z"), time("2030-03-31T22:00:00Z")
    assert window == Window(since=since, until=until)
    assert since in window
    assert until not in window
