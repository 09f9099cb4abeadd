"""Events: from bytes to checked values, or a sentence that says what is wrong."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from common.errors import MalformedError, NothingToDoError

MAX_BYTES = 512 * 1024
"""Of an event; Eventarc carries no more, https://docs.cloud.google.com/functions/quotas."""
MAX_TEXT = 2048
"""Bytes of an id, an address or a name."""

NUMBER: tuple[type, ...] = (int, float)
"""A payload field's type: a number, not a boolean, within what a double holds exactly."""
LARGEST = 2**53

Fields = Mapping[str, type | tuple[type, ...]]
"""Payload fields and their types; a name ending in `?` may be missing, null or empty."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event of the shop."""

    event_id: str
    """The producer's id; Pub/Sub's own changes when a message is published again."""
    event_type: str
    user_id: str
    payload: Mapping[str, Any]
    occurred_at: datetime | None
    raw: bytes
    """As received."""
    replay_of: str | None = None

    @property
    def identity(self) -> Any:
        """What makes it this event; a producer may stamp `occurred_at` again."""
        return {
            "event_type": self.event_type,
            "user_id": self.user_id,
            "payload": dict(self.payload),
        }


def parse(data: bytes, schemas: Mapping[str, Fields], replay_of: str | None = None) -> Event:
    """The event in a message's data.

    Raises MalformedError: one sentence that names the field; and NothingToDoError (`ignored`) for
    one of a type that `schemas` does not name.
    """
    fields = parse_object(data, "the event", MAX_BYTES)
    event_type = text(fields, "event_type")
    if event_type not in schemas:
        raise NothingToDoError("ignored", f"{event_type!r:.100} is no type of event handled here")
    payload = fields.get("payload", None if schemas[event_type] else {})
    if not isinstance(payload, dict):
        raise MalformedError(f"payload is {_kind(payload)}, not an object")
    for name, expected in schemas[event_type].items():
        _check(payload, name, expected)
    return Event(
        event_id=text(fields, "event_id"),
        event_type=event_type,
        user_id=text(fields, "user_id"),
        payload=payload,
        occurred_at=_time(fields.get("occurred_at")),
        raw=data,
        replay_of=replay_of,
    )


def parse_object(data: bytes, what: str, limit: int) -> dict[str, Any]:
    """A JSON object in UTF-8. Raises MalformedError saying what it is instead."""
    if len(data) > limit:
        raise MalformedError(f"{what} has {len(data)} bytes, more than {limit}")
    try:
        value = json.loads(data.decode(), parse_constant=_refuse_constant)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"{what} is not UTF-8: {error}") from error
    except UnicodeEncodeError as error:
        raise MalformedError(f"{what} has half a character in it: {error.reason}") from error
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is {_kind(value)}, not an object")
    return value


def text(fields: Mapping[str, Any], name: str, prefix: str = "") -> str:
    """A required, non-empty string of moderate length. Raises MalformedError."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        shown = "empty" if isinstance(value, str) else _kind(value)
        raise MalformedError(f"{prefix}{name} is {shown}, not a non-empty string")
    if len(value.encode()) > MAX_TEXT:
        size = len(value.encode())
        raise MalformedError(f"{prefix}{name} has {size} bytes, more than {MAX_TEXT}")
    return value


def whole(fields: Mapping[str, Any], name: str) -> int:
    """A required whole number. Raises MalformedError."""
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise MalformedError(f"{name} is {_kind(value)}, not a whole number")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise MalformedError(f"occurred_at is {value!r:.100}, not an RFC 3339 time") from error
    if time.tzinfo is None:
        raise MalformedError(f"occurred_at is {value!r:.100}, without a time zone")
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise MalformedError(f"occurred_at is {value!r:.100}, out of range") from error


def _check(payload: Mapping[str, Any], name: str, expected: type | tuple[type, ...]) -> None:
    is_optional, name = name.endswith("?"), name.removesuffix("?")
    value: Any = payload.get(name)
    if is_optional and value in (None, ""):
        return
    if expected is str:
        text(payload, name, "payload.")
    elif (isinstance(value, bool) and expected is not bool) or not isinstance(value, expected):
        raise MalformedError(f"payload.{name} is {_kind(value)}, not {_kind_of(expected)}")
    elif isinstance(value, int | float) and abs(value) > LARGEST:
        raise MalformedError(f"payload.{name} is out of range")


def _kind_of(expected: type | tuple[type, ...]) -> str:
    return "a number" if isinstance(expected, tuple) else _KINDS[expected]


_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}


def _kind(value: Any) -> str:
    return "missing or null" if value is None else _KINDS.get(type(value), "a number")
