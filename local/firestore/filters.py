"""Filters of a query as predicates over a document.

Values are compared by their encodings (`values.encode`); a document that lacks the field matches
nothing, and `<` and its kin compare only what is of one type.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from local.firestore import fields as field_paths
from local.firestore import values
from local.firestore.fields import NAME, FieldPath
from local.firestore.messages import StructuredQuery
from local.firestore.refusals import invalid

Fields = Any
Predicate = Callable[[Fields, bytes], bool]
"""(a document's field map, its key) → whether it matches."""

_OPERATORS = StructuredQuery.FieldFilter.Operator
_UNARY = StructuredQuery.UnaryFilter.Operator
_COMPOSITE = StructuredQuery.CompositeFilter.Operator
INEQUALITIES = frozenset(
    {
        "LESS_THAN",
        "LESS_THAN_OR_EQUAL",
        "GREATER_THAN",
        "GREATER_THAN_OR_EQUAL",
        "NOT_EQUAL",
        "NOT_IN",
        "IS_NOT_NULL",
        "IS_NOT_NAN",
    }
)
_NEGATIVE = frozenset({"NOT_EQUAL", "NOT_IN", "IS_NOT_NULL", "IS_NOT_NAN"})
MAX_NOT_IN = 10
MAX_DISJUNCTIONS = 30


@dataclass(frozen=True)
class Condition:
    """One comparison of one field."""

    path: FieldPath
    operator: str
    operand: bytes = b""
    """Encoded."""
    operands: tuple[bytes, ...] = ()
    """Of IN, NOT_IN and ARRAY_CONTAINS_ANY."""
    has_null: bool = False


@dataclass(frozen=True)
class Group:
    """Conditions joined by AND or OR."""

    is_and: bool
    members: "tuple[Filter, ...]"


Filter = Condition | Group


def parse(message: Any) -> Filter:
    """A filter from a StructuredQuery.Filter message. Raises Status."""
    kind = message.WhichOneof("filter_type")
    if kind == "composite_filter":
        return _composite(message.composite_filter)
    if kind == "field_filter":
        return _field(message.field_filter)
    if kind == "unary_filter":
        return _unary(message.unary_filter)
    raise invalid("Filter type must be specified.")


def conditions(given: Filter | None) -> Iterator[Condition]:
    """All comparisons in a filter."""
    if isinstance(given, Condition):
        yield given
    elif given is not None:
        for member in given.members:
            yield from conditions(member)


def required(given: Filter | None) -> Iterator[Condition]:
    """The comparisons that hold for every match: those not under an OR."""
    if isinstance(given, Condition):
        yield given
    elif given is not None and (given.is_and or len(given.members) == 1):
        for member in given.members:
            yield from required(member)


def predicate(given: Filter | None) -> Predicate:
    """The filter as a function."""
    if given is None:
        return lambda fields, key: True
    if isinstance(given, Condition):
        return _test(given)
    tests = [predicate(member) for member in given.members]
    if given.is_and:
        return lambda fields, key: all(test(fields, key) for test in tests)
    return lambda fields, key: any(test(fields, key) for test in tests)


def check(given: Filter | None) -> None:
    """Refuse combinations the platform refuses. Raises Status."""
    negative = [c for c in conditions(given) if c.operator in _NEGATIVE]
    if len(negative) > 1:
        raise invalid("Cannot have more than one NOT_IN, NOT_EQUAL, IS_NOT_NULL or IS_NOT_NAN.")


def _composite(message: Any) -> Filter:
    if message.op not in (_COMPOSITE.AND, _COMPOSITE.OR):
        raise invalid("Composite filter operator must be specified.")
    if not message.filters:
        raise invalid("Composite filter must have at least one filter.")
    return Group(message.op == _COMPOSITE.AND, tuple(map(parse, message.filters)))


def _unary(message: Any) -> Condition:
    if not message.op:
        raise invalid("Unary filter operator must be specified.")
    return Condition(field_paths.parse(message.field.field_path), _UNARY.Name(message.op))


def _field(message: Any) -> Condition:
    if not message.op:
        raise invalid("Field filter operator must be specified.")
    path, operator = field_paths.parse(message.field.field_path), _OPERATORS.Name(message.op)
    if operator in ("IN", "NOT_IN", "ARRAY_CONTAINS_ANY"):
        return _several(path, operator, message.value)
    _check_operand(path, operator, message.value)
    encoded = values.encode(message.value)
    if operator in ("EQUAL", "NOT_EQUAL") and encoded in (values.NULL, values.NAN):
        unary = "IS_" if operator == "EQUAL" else "IS_NOT_"
        return Condition(path, unary + ("NULL" if encoded == values.NULL else "NAN"))
    return Condition(path, operator, encoded)


def _several(path: FieldPath, operator: str, value: Any) -> Condition:
    given = value.array_value.values
    if value.WhichOneof("value_type") != "array_value" or not given:
        raise invalid(f"'{operator}' requires an non-empty ArrayValue.")
    most = MAX_NOT_IN if operator == "NOT_IN" else MAX_DISJUNCTIONS
    if len(given) > most:
        raise invalid(f"'{operator}' supports up to {most} comparison values.")
    if operator != "ARRAY_CONTAINS_ANY":
        for element in given:
            _check_operand(path, operator, element)
    encoded = tuple(map(values.encode, given))
    return Condition(path, operator, operands=encoded, has_null=values.NULL in encoded)


def _check_operand(path: FieldPath, operator: str, value: Any) -> None:
    if value.WhichOneof("value_type") is None:
        raise invalid("Cannot convert firestore.v1.Value with type unset.")
    if path == NAME and value.WhichOneof("value_type") != "reference_value":
        raise invalid("__key__ filter value must be a Key")


def _test(condition: Condition) -> Predicate:
    test = _TESTS[condition.operator](condition)
    path = condition.path
    if path == NAME:
        return lambda fields, key: test(values.reference(key), None)
    needs_array = condition.operator.startswith("ARRAY")

    def matches(fields: Fields, key: bytes) -> bool:
        value = field_paths.get(fields, path)
        if value is None:
            return False
        return test(b"" if needs_array else values.encode(value), value)

    return matches


Test = Callable[[bytes, Any], bool]
"""(encoded value, value) → whether it passes."""


def _compare(wanted: Callable[[bytes, bytes], bool]) -> Callable[[Condition], Test]:
    def make(condition: Condition) -> Test:
        operand = condition.operand
        kind = values.bracket(operand)
        return lambda value, _: values.bracket(value) == kind and wanted(value, operand)

    return make


def _in(condition: Condition) -> Test:
    wanted = frozenset(condition.operands) - {values.NULL, values.NAN}
    return lambda value, _: value in wanted


def _not_in(condition: Condition) -> Test:
    unwanted = frozenset((*condition.operands, values.NULL))
    return lambda value, _: not condition.has_null and value not in unwanted


def _contains(condition: Condition) -> Test:
    return lambda _, value: condition.operand in values.elements(value)


def _contains_any(condition: Condition) -> Test:
    wanted = frozenset(condition.operands)
    return lambda _, value: not wanted.isdisjoint(values.elements(value))


_TESTS: dict[str, Callable[[Condition], Test]] = {
    "EQUAL": lambda condition: lambda value, _: value == condition.operand,
    "NOT_EQUAL": lambda condition: (
        lambda value, _: value != condition.operand and value != values.NULL
    ),
    "LESS_THAN": _compare(lambda value, operand: value < operand),
    "LESS_THAN_OR_EQUAL": _compare(lambda value, operand: value <= operand),
    "GREATER_THAN": _compare(lambda value, operand: value > operand),
    "GREATER_THAN_OR_EQUAL": _compare(lambda value, operand: value >= operand),
    "IN": _in,
    "NOT_IN": _not_in,
    "ARRAY_CONTAINS": _contains,
    "ARRAY_CONTAINS_ANY": _contains_any,
    "IS_NULL": lambda condition: lambda value, _: value == values.NULL,
    "IS_NAN": lambda condition: lambda value, _: value == values.NAN,
    "IS_NOT_NULL": lambda condition: lambda value, _: value != values.NULL,
    "IS_NOT_NAN": lambda condition: lambda value, _: value not in (values.NAN, values.NULL),
}
