"""Field transforms: what the server computes of a field's present value."""

from collections.abc import Callable
from typing import Any

from local.firestore import fields as field_paths
from local.firestore import values
from local.firestore.messages import Value
from local.firestore.refusals import invalid

MAX_INTEGER, MIN_INTEGER = (1 << 63) - 1, -(1 << 63)
NULL = Value(null_value=0)


def apply(fields: Any, transform: Any, commit_us: int) -> Any:
    """Apply one FieldTransform to a document's fields; its result. Raises Status."""
    path = field_paths.parse_own(transform.field_path)
    kind = transform.WhichOneof("transform_type")
    if kind is None:
        raise invalid("Operation type must be specified for field transformation.")
    if kind == "set_to_server_value":
        value = _server_value(transform, commit_us)
        field_paths.put(fields, path, value)
        return value
    value = _TRANSFORMS[kind](field_paths.get(fields, path), getattr(transform, kind))
    field_paths.put(fields, path, value)
    return NULL if value.WhichOneof("value_type") == "array_value" else value


def check(transforms: Any) -> None:
    """Refuse transforms of a field and of a field inside it. Raises Status."""
    paths = {field_paths.parse_own(transform.field_path) for transform in transforms}
    for path in paths:
        for length in range(1, len(path)):
            if path[:length] in paths:
                name = ".".join(path[:length])
                raise invalid(
                    f"Cannot transform property {name} and its nested property at the same time."
                )


def _server_value(transform: Any, commit_us: int) -> Any:
    if transform.set_to_server_value != 1:
        raise invalid("ServerValue type must be specified for set_to_server_value transformation.")
    seconds, micros = divmod(commit_us, 1_000_000)
    value = Value()
    value.timestamp_value.seconds = seconds
    value.timestamp_value.nanos = micros // 1000 * 1_000_000
    return value


def _number(value: Any) -> int | float | None:
    kind = value.WhichOneof("value_type") if value is not None else None
    return getattr(value, kind) if kind in ("integer_value", "double_value") else None


def _operand(value: Any) -> int | float:
    number = _number(value)
    if number is None:
        raise invalid("Input must be int64 or double.")
    return number


def _increment(current: Any, by: Any) -> Any:
    amount, present = _operand(by), _number(current)
    if present is None:
        return by
    total = present + amount
    if isinstance(total, float):
        return Value(double_value=total)
    return Value(integer_value=min(max(total, MIN_INTEGER), MAX_INTEGER))


def _extreme(current: Any, given: Any, *, wins: Callable[[bytes, bytes], bool]) -> Any:
    operand, present = _operand(given), _number(current)
    if present is None:
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
    result = Value()
    result.array_value.SetInParent()
    present = _present(current)
    seen = {values.encode(element) for element in present}
    result.array_value.values.extend(present)
    for element in given.values:
        encoded = values.encode(element)
        if encoded not in seen:
            seen.add(encoded)
            result.array_value.values.append(element)
    return result


def _without(current: Any, given: Any) -> Any:
    gone = {values.encode(element) for element in given.values}
    result = Value()
    result.array_value.SetInParent()
    result.array_value.values.extend(e for e in _present(current) if values.encode(e) not in gone)
    return result


def _present(current: Any) -> list[Any]:
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
