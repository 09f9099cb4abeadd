"""JSON as values: a fingerprint that ignores spelling, and text that reads back exactly."""

import hashlib
import json
from typing import Any

from common.errors import ResultNotStorableError


def fingerprint(value: Any) -> str:
    """A digest of a JSON value; equal values have the same one: {"a": 1, "b": 2} and
    {"b": 2.0, "a": 1} do, because neither the order of keys nor the spelling of numbers counts."""
    text = json.dumps(_by_value(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def to_json(value: Any) -> str:
    """The value as JSON text that reads back as an equal value of the same types.

    Raises ResultNotStorableError for a value that would not read back so: a tuple, a set, a key
    that is no string, a date, NaN.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultNotStorableError(f"{type(value).__name__} cannot be stored: {error}") from error
    if not _is_same(value, json.loads(text)):
        raise ResultNotStorableError(f"{value!r:.200} would not read back as it is")
    return text


def _by_value(value: Any) -> Any:
    match value:
        case dict():
            return {name: _by_value(item) for name, item in value.items()}
        case list():
            return [_by_value(item) for item in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _is_same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_is_same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return bool(one == other)
