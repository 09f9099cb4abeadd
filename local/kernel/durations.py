"""Durations as people type them: `2h`, `45d`, `1h30m`, `250ms`."""

import re

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+", re.ASCII)
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)


def seconds(text: str) -> float:
    """How long that is; raises ValueError."""
    if not WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration such as 2h, 45d or 30s")
    return sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))
