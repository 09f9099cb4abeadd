"""Durations as people type them (`2h`, `45d`, `1h30m`, `250ms`) and read them (`3 d 4 h`)."""

import re

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+", re.ASCII)
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)


def seconds(text: str) -> float:
    """Return the seconds of a text such as `2h`, `45d`, `1h30m`; raises ValueError."""
    if not WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration such as 2h, 45d or 30s")
    return sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))


def words(seconds: float) -> str:
    """Return a length of time with its two largest units, whole ones: `3 d 4 h`, `45 s`."""
    left, parts = round(seconds), []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts.append((count, unit))
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = [f"{count} {unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(shown) or "0 s"
