"""Filters of a query as predicates over a document.

Values are compared by their encodings (`values.encode`); a document that lacks the field matches
nothing, and `<` and its kin compare only what is of one type.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from local.kernel.refusals import invalid
from local.services.firestore import fields as field_paths
from local.services.firestore import paths, values
from local.services.firestore.fields import NAME, FieldPath
from local.services.firestore.messages import StructuredQuery
from local.services.firestore.paths import AFTER

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
RANGES = frozenset(
    {"EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL"}
)
_EQUALITIES = frozenset({"EQUAL", "IN"})
_NEGATIVE = frozenset({"NOT_EQUAL", "NOT_IN", "IS_NOT_NULL", "IS_NOT_NAN"})
MAX_NOT_IN = 10
MAX_DISJUNCTIONS = 30
MAX_OPERAND_BYTES = 1500
_INCOMPARABLE = (values.NULL, values.NAN)
"""Not equal to anything, nor less; IS_NULL and IS_NAN find them."""
_VALUES = {"IS_NULL": values.NULL, "IS_NAN": values.NAN}
_DISJOINING = frozenset({"IN", "ARRAY_CONTAINS_ANY"})
_LISTING = _DISJOINING | {"NOT_IN"}


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

    def the_value(self) -> bytes | None:
        """The one encoded value the field can have; None: it can have several."""
        return self.operand if self.operator == "EQUAL" else _VALUES.get(self.operator)


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
    raise invalid("Unknown Filter type.")


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


def bounds(condition: Condition) -> tuple[bytes, bytes]:
    """Encodings between which all values lie that pass a condition (one of RANGES).

    For the name they are those of a position: key + END.
    """
    operand = condition.operand
    if condition.path == NAME:
        first, operand, last = b"", operand[1:], AFTER
    else:
        # No two tags are next to each other but those of the booleans.
        first, last = bytes([values.bracket(operand)[0] - 1]), bytes([operand[0] + 2])
    if condition.operator in ("EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL"):
        first = operand
    if condition.operator in ("EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL"):
        last = operand + AFTER
    return first, last


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
    if given is None or isinstance(given, Condition):
        return  # what is refused of one was refused when it was read
    operators = [condition.operator for condition in conditions(given)]
    if sum(operator in _NEGATIVE for operator in operators) > 1:
        raise invalid(
            "Only a single 'NOT_EQUAL', 'NOT_IN', 'IS_NOT_NAN', or 'IS_NOT_NULL' filter allowed"
            " per query."
        )
    if "NOT_IN" in operators and (_has_or(given) or not _DISJOINING.isdisjoint(operators)):
        raise invalid(
            "'NOT_IN' cannot be used in the same query with 'IN', 'ARRAY_CONTAINS_ANY' or 'OR'."
        )
    unequal = {c.path for c in conditions(given) if c.operator in INEQUALITIES}
    asks_for_keys = any(c.path == NAME and c.operator in _EQUALITIES for c in conditions(given))
    if asks_for_keys and unequal and NAME not in unequal:
        raise invalid(
            "Equality on key is not allowed if there are other inequality fields and key does not"
            " appear in inequalities."
        )
    if _most_array_tests(given) > 1:
        raise invalid("A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction.")
    count = _disjunctions(given)
    if count > MAX_DISJUNCTIONS:
        raise invalid(
            f"Too many disjunctions after normalization. Result had {count} disjunctions which is"
            f" more than the maximum of {MAX_DISJUNCTIONS}"
        )


def _has_or(given: Filter) -> bool:
    if isinstance(given, Condition):
        return False
    return not given.is_and or any(map(_has_or, given.members))


def _most_array_tests(given: Filter) -> int:
    """How many array tests the disjunction with the most of them has."""
    if isinstance(given, Condition):
        return int(given.operator.startswith("ARRAY"))
    counts = map(_most_array_tests, given.members)
    return sum(counts) if given.is_and else max(counts)


def _disjunctions(given: Filter) -> int:
    """How many ORs of ANDs the filter comes to."""
    if isinstance(given, Condition):
        return len(given.operands) if given.operator in _DISJOINING else 1
    counts = map(_disjunctions, given.members)
    return math.prod(counts) if given.is_and else sum(counts)


def _composite(message: Any) -> Filter:
    if message.op not in (_COMPOSITE.AND, _COMPOSITE.OR):
        raise invalid("Unsupported CompositeFilter operator.")
    if not message.filters:
        raise invalid("Composite filter must have at least one filter.")
    return Group(message.op == _COMPOSITE.AND, tuple(map(parse, message.filters)))


def _unary(message: Any) -> Condition:
    if not message.op:
        raise invalid("Unknown UnaryFilter operator.")
    if not message.HasField("field"):
        raise invalid("Unsupported UnaryFilter operand type (non-FIELD).")
    path = field_paths.parse_queried(message.field.field_path)
    if path == NAME:
        raise invalid("__key__ filter value must be a Key")
    return Condition(path, _UNARY.Name(message.op))


def _field(message: Any) -> Condition:
    if not message.op:
        raise invalid("Unknown FieldFilter operator.")
    path = field_paths.parse_queried(message.field.field_path)
    operator = _OPERATORS.Name(message.op)
    if path == NAME and operator.startswith("ARRAY"):
        raise invalid("the name __key__ is reserved")
    if operator in _LISTING:
        return _several(path, operator, message.value)
    return Condition(path, operator, _operand(path, message.value))


def _several(path: FieldPath, operator: str, value: Any) -> Condition:
    if value.WhichOneof("value_type") != "array_value":
        raise invalid(f"'{operator}' requires an ArrayValue.")
    given = value.array_value.values
    if not given:
        raise invalid(f"'{operator}' requires an non-empty ArrayValue.")
    most = MAX_NOT_IN if operator == "NOT_IN" else MAX_DISJUNCTIONS
    if len(given) > most:
        raise invalid(f"'{operator}' supports up to {most} comparison values.")
    encoded = tuple(_operand(path, element) for element in given)
    return Condition(path, operator, operands=encoded, has_null=values.NULL in encoded)


def _operand(path: FieldPath, value: Any) -> bytes:
    kind = value.WhichOneof("value_type")
    if kind is None:
        raise invalid("Cannot convert firestore.v1.Value with type unset.")
    if path == NAME:
        if kind != "reference_value":
            raise invalid("__key__ filter value must be a Key")
        return values.reference(paths.document(value.reference_value).key)
    encoded = values.encode(value)
    if kind in ("string_value", "bytes_value") and len(encoded) > MAX_OPERAND_BYTES + 3:
        raise invalid(f"value for {'.'.join(path)} is too large to be used in a query")
    return encoded


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
        kind = None if operand in _INCOMPARABLE else values.bracket(operand)
        return lambda value, _: values.bracket(value) == kind and wanted(value, operand)

    return make


def _not_equal(condition: Condition) -> Test:
    operand = condition.operand
    if operand == values.NULL:
        return lambda value, _: False
    unwanted = {values.NULL, operand} - {values.NAN}
    return lambda value, _: value not in unwanted


def _in(condition: Condition) -> Test:
    wanted = frozenset(condition.operands) - {values.NULL, values.NAN}
    return lambda value, _: value in wanted


def _not_in(condition: Condition) -> Test:
    unwanted = frozenset((*condition.operands, values.NULL)) - {values.NAN}
    return lambda value, _: not condition.has_null and value not in unwanted


def _contains(condition: Condition) -> Test:
    if condition.operand in _INCOMPARABLE:
        return lambda _, value: False
    return lambda _, value: condition.operand in values.elements(value)


def _contains_any(condition: Condition) -> Test:
    wanted = frozenset(condition.operands) - set(_INCOMPARABLE)
    return lambda _, value: not wanted.isdisjoint(values.elements(value))


_TESTS: dict[str, Callable[[Condition], Test]] = {
    "EQUAL": _compare(lambda value, operand: value == operand),
    "NOT_EQUAL": _not_equal,
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
