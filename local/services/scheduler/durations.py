"""Durations and times as REST writes them: `"180s"`, `"2027-01-04T08:00:00Z"`."""

import re
from datetime import UTC, datetime, tzinfo

from local.kernel.refusals import invalid

_DURATION = re.compile(r"(-?\d+(?:\.\d{1,9})?)s", re.A)


def seconds(text: str, field: str) -> float:
    """A duration's seconds; INVALID_ARGUMENT naming the field if it is none."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise invalid(f"{field}: {text!r} is not a duration.")
    return float(match[1])


def rfc3339(moment: datetime, zone: tzinfo = UTC) -> str:
    """A moment as text, with the zone's offset then; UTC is `Z`."""
    text = (moment if moment.tzinfo is zone else moment.astimezone(zone)).isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text
