"""The fields of a JSON object that came from outside: read, and checked.

Every function raises MalformedError with one sentence that names the field and what it is instead.
"""

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

from common.errors import MalformedError

MAX_TEXT = 2048
"""Bytes of an id, an address or a name."""
MAX_DEPTH = 100
"""Levels of objects and lists inside one another; whoever works on them may count on that."""
LARGEST = 2**53
"""The largest number that every JSON reader holds exactly."""

_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}


def parse_object(data: bytes, what: str, limit: int) -> dict[str, Any]:
    """A JSON object in UTF-8 of at most `limit` bytes; an error calls it `what`."""
    if len(data) > limit:
        raise MalformedError(f"{what} has {len(data)} bytes, more than {limit}")
    try:
        value = json.loads(data.decode(), parse_float=_finite, parse_constant=_refuse_constant)
        if b"\\u" in data:  # the only way to half a character
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"{what} is not UTF-8: {error}") from error
    except UnicodeEncodeError as error:
        raise MalformedError(f"{what} has half a character in it: {error.reason}") from error
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is {kind(value)}, not an object")
    if _is_deeper(value, MAX_DEPTH):
        raise MalformedError(f"{what} has more than {MAX_DEPTH} levels of objects and lists")
    return value


def text(fields: Mapping[str, Any], name: str, prefix: str = "") -> str:
    """A required, non-empty string of at most MAX_TEXT bytes."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        shown = "empty" if isinstance(value, str) else kind(value)
        raise MalformedError(f"{prefix}{name} is {shown}, not a non-empty string")
    if (size := len(value.encode())) > MAX_TEXT:
        raise MalformedError(f"{prefix}{name} has {size} bytes, more than {MAX_TEXT}")
    return value


def whole(fields: Mapping[str, Any], name: str) -> int:
    """A required whole number, 0 or more."""
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise MalformedError(f"{name} is {kind(value)}, not a whole number")
    return value


def kind(value: Any) -> str:
    """What a JSON value is, for an error: "a list"."""
    return "missing or null" if value is None else kind_of(type(value))


def kind_of(expected: type | tuple[type, ...]) -> str:
    """What a value of this type is, for an error: "a number"."""
    return _KINDS.get(expected, "a number") if isinstance(expected, type) else "a number"


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether there are more levels than that; level by level, not by recursion."""
    level = [value]
    for _ in range(levels):
        level = [inner for outer in level for inner in _inside(outer) if _inside(inner)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text:.40} is larger than any number")
    return number


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
