"""Field transforms: what the server computes of a field's present value."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from local.kernel.refusals import invalid
from local.services.firestore import fields as field_paths
from local.services.firestore import limits, values
from local.services.firestore.fields import FieldPath
from local.services.firestore.messages import Value

MAX_INTEGER, MIN_INTEGER = (1 << 63) - 1, -(1 << 63)
NULL = Value(null_value=0)


class Transform(NamedTuple):
    """One transform, checked."""

    path: FieldPath
    kind: str
    operand: Any
    """A Value of a number, an ArrayValue, or nothing that matters."""


def parse(messages: Sequence[Any]) -> Sequence[Transform]:
    """The transforms of one write, from FieldTransform messages. Raises Status."""
    if not messages:
        return ()
    found = [_transform(message) for message in messages]
    paths = {transform.path for transform in found}
    for path in paths:
        for length in range(1, len(path)):
            if path[:length] in paths:
                name = ".".join(path[:length])
                raise invalid(
                    f"Cannot transform property {name} and its nested property at the same time."
                )
    return found


def apply(fields: Any, transform: Transform, commit_us: int) -> Any:
    """Apply one to a document's fields; its result, a Value."""
    path, kind, operand = transform
    if kind == "set_to_server_value":
        value = _time(commit_us)
    else:
        value = _TRANSFORMS[kind](field_paths.get(fields, path), operand)
    field_paths.put(fields, path, value)
    return NULL if value.WhichOneof("value_type") == "array_value" else value


def _transform(message: Any) -> Transform:
    path = field_paths.parse_own(message.field_path)
    kind = message.WhichOneof("transform_type")
    if kind is None:
        raise invalid("Operation type must be specified for field transformation.")
    operand = getattr(message, kind)
    if kind == "set_to_server_value":
        if operand != 1:
            raise invalid(
                "ServerValue type must be specified for set_to_server_value transformation."
            )
    elif kind in ("append_missing_elements", "remove_all_from_array"):
        limits.check_elements(operand, path[-1])
    elif _number(operand) is None:
        raise invalid("Input must be int64 or double.")
    return Transform(path, kind, operand)


def _time(us: int) -> Any:
    """A moment to the millisecond."""
    seconds, rest = divmod(us, 1_000_000)
    value = Value()
    value.timestamp_value.seconds = seconds
    value.timestamp_value.nanos = rest // 1000 * 1_000_000
    return value


def _number(value: Any) -> int | float | None:
    kind = value.WhichOneof("value_type") if value is not None else None
    return getattr(value, kind) if kind in ("integer_value", "double_value") else None


def _increment(current: Any, by: Any) -> Any:
    present, added = _number(current), _number(by)
    if present is None or added is None:
        return by
    total = present + added
    if isinstance(total, float):
        return Value(double_value=total)
    return Value(integer_value=min(max(total, MIN_INTEGER), MAX_INTEGER))


def _extreme(current: Any, given: Any, *, wins: Callable[[bytes, bytes], bool]) -> Any:
    operand, present = _number(given), _number(current)
    if present is None or operand is None:
        return given
    if operand != operand or present != present:
        return Value(double_value=float("nan"))
    winner = given if wins(values.number(operand), values.number(present)) else current
    return Value.FromString(winner.SerializeToString())


def _maximum(current: Any, given: Any) -> Any:
    return _extreme(current, given, wins=lambda operand, present: operand > present)


def _minimum(current: Any, given: Any) -> Any:
    return _extreme(current, given, wins=lambda operand, present: operand < present)


def _union(current: Any, given: Any) -> Any:
    present = _elements(current)
    seen = {values.encode(element) for element in present}
    result = _array(present)
    for element in given.values:
        encoded = values.encode(element)
        if encoded not in seen:
            seen.add(encoded)
            result.array_value.values.append(element)
    return result


def _without(current: Any, given: Any) -> Any:
    gone = {values.encode(element) for element in given.values}
    return _array([e for e in _elements(current) if values.encode(e) not in gone])


def _array(elements: list[Any]) -> Any:
    value = Value()
    value.array_value.SetInParent()
    value.array_value.values.extend(elements)
    return value


def _elements(current: Any) -> list[Any]:
    if current is None or current.WhichOneof("value_type") != "array_value":
        return []
    return list(current.array_value.values)


_TRANSFORMS: dict[str, Callable[[Any, Any], Any]] = {
    "increment": _increment,
    "maximum": _maximum,
    "minimum": _minimum,
    "append_missing_elements": _union,
    "remove_all_from_array": _without,
}
