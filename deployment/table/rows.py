"""From tables of TOML to dataclasses: each key is known and of its type, or refused by its path."""

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def read(row: type[T], table: object, path: str, problems: list[str], **given: Any) -> T | None:
    """One row; `given` are fields that are not in the table. Mistakes are added to `problems`."""
    if not isinstance(table, Mapping):
        problems.append(f"{path}: must be a table")
        return None
    hints = _hints(row)  # type: ignore[arg-type]
    fields = {f.name: f for f in dataclasses.fields(row) if f.name not in given}  # type: ignore[arg-type]
    before = len(problems)
    problems += [f"{path}.{key}: unknown key" for key in table if key not in fields]
    for name, field in fields.items():
        if name in table:
            given[name] = _value(table[name], hints[name], f"{path}.{name}", problems)
        elif _is_required(field):
            problems.append(f"{path}.{name}: missing")
    return row(**given) if len(problems) == before else None


def read_all(row: type[T], table: object, path: str, problems: list[str]) -> dict[str, T]:
    """All rows of a table of tables; each has its key as `name`."""
    if not isinstance(table, Mapping):
        problems.append(f"{path}: must be a table of tables")
        return {}
    rows = {
        key: read(row, value, f"{path}.{key}", problems, name=key) for key, value in table.items()
    }
    return {key: value for key, value in rows.items() if value is not None}


def names(row: type[Any]) -> set[str]:
    """The keys that a row may have."""
    return {field.name for field in dataclasses.fields(row)} - {"name"}


@functools.cache
def _hints(row: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(row)


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _value(value: object, hint: Any, path: str, problems: list[str]) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        hint = next(it for it in arguments if it is not type(None))
        return _value(value, hint, path, problems)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(it, arguments[0], path, problems) for it in value)
    if origin in (dict, Mapping) or hint is Mapping:
        if isinstance(value, dict):
            return value
    elif type(value) in ((int, float) if hint is float else (hint,)):
        return value
    problems.append(f"{path}: is {value!r}, but must be {_wanted(hint, origin, arguments)}")
    return None


def _wanted(hint: Any, origin: Any, arguments: tuple[Any, ...]) -> str:
    if origin is tuple:
        return f"a list of {NAMES.get(arguments[0], arguments[0])}"
    return NAMES.get(hint, "a table")
