"""Moments as whole microseconds since the epoch, which is how they are stored and compared."""

from datetime import UTC, datetime, timedelta
from typing import Any

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """A moment in microseconds."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """The moment again, aware, UTC."""
    return _EPOCH + timedelta(microseconds=us)


def of(message: Any) -> int:
    """A Timestamp or Duration in microseconds, truncated."""
    return int(message.seconds) * SECOND + int(message.nanos) // 1000


def put(message: Any, us: int) -> None:
    """Set a Timestamp or a Duration that is not negative; it counts as present afterwards."""
    message.seconds, rest = divmod(us, SECOND)
    message.nanos = rest * 1000
    message.SetInParent()
