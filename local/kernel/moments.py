"""Moments and lengths of time as whole microseconds, which is how they are stored and compared."""

from datetime import UTC, datetime, timedelta
from typing import Any

MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
"""This one and the others below are in microseconds."""
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """Return the microseconds from 1970 to an aware datetime."""
    return (moment - _EPOCH) // MICROSECOND


def moment(us: int) -> datetime:
    """Return the aware datetime, in UTC, that is `us` microseconds after 1970."""
    return _EPOCH + us * MICROSECOND


def of(message: Any) -> int:
    """Return the microseconds of a protobuf Timestamp or Duration; nanoseconds are cut off."""
    return int(message.seconds) * SECOND + int(message.nanos) // 1000


def put(message: Any, us: int) -> None:
    """Set a protobuf Timestamp or a Duration that is not negative; it counts as present then."""
    message.seconds, rest = divmod(us, SECOND)
    message.nanos = rest * 1000
    message.SetInParent()


def parse(text: str) -> datetime:
    """Return the aware datetime that an RFC 3339 text names; raises ValueError, with a sentence."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an RFC 3339 time") from error
    if read.tzinfo is None:
        raise ValueError(f"{text} names no time zone; write {text}Z for UTC")
    return read
