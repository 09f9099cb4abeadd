"""Field paths (``a.`b c`.d``) and what they name inside a document's fields."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from local.kernel.refusals import invalid
from local.services.firestore.messages import Document
from local.services.firestore.paths import is_reserved

FieldPath = tuple[str, ...]
NAME: FieldPath = ("__name__",)
"""The pseudo field that stands for the document's name."""

_SEGMENT = re.compile(r"(?:([a-zA-Z_][a-zA-Z_0-9]*)|`((?:[^`\\]|\\.)+)`)(\.|$)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_RULE = (
    "Unquoted property paths must match regex ([a-zA-Z_][a-zA-Z_0-9]*), and quoted property paths"
    r" must match regex (`(?:[^`\\]|(?:\\.))+`)"
)


@lru_cache(maxsize=4096)
def parse(text: str) -> FieldPath:
    """The names along a path. Raises Status."""
    if not text:
        raise invalid("Invalid empty property path string.")
    found, place = [], 0
    while place < len(text) or text[-1] == ".":
        match = _SEGMENT.match(text, place)
        if not match:
            raise invalid(f'Invalid property path "{text}". {_RULE}')
        plain, quoted = match[1], match[2]
        found.append(plain if quoted is None else _ESCAPED.sub(r"\1", quoted))
        place = match.end()
    return tuple(found)


@lru_cache(maxsize=4096)
def parse_own(text: str) -> FieldPath:
    """Like `parse`, of a field that a caller may write. Raises Status."""
    path = parse(text)
    for name in path:
        if is_reserved(name):
            raise invalid(f"Invalid reserved name in field path {text}")
    return path


@lru_cache(maxsize=4096)
def parse_queried(text: str) -> FieldPath:
    """Like `parse_own`, of a field a query goes by, which may be the name. Raises Status."""
    path = parse(text)
    return path if path == NAME else parse_own(text)


def get(fields: Any, path: FieldPath) -> Any:
    """The value at a path of a field map; None if it is not there."""
    *outer, last = path
    for name in outer:
        if name not in fields:
            return None
        value = fields[name]
        if not is_map(value):
            return None
        fields = value.map_value.fields
    return fields.get(last)


def is_map(value: Any) -> bool:
    """Whether a value is a map, with fields of its own: a vector is written as one, and is none."""
    return value.WhichOneof("value_type") == "map_value" and not is_vector(value.map_value.fields)


def is_vector(fields: Any) -> bool:
    """Whether the fields of a map are the platform's way to write a vector."""
    return "__type__" in fields and fields["__type__"].string_value == "__vector__"


def put(fields: Any, path: FieldPath, value: Any) -> None:
    """Set the value at a path, making maps on the way of whatever is there."""
    *outer, last = path
    for name in outer:
        inner = fields[name]
        if not is_map(inner):
            inner.map_value.Clear()
            inner.map_value.SetInParent()
        fields = inner.map_value.fields
    fields[last].CopyFrom(value)


def remove(fields: Any, path: FieldPath) -> None:
    """Delete the value at a path, if it is there."""
    *outer, last = path
    if outer:
        inner = get(fields, tuple(outer))
        if inner is None or not is_map(inner):
            return
        fields = inner.map_value.fields
    if last in fields:
        del fields[last]


def project(document: Any, paths: Iterable[FieldPath]) -> Any:
    """A copy of a document with these fields only."""
    copy = Document(name=document.name)
    for path in paths:
        value = get(document.fields, path)
        if value is not None:
            put(copy.fields, path, value)
    if document.HasField("update_time"):
        copy.create_time.CopyFrom(document.create_time)
        copy.update_time.CopyFrom(document.update_time)
    return copy
