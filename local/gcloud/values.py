"""How the values of flags are read, and what real gcloud refuses before it sends anything."""

import re
from collections.abc import Callable

from local.gcloud.errors import UsageError

UNITS = {"": 1.0, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "ms": 0.001, "us": 1e-6}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|[smhdw]?)")
KEY = re.compile(r"[a-zß-öø-ÿ](?:[-_\w]{0,62})")
LABEL = re.compile(r"[-_\w]{0,63}")
BAD_KEY = (
    "Only hyphens (-), underscores (_), lowercase characters, and numbers are allowed. Keys must "
    "start with a lowercase character. International characters are allowed. Key length must not "
    "exceed 63 characters."
)
BAD_VALUE = (
    "Only hyphens (-), underscores (_), lowercase characters, and numbers are allowed. "
    "International characters are allowed."
)
TOPIC = re.compile(r"[A-Za-z][-+._~%A-Za-z0-9]{2,254}")
URL = re.compile(r"https?://.+")


def seconds(text: str) -> float:
    """Return how long `90s`, `24h` or `1h30m` is; raises UsageError."""
    parts = PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        unit = re.sub(r"^[\d.]+", "", text)
        wrong = f"Duration unit '{unit}' must be preceded by a number"
        raise UsageError(f"Failed to parse duration: {wrong}")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def duration(text: str) -> str:
    """Return `90s`, `24h` or `1h30m` as the APIs write it: `5400s`."""
    return f"{seconds(text):.9f}".rstrip("0").rstrip(".") + "s"


def between(least: str, most: str) -> Callable[[str], str]:
    """Return what reads durations within limits."""

    def read(text: str) -> str:
        if seconds(text) < seconds(least):
            raise UsageError(f"value must be greater than or equal to {least}; received: {text}")
        if seconds(text) > seconds(most):
            raise UsageError(f"value must be less than or equal to {most}; received: {text}")
        return duration(text)

    return read


def pairs(text: str) -> dict[str, str]:
    """Return `a=b,c=d` as a dictionary; `^;^a=b;c=d` has another separator."""
    separator = ","
    if text.startswith("^"):
        separator, _, text = text[1:].partition("^")
    items = [item.partition("=") for item in text.split(separator) if item]
    if not all(equals for _, equals, _ in items):
        wrong = next(key for key, equals, _ in items if not equals)
        raise UsageError(f"Bad syntax for dict arg: [{wrong}].")
    return {key: value for key, _, value in items}


def labels(text: str) -> dict[str, str]:
    """Return labels; raises UsageError for one that no resource may have."""
    read = pairs(text)
    for key, value in read.items():
        if not KEY.fullmatch(key) or key != key.lower():
            raise UsageError(f"Bad value [{key}]: {BAD_KEY}")
        if not LABEL.fullmatch(value) or value != value.lower():
            raise UsageError(f"Bad value [{value}]: {BAD_VALUE}")
    return read


def url(text: str) -> str:
    """Return an address of HTTP; raises UsageError."""
    if not URL.fullmatch(text):
        raise UsageError(f"Bad value [{text}]: Must be a valid HTTP or HTTPS URL.")
    return text


def topic(text: str) -> str:
    """Return the id of a topic; raises UsageError."""
    if not TOPIC.fullmatch(text):
        raise UsageError(
            f"Invalid value '{text}': Topic must contain only Latin letters (lower- or "
            "upper-case), digits and the characters - + . _ ~ %. It must start with a letter and "
            "be from 3 to 255 characters long."
        )
    return text


def attempts(text: str) -> int:
    """Return a number of attempts; `unlimited` is -1."""
    return -1 if text == "unlimited" else int(text)
