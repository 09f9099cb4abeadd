"""What a commit consists of: the writes, and what each says of a document's fields.

    a write's fields ──▶ leaves, each at its path ──┬── values, with a mask of what they replace
                                                    └── transforms: of the value that is there then

A field's path is written `a.b`, and a name that is no identifier stands in backticks: a.`b c`.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from msgspec import Struct, field

Fields = dict[str, Any]
Path = tuple[str, ...]
"""The names along the way to a field."""


class Sentinel(Enum):
    """A value that is no value: what is to become of the field."""

    DELETE_FIELD = "delete"
    SERVER_TIMESTAMP = "time"


DELETE_FIELD = Sentinel.DELETE_FIELD
"""The value of a field that an Update or a Merge removes."""
SERVER_TIMESTAMP = Sentinel.SERVER_TIMESTAMP
"""The value of a field that becomes the commit's time, to the millisecond."""


class Increment(Struct, frozen=True):
    """The value of a field that a number is added to: `Increment(1)`."""

    value: int | float


class Create(Struct, frozen=True, kw_only=True):
    """Create the document; refused if it exists."""

    path: str
    fields: Mapping[str, Any]


class Update(Struct, frozen=True, kw_only=True):
    """Set fields (by name, or dotted path); refused unless last written at `update_time`."""

    path: str
    fields: Mapping[str, Any]
    update_time: datetime


class Merge(Struct, frozen=True, kw_only=True):
    """Set these fields and leave the others, whether the document exists or not."""

    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)


class Delete(Struct, frozen=True, kw_only=True):
    """Delete the document if it exists; with `update_time` refused unless last written then."""

    path: str
    update_time: datetime | None = None


class Absent(Struct, frozen=True, kw_only=True):
    """Write nothing; refused if the document exists.

    A delete with the precondition that there is nothing to delete, as Google's own client for
    Node.js has one (`WriteBatch.delete`, `{exists: false}`).
    """

    path: str


Write = Create | Update | Merge | Delete | Absent


class Change(Struct, frozen=True, kw_only=True):
    """What a write says of the fields of its document, taken apart."""

    values: Fields
    """What is set."""
    mask: tuple[Path, ...] | None
    """The fields that are replaced by the values, or removed where there is none; None: all."""
    transforms: Mapping[Path, Any]
    """SERVER_TIMESTAMP or an Increment, by field."""


def change(write: Create | Update | Merge) -> Change:
    """The change that a write makes. Raises ValueError for one that contradicts itself."""
    parts = _Parts()
    named = _paths(write)
    for path, value in zip(named, write.fields.values(), strict=True):
        if type(value) in _LEAVES and len(path) == 1:  # as most are
            parts.leaves.append(path)
            parts.values[path[0]] = value
        else:
            parts.add(path, value)
    mask = _mask(write, named, parts)
    if mask is not None and parts.transforms:
        mask = [path for path in mask if path not in parts.transforms]
    return Change(
        values=parts.values,
        mask=None if mask is None else tuple(mask),
        transforms=parts.transforms,
    )


class _Parts:
    """The fields of a write, taken apart into their leaves."""

    def __init__(self) -> None:
        self.values: Fields = {}
        self.leaves: list[Path] = []
        self.deleted: list[Path] = []
        self.transforms: dict[Path, Any] = {}

    def add(self, path: Path, value: Any) -> None:
        if len(path) == 1:
            self._take(path, value, self.values)
        else:
            holder: Fields = {}
            self._take(path, value, holder)
            if holder:
                put(self.values, path, holder[path[-1]])

    def _take(self, path: Path, value: Any, into: Fields) -> None:
        """Sort out the value at a path; `into` is the map that it lies in."""
        if isinstance(value, dict) and value:
            inner: Fields = {}
            for name, item in value.items():
                _check_name(name)
                self._take((*path, name), item, inner)
            if inner:
                into[path[-1]] = inner
            return
        self.leaves.append(path)
        if value is DELETE_FIELD:
            self.deleted.append(path)
        elif value is SERVER_TIMESTAMP or isinstance(value, Increment):
            self.transforms[path] = value
        else:
            into[path[-1]] = value


def put(fields: Fields, path: Path, value: Any) -> None:
    """Set the value at a path, and make maps on the way of whatever is there."""
    *outer, last = path
    for name in outer:
        if not isinstance(fields.get(name), dict):
            fields[name] = {}
        fields = fields[name]
    fields[last] = value


def parse_path(text: str) -> Path:
    """The names along a dotted path. Raises ValueError."""
    tokens = [match[0] for match in _TOKEN.finditer(text.strip())]
    if "".join(tokens) == text.strip() and _is_alternating(tokens):
        names = tuple(map(_unquoted, tokens[::2]))
        if all(names):
            return names
    names = tuple(text.split("."))
    if not all(names) or any(map(_ODD, names)):
        raise ValueError(f"{text!r:.100} is no path of a field")
    return names


@functools.lru_cache(maxsize=4096)
def render_path(path: Path) -> str:
    """The dotted path of these names: what `parse_path` takes apart again."""
    return ".".join(name if _SIMPLE(name) else _quoted(name) for name in path)


def _paths(write: Create | Update | Merge) -> tuple[Path, ...]:
    return _named(tuple(write.fields), isinstance(write, Update))


@functools.lru_cache(maxsize=1024)
def _named(names: tuple[str, ...], are_dotted: bool) -> tuple[Path, ...]:
    """The paths of an update's fields, or those of fields whose names are taken as they are."""
    for name in names:
        _check_name(name)
    if not are_dotted:
        return tuple((name,) for name in names)
    paths = tuple((name,) if _SIMPLE(name) else parse_path(name) for name in names)
    _check_apart(paths)
    return paths


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise ValueError(f"{name!r:.100} is no name of a field")


def _mask(
    write: Create | Update | Merge, named: Sequence[Path], parts: _Parts
) -> Sequence[Path] | None:
    match write:
        case Create():
            if parts.deleted:
                raise ValueError("a new document has no fields to delete")
            return None
        case Merge():
            return parts.leaves
    if not named:
        raise ValueError("an update of no fields")
    if nested := set(parts.deleted) - set(named):
        raise ValueError(f"an update deletes fields by their paths, not inside of maps: {nested}")
    return named


def _check_apart(named: Sequence[Path]) -> None:
    given = set(named)
    for path in named:
        if len(path) > 1 and any(path[:length] in given for length in range(1, len(path))):
            raise ValueError(f"{'.'.join(path)} is inside of another updated field")


def _is_alternating(tokens: list[str]) -> bool:
    """Whether names and dots take turns, beginning and ending with a name."""
    dots = [token == "." for token in tokens]
    return len(dots) % 2 == 1 and all(is_dot == bool(n % 2) for n, is_dot in enumerate(dots))


def _unquoted(token: str) -> str:
    if not token.startswith("`"):
        return token
    return token[1:-1].replace("\\`", "`").replace("\\\\", "\\")


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


_LEAVES = frozenset({str, int, float, bool, bytes, datetime, list, type(None)})
"""Types of values that are stored as they are, whatever write they are in."""
# As Google's client reads and writes paths: google/cloud/firestore_v1/field_path.py.
_SIMPLE = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*").fullmatch
_TOKEN = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*|`(?:\\`|[^`])*?`|\.")
_ODD = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*[~*/\[\]]").match
