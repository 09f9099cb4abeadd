"""What a write does to the fields of a document, as the service does it.

    write ── writes.change ──▶ change ── stored ──▶ checked, and as it is read again ── apply ──▶

Everything here is a pure function. A value or a name that Firestore does not take is a ValueError
or a TypeError.
"""

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from common.cloud.firestore import MAX_ID_BYTES, SERVER_TIMESTAMP, Create, Merge, Update
from common.cloud.writes import Change, Fields, Path, change, put

MAX_DOCUMENT_BYTES = 1 << 20
MAX_VALUE_BYTES = (1 << 20) - 89
MAX_DEPTH = 20
"""How deep maps may lie in maps and lists."""
MAX_INTEGER, MIN_INTEGER = (1 << 63) - 1, -(1 << 63)
MISSING = object()
"""What `get` returns where there is no such field; None is a value."""


def stored(write: Create | Update | Merge) -> Change:
    """The change that a write makes, its values as they are read again; shares none with the write.

    Raises ValueError and TypeError.
    """
    made = change(write)
    for path in [*made.transforms, *(made.mask or ()), *((name,) for name in made.values)]:
        _check_path(path)
    return replace(
        made,
        values={name: _stored(value, 0) for name, value in made.values.items()},
        transforms={path: _transform(it) for path, it in made.transforms.items()},
    )


def apply(change: Change, before: Fields | None, time: datetime) -> Fields:
    """The fields after a change that is committed at `time`; `before` stays as it is."""
    after: Fields = copied((before or {}) if change.mask is not None else change.values)
    for path in change.mask or ():
        value = get(change.values, path)
        if value is MISSING:
            _remove(after, path)
        else:
            put(after, path, copied(value))
    for path, transform in change.transforms.items():
        put(after, path, _transformed(get(after, path), transform, time))
    return after


def get(fields: Any, path: Path) -> Any:
    """The value at a path; MISSING if there is none."""
    for name in path:
        if not isinstance(fields, dict) or name not in fields:
            return MISSING
        fields = fields[name]
    return fields


def copied(value: Any) -> Any:
    """A copy; what cannot be changed is shared."""
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are stored in the same way: 1 and 1.0 are not, NaN and NaN are."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one.hex() == other.hex() if isinstance(one, float) else bool(one == other)


def check_size(path: str, fields: Fields) -> None:
    """Raises ValueError for a document of more than 1 MiB, as the service counts."""
    size = sum(len(part.encode()) + 1 for part in path.split("/")) + 48 + _size(fields)
    if size > MAX_DOCUMENT_BYTES:
        raise ValueError(f"document {path} has {size} bytes, more than {MAX_DOCUMENT_BYTES}")


def _transform(leaf: Any) -> Any:
    if leaf is SERVER_TIMESTAMP:
        return leaf
    by = _stored(leaf.value, 0)
    if not _is_number(by):
        raise TypeError(f"{by!r:.100} is no number to increment by")
    return by


def _check_name(name: str) -> None:
    if not 0 < len(name.encode()) <= MAX_ID_BYTES:
        raise ValueError(f"{name!r:.100} is no name of a field")


def _check_path(path: Path) -> None:
    for name in path:
        _check_name(name)
        if len(name) > 4 and name.startswith("__") and name.endswith("__"):
            raise ValueError(f"the name {name} is reserved")


def _stored(value: Any, depth: int, *, in_list: bool = False) -> Any:
    """The value as it is read again; `depth`: how many maps and lists it lies in."""
    match value:
        case None | bool():
            return value
        case int():
            if not MIN_INTEGER <= value <= MAX_INTEGER:
                raise ValueError(f"{value} has more than 64 bits")
            return int(value)
        case float():
            return float(value)
        case str():
            return _checked_size(str.__str__(value))
        case bytes():
            return _checked_size(value)
        case datetime():
            return timestamp(value)
        case dict():
            return _stored_map(value, depth + 1)
        case list() | tuple() | set() | frozenset():
            if in_list:
                raise ValueError("a list lies in a list")
            return [_stored(item, depth + 1, in_list=True) for item in value]
    raise TypeError(f"{value!r:.100} is of a type that is not stored")


def _stored_map(value: dict[Any, Any], depth: int) -> Fields:
    if depth > MAX_DEPTH:
        raise ValueError(f"maps lie deeper than {MAX_DEPTH}")
    for name in value:
        if not isinstance(name, str):
            raise TypeError(f"{name!r:.100} is no name of a field")
        _check_path((name,))
    return {str(name): _stored(item, depth) for name, item in value.items()}


def _checked_size(value: Any) -> Any:
    if len(value.encode() if isinstance(value, str) else value) > MAX_VALUE_BYTES:
        raise ValueError(f"a value has more than {MAX_VALUE_BYTES} bytes")
    return value


def timestamp(value: datetime) -> datetime:
    """The moment as it is read again: UTC, in microseconds; one without a zone is taken as UTC."""
    utc = value.astimezone(UTC) if value.tzinfo else value
    date, time = (utc.year, utc.month, utc.day), (utc.hour, utc.minute, utc.second)
    return datetime(*date, *time, utc.microsecond, tzinfo=UTC)


def _transformed(present: Any, transform: Any, time: datetime) -> Any:
    if transform is SERVER_TIMESTAMP:
        return timestamp(time.replace(microsecond=time.microsecond // 1000 * 1000))
    if not _is_number(present):
        return transform
    total = present + transform
    return total if isinstance(total, float) else min(max(total, MIN_INTEGER), MAX_INTEGER)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _remove(fields: Fields, path: Path) -> None:
    outer = get(fields, path[:-1])
    if isinstance(outer, dict):
        outer.pop(path[-1], None)


def _size(value: Any) -> int:
    match value:
        case dict():
            return sum(len(name.encode()) + 1 + _size(item) for name, item in value.items())
        case list():
            return sum(map(_size, value))
        case str():
            return len(value.encode()) + 1
        case bytes():
            return len(value)
        case None | bool():
            return 1
    return 8
