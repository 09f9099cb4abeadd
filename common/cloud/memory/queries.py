"""Which documents a query returns, and in which order: as the service compares values.

    null < booleans < NaN < numbers < times < texts < bytes < lists < maps

A comparison with `<` and its kin holds only among values of one type; a document without the field
matches nothing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from common.cloud.firestore import Filter
from common.cloud.memory.fields import MISSING, get
from common.cloud.writes import Fields, Path, parse_path

ORDERING = ("<", "<=", ">", ">=", "!=", "not-in")
"""Operators whose field the results are ordered by."""

Key = tuple[Any, ...]
"""What values are compared by: the rank of the type, then the value."""
Test = Callable[[Any], bool]


def selected(documents: Mapping[str, Fields], filters: Sequence[Filter]) -> list[str]:
    """The names of the documents that pass all the filters, in order. Raises ValueError."""
    tests = [(parse_path(name), _test(operator, value)) for name, operator, value in filters]
    ordering = sorted({parse_path(name) for name, operator, _ in filters if operator in ORDERING})
    found = [
        name
        for name, fields in documents.items()
        if all(_passes(get(fields, path), test) for path, test in tests)
    ]
    return sorted(found, key=lambda name: (_place(documents[name], ordering), name.encode()))


def _passes(value: Any, test: Test) -> bool:
    return value is not MISSING and test(value)


def _place(fields: Fields, ordering: Sequence[Path]) -> list[Key]:
    return [_key(get(fields, path)) for path in ordering]


def _test(operator: str, operand: Any) -> Test:
    if operator not in _TESTS:
        raise ValueError(f"{operator!r} is none of the operators {', '.join(_TESTS)}")
    if (operand is None or _is_nan(operand)) and operator not in ("==", "!="):
        raise ValueError(f"{operand} can be asked for by == and != only")
    return _TESTS[operator](operand)


def _equal(operand: Any) -> Test:
    wanted = _key(operand)
    return lambda value: _key(value) == wanted


def _unequal(operand: Any) -> Test:
    unwanted = (_key(None), _key(operand))
    return lambda value: _key(value) not in unwanted


def _compared(holds: Callable[[Key, Key], bool]) -> Callable[[Any], Test]:
    def make(operand: Any) -> Test:
        wanted = _key(operand)

        def test(value: Any) -> bool:
            key = _key(value)
            return key[0] == wanted[0] and holds(key, wanted)

        return test

    return make


def _in(operand: Any) -> Test:
    wanted = [_key(item) for item in _listed(operand) if item is not None and not _is_nan(item)]
    return lambda value: _key(value) in wanted


def _not_in(operand: Any) -> Test:
    items = _listed(operand)
    unwanted = [_key(item) for item in items if not _is_nan(item)]
    return lambda value: None not in items and value is not None and _key(value) not in unwanted


def _contains(operand: Any) -> Test:
    wanted = _key(operand)
    return lambda value: isinstance(value, list) and wanted in map(_key, value)


def _contains_any(operand: Any) -> Test:
    wanted = [_key(item) for item in _listed(operand) if item is not None and not _is_nan(item)]
    return lambda value: isinstance(value, list) and any(_key(item) in wanted for item in value)


def _listed(operand: Any) -> list[Any]:
    if not isinstance(operand, list | tuple) or not operand:
        raise ValueError(f"{operand!r:.100} is no list of values to ask for")
    return list(operand)


_TESTS: dict[str, Callable[[Any], Test]] = {
    "==": _equal,
    "!=": _unequal,
    "<": _compared(lambda value, operand: value < operand),
    "<=": _compared(lambda value, operand: value <= operand),
    ">": _compared(lambda value, operand: value > operand),
    ">=": _compared(lambda value, operand: value >= operand),
    "in": _in,
    "not-in": _not_in,
    "array_contains": _contains,
    "array_contains_any": _contains_any,
}
_ORDER = ("null", "boolean", "nan", "number", "time", "text", "bytes", "list", "map")
_RANKS = {name: rank for rank, name in enumerate(_ORDER)}


def _key(value: Any) -> Key:
    match value:
        case None:
            return (_RANKS["null"],)
        case bool():
            return (_RANKS["boolean"], value)
        case int() | float():
            return (_RANKS["nan"],) if _is_nan(value) else (_RANKS["number"], value)
        case datetime():
            return (_RANKS["time"], value)
        case str():
            return (_RANKS["text"], value)
        case bytes():
            return (_RANKS["bytes"], value)
        case list() | tuple():
            return (_RANKS["list"], tuple(_key(item) for item in value))
        case dict():
            return (_RANKS["map"], tuple((name, _key(value[name])) for name in sorted(value)))
    raise TypeError(f"{value!r:.100} is of a type that is not stored")


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
