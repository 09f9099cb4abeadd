"""Quiet hours: what is due then waits for their end, in the user's own day."""

from datetime import UTC, datetime, time, timedelta

import pytest

from common.errors import ConfigurationError
from common.process import settings
from common.scheduling.quiet import QuietHours
from tests.common.memory_cloud import Cloud
from tests.common.scheduling.nudge import DAY, PATH, Nudge, due, history, ring, schedule, state

NIGHT = QuietHours(begin=time(22), end=time(7), zone=lambda user_id: "Europe/Paris")
NOON = QuietHours(begin=time(12), end=time(14), zone=lambda user_id: None, default_zone="Etc/UTC")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("quiet", "now", "until"),
    [
        (NIGHT, "2030-01-15 20:59", None),
        (NIGHT, "2030-01-15 21:00", "2030-01-16 06:00"),
        (NIGHT, "2030-01-16 05:59:59", "2030-01-16 06:00"),
        (NIGHT, "2030-01-16 06:00", None),
        (NIGHT, "2030-07-15 20:00", "2030-07-16 05:00"),
        (NIGHT, "2030-03-30 22:00", "2030-03-31 05:00"),
        (NIGHT, "2030-10-26 21:00", "2030-10-27 06:00"),
        (NOON, "2030-01-15 13:00", "2030-01-15 14:00"),
        (NOON, "2030-01-15 11:59", None),
    ],
)
def test_they_are_those_of_the_users_zone(quiet: QuietHours, now: str, until: str | None) -> None:
    assert quiet.until(utc(now), "u") == (utc(until) if until else None)


def test_an_end_that_the_clocks_skip_is_the_moment_after() -> None:
    """On 31 March there is no 02:30 in Paris: 02:00 is 03:00."""
    quiet = QuietHours(begin=time(23), end=time(2, 30), zone=lambda user_id: "Europe/Paris")
    assert quiet.until(utc("2030-03-30 23:00"), "u") == utc("2030-03-31 01:30")


def test_an_end_that_comes_twice_is_the_next_one() -> None:
    """On 27 October 02:30 comes at 00:30 and at 01:30 UTC."""
    quiet = QuietHours(begin=time(23), end=time(2, 30), zone=lambda user_id: "Europe/Paris")
    assert quiet.until(utc("2030-10-27 00:00"), "u") == utc("2030-10-27 00:30")
    assert quiet.until(utc("2030-10-27 00:30"), "u") is None
    assert quiet.until(utc("2030-10-27 01:15"), "u") == utc("2030-10-27 01:30")


@pytest.mark.parametrize("zone", [None, "Nowhere/None", "", "../etc/passwd", "/etc/localtime"])
def test_an_unknown_zone_is_the_default(zone: str | None) -> None:
    quiet = QuietHours(
        begin=time(0), end=time(1), zone=lambda user_id: zone, default_zone="Asia/Tokyo"
    )
    assert quiet.until(utc("2030-01-01 15:30"), "u") == utc("2030-01-01 16:00")


def test_without_a_zone_of_its_own_a_kind_has_that_of_the_bundle(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFAULT_TIMEZONE", "Asia/Tokyo")
    settings.current.cache_clear()
    quiet = QuietHours(begin=time(0), end=time(1), zone=lambda user_id: None)
    assert quiet.until(utc("2030-01-01 15:30"), "u") == utc("2030-01-01 16:00")


@pytest.mark.parametrize(("begin", "end"), [(time(1), time(1)), (time(1, tzinfo=UTC), time(2))])
def test_hours_that_are_none_are_refused(begin: time, end: time) -> None:
    with pytest.raises(ConfigurationError, match="Quiet hours"):
        QuietHours(begin=begin, end=end, zone=lambda user_id: None)


def test_every_minute_of_a_year_ends_in_time() -> None:
    """Whatever the clocks do, the end is later, and at most a day away."""
    quiet = QuietHours(begin=time(23), end=time(2, 30), zone=lambda user_id: "America/Santiago")
    now = utc("2030-01-01 00:00")
    for _ in range(365 * 48):
        now += timedelta(minutes=30)
        until = quiet.until(now, "u")
        assert until is None or timedelta(0) < until - now < timedelta(hours=5)


def test_what_is_due_then_is_put_off_and_rings_at_their_end(cloud: Cloud) -> None:
    nudge, alarm = Nudge(quiet=_now_and_for_an_hour(cloud)), due(cloud)
    assert (ring(cloud, alarm, nudge), nudge.sent, state(cloud)) == ("waiting", [], "pending")
    (later,) = cloud.tasks.take()
    assert later.at == cloud.document(PATH)["due_at"]
    assert history(cloud) == ["scheduled", "put off"]
    cloud.firestore.now = later.at
    assert (ring(cloud, later, nudge), len(nudge.sent)) == ("sent", 1)


def test_what_was_put_off_can_be_cancelled_and_replaced(cloud: Cloud) -> None:
    nudge, alarm = Nudge(quiet=_now_and_for_an_hour(cloud)), due(cloud)
    ring(cloud, alarm, nudge)
    cloud.tasks.take()
    newer = schedule(cloud, timedelta(hours=3), key="again", n=2)
    assert (ring(cloud, alarm, nudge), newer.at) == ("skipped", cloud.document(PATH)["due_at"])


def _now_and_for_an_hour(cloud: Cloud) -> QuietHours:
    at = cloud.now + DAY
    return QuietHours(
        begin=(at - timedelta(hours=1)).time(),
        end=(at + timedelta(hours=1)).time(),
        zone=lambda user_id: "Etc/UTC",
    )
