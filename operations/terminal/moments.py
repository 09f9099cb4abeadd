"""Times and durations as an operator types and reads them."""

import argparse
import re
from datetime import datetime, timedelta
from typing import Any

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta:
    """The duration of `90s`, `2h`, `1h30m`, `3d`; raises ArgumentTypeError."""
    if not re.fullmatch(r"(\d+[smhdw])+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration like 90s, 2h or 3d")
    parts = re.findall(r"(\d+)([smhdw])", text)
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


def moment(text: str) -> datetime:
    """An RFC 3339 time with its zone; raises ArgumentTypeError."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-11-30T08:00Z") from None
    if time.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no zone; add Z for UTC")
    return time


def since(text: str) -> datetime | timedelta:
    """A time, or how long ago; raises ArgumentTypeError."""
    return duration(text) if re.fullmatch(r"(\d+[smhdw])+", text) else moment(text)


def shown(time: Any) -> str:
    """A time as a person reads it, in UTC to the second; "" for what is none."""
    return f"{time:%Y-%m-%d %H:%M:%S}" if isinstance(time, datetime) else ""


def written(time: Any) -> str | None:
    """A time as a program reads it: RFC 3339; None for what is none."""
    return time.isoformat() if isinstance(time, datetime) else None


def lasting(span: timedelta) -> str:
    """A duration as a person reads it, in its two largest units: `2 d 3 h`, `5 s`."""
    seconds = int(abs(span.total_seconds()))
    sizes = {"d": 86_400, "h": 3600, "min": 60, "s": 1}
    parts: list[str] = []
    for unit, size in sizes.items():
        number, seconds = divmod(seconds, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2])
