"""RFC 3339: every valid form is a time, and nothing else is one. Names of zones."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from common.process import times

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-26T12:00:00Z",
        "2026-11-26t12:00:00z",
        "2026-11-26 12:00:00Z",
        "2026-11-26T12:00:00+00:00",
        "2026-11-26T12:00:00-00:00",
        "2026-11-26T13:00:00+01:00",
        "2026-11-25T12:01:00-23:59",
        "2026-11-26T12:00:00.0Z",
        "2026-11-26T12:00:00.000000000Z",
        "2026-11-26T11:59:60Z",
    ],
)
def test_every_form_of_it_is_the_same_time(text: str) -> None:
    assert times.parse(text) == NOON


def test_the_leap_second_is_the_one_after_its_minute() -> None:
    assert times.parse("2016-12-31T23:59:60Z") == datetime(2017, 1, 1, tzinfo=UTC)


def test_a_fraction_is_cut_to_microseconds() -> None:
    assert times.parse("2026-11-26T12:00:00.123456789z").microsecond == 123_456


def test_the_zone_is_as_given() -> None:
    assert times.parse("2027-03-01T10:30:00+01:00").isoformat() == "2027-03-01T10:30:00+01:00"
    assert times.parse_or_none("2026-11-26T13:00:00+01:00").__repr__() == repr(NOON)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        None,
        7,
        ["2026-11-26T12:00:00Z"],
        "2026-11-26",
        "20261126T120000Z",
        "2026-W48-4T12:00:00Z",
        "2026-11-26T12:00:00",
        "2026-11-26T12:00Z",
        "2026-11-26_12:00:00Z",
        "2026-11-26T12:00:00+0100",
        "2026-11-26T12:00:00+01",
        "2026-11-26T12:00:00+05:60",
        "2026-11-26T12:00:00+24:00",
        "2026-11-26T12:00:00,5Z",
        "2026-11-26T12:00:00.Z",
        "2026-11-26T24:00:00Z",
        "2026-11-26T12:60:00Z",
        "2026-11-26T12:00:61Z",
        "2026-02-29T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:60Z",
        "2026-11-26T12:00:00Z ",
        "２０２６-11-26T12:00:00Z",
    ],
)
def test_anything_else_is_none(text: object) -> None:
    assert times.parse_or_none(text) is None
    with pytest.raises(ValueError, match=r"is not an RFC 3339 time|is no time of the calendar"):
        times.parse(text)


def test_what_is_no_zone_is_none() -> None:
    times.zone_of.cache_clear()
    assert times.zone_of("Europe/Berlin") == ZoneInfo("Europe/Berlin")
    for name in ("", "Mars/Base", "../../etc/passwd", "\0", "Europe"):
        assert times.zone_of(name) is None
