"""What a write does to the fields of a document, as client and service do it together.

    write's fields ──▶ leaves, each at its path ──┬── values, with a mask of the paths they replace
                                                  └── transforms: of the value that is there then

Everything here is a pure function. A value or a name that Firestore does not take is a ValueError
or a TypeError.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.cloud.firestore_v1.field_path import FieldPath

from common.cloud.firestore import (
    DELETE_FIELD,
    MAX_ID_BYTES,
    SERVER_TIMESTAMP,
    Create,
    Increment,
    Merge,
    Update,
)

MAX_DOCUMENT_BYTES = 1 << 20
MAX_VALUE_BYTES = (1 << 20) - 89
MAX_DEPTH = 20
"""How deep maps may lie in maps and lists."""
MAX_INTEGER, MIN_INTEGER = (1 << 63) - 1, -(1 << 63)
MISSING = object()
"""What `get` returns where there is no such field; None is a value."""

Fields = dict[str, Any]
Path = tuple[str, ...]
"""The names along the way to a field."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A write, taken apart and checked; nothing in it is shared with whoever made the write."""

    values: Fields
    """What is set."""
    mask: tuple[Path, ...] | None
    """The fields that are replaced by the values, or removed where there is none; None: all."""
    transforms: Mapping[Path, Any] = field(default_factory=dict)
    """SERVER_TIMESTAMP, or the number to add, by field."""


def change(write: Create | Update | Merge) -> Change:
    """The change that a write makes. Raises ValueError and TypeError."""
    leaves = dict(_leaves(write.fields, by_path=isinstance(write, Update)))
    transforms = {path: _transform(leaf) for path, leaf in leaves.items() if _is_transform(leaf)}
    deleted = [path for path, leaf in leaves.items() if leaf is DELETE_FIELD]
    mask = _mask(write, leaves, deleted)
    values: Fields = {}
    for path, leaf in leaves.items():
        if path not in transforms and leaf is not DELETE_FIELD:
            put(values, path, leaf)
    for path in [*transforms, *(mask or ())]:
        _check_reserved(path)
    for name in values:
        _check_reserved((name,))
    stored = {name: _stored(value, 0) for name, value in values.items()}
    masked = None if mask is None else tuple(path for path in mask if path not in transforms)
    return Change(values=stored, mask=masked, transforms=transforms)


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


def put(fields: Fields, path: Path, value: Any) -> None:
    """Set the value at a path, and make maps on the way of whatever is there."""
    *outer, last = path
    for name in outer:
        if not isinstance(fields.get(name), dict):
            fields[name] = {}
        fields = fields[name]
    fields[last] = value


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


def field_path(text: str) -> Path:
    """The names along a dotted path: `a.b`, or, with quotes, a.`b c`. Raises ValueError."""
    return tuple(FieldPath.from_string(text).parts)


def _leaves(fields: Mapping[str, Any], *, by_path: bool) -> Iterator[tuple[Path, Any]]:
    for name, value in fields.items():
        path = field_path(name) if by_path else tuple(FieldPath(name).parts)
        for part in path:
            _check_name(part)
        if isinstance(value, dict) and value:
            for inner, leaf in _leaves(value, by_path=False):
                yield (*path, *inner), leaf
        else:
            yield path, value


def _mask(
    write: Create | Update | Merge, leaves: Mapping[Path, Any], deleted: list[Path]
) -> list[Path] | None:
    match write:
        case Create():
            if deleted:
                raise ValueError("a new document has no fields to delete")
            return None
        case Merge():
            return list(leaves)
    named = [field_path(name) for name in write.fields]
    if not named:
        raise ValueError("an update of no fields")
    for path in named:
        if any(path[:length] in named for length in range(1, len(path))):
            raise ValueError(f"{'.'.join(path)} is inside of another updated field")
    if nested := set(deleted) - set(named):
        raise ValueError(f"an update deletes fields by their paths, not inside of maps: {nested}")
    return named


def _is_transform(leaf: Any) -> bool:
    return leaf is SERVER_TIMESTAMP or isinstance(leaf, Increment)


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


def _check_reserved(path: Path) -> None:
    for name in path:
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
        _check_name(name)
    return {str(name): _stored(item, depth) for name, item in value.items()}


def _checked_size(value: Any) -> Any:
    if len(value.encode() if isinstance(value, str) else value) > MAX_VALUE_BYTES:
        raise ValueError(f"a value has more than {MAX_VALUE_BYTES} bytes")
    return value


def timestamp(value: datetime) -> datetime:
    """The moment as it is read again: UTC, in microseconds; one without a zone is taken as UTC."""
    utc = value.astimezone(UTC) if value.tzinfo else value
    date, time = (utc.year, utc.month, utc.day), (utc.hour, utc.minute, utc.second)
    made: datetime = DatetimeWithNanoseconds(*date, *time, utc.microsecond, tzinfo=UTC)
    return made


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
