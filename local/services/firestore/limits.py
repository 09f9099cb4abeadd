"""The platform's limits on what is written, and what it says of what exceeds them.

A document that is written passes `check` once; times in it are cut to microseconds on the way, as
the platform stores them.
"""

from typing import Any

from local.kernel.refusals import invalid
from local.services.firestore import fields as field_paths
from local.services.firestore import paths, values

MAX_DOCUMENT_BYTES = 1 << 20
MAX_VALUE_BYTES = (1 << 20) - 89
MAX_NAME_BYTES = 1500
MAX_DEPTH = 20
MAX_REQUEST_BYTES = 10 << 20
MAX_TRANSFORMS = 500
MAX_DIMENSIONS = 2048
MAX_INDEX_ENTRIES = 40_000
"""Of one document, https://cloud.google.com/firestore/quotas."""
MAX_SECONDS, MIN_SECONDS = 253402300799, -62135596800
"""The years 1 to 9999."""

_SURELY_SMALL = 1 << 18
"""A message of fewer bytes is within MAX_DOCUMENT_BYTES however the platform counts."""
_FEW_ENTRIES = 1 << 17
"""A message of fewer bytes cannot hold MAX_INDEX_ENTRIES: an element takes four, and names more."""


def check_request(size: int) -> None:
    """Refuse a commit of more than 10 MiB. Raises Status."""
    if size > MAX_REQUEST_BYTES:
        raise invalid(f"Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes.")


def check_transforms(count: int, name: str) -> None:
    """Refuse too many transforms of one document in one commit. Raises Status."""
    if count > MAX_TRANSFORMS:
        raise invalid(
            f"Cannot apply {count} field transforms to the document '{name}': the maximum is"
            f" {MAX_TRANSFORMS}."
        )


def check_fields(fields: Any) -> None:
    """Refuse fields the platform does not store. Raises Status."""
    for name in fields:
        _check_name(name)
        if paths.is_reserved(name):
            raise invalid(f"field name {name} is reserved")
        _check_value(fields[name], name, 0, in_array=False)


def check_elements(array: Any, name: str) -> None:
    """Refuse elements (of an ArrayValue) the platform does not store. Raises Status."""
    for element in array.values:
        _check_value(element, name, 1, in_array=True)


def check_size(name: str, data: bytes, fields: Any) -> None:
    """Refuse a document of more than 1 MiB or 40,000 index entries; `data` is the whole of it
    serialized. Raises Status."""
    if len(data) >= _FEW_ENTRIES and index_entries(fields) > MAX_INDEX_ENTRIES:
        raise invalid(f"too many index entries for entity {name}")
    if len(data) < _SURELY_SMALL:
        return
    size = document_size(name, fields)
    if size > MAX_DOCUMENT_BYTES:
        raise invalid(
            f"Document '{name}' cannot be written because its size ({size:,} bytes) exceeds the"
            f" maximum allowed size of {MAX_DOCUMENT_BYTES:,} bytes."
        )


def index_entries(fields: Any) -> int:
    """How many entries a document has in the indexes that every field is in by itself: two of a
    value (ascending, descending), one of each different element of an array, and those of the
    fields of a map."""
    return sum(_entries(fields[name]) for name in fields)


def _entries(value: Any) -> int:
    if value.WhichOneof("value_type") == "array_value":
        return len({values.encode(element) for element in value.array_value.values})
    return index_entries(value.map_value.fields) if field_paths.is_map(value) else 2


def document_size(name: str, fields: Any) -> int:
    """A document's size in bytes, as the platform counts it."""
    ids = name.split("/")[5:]
    return sum(len(part.encode()) + 1 for part in ids) + 16 + 32 + _map_size(fields)


def _map_size(fields: Any) -> int:
    return sum(len(name.encode()) + 1 + _size(fields[name]) for name in fields)


def _size(value: Any) -> int:
    match value.WhichOneof("value_type"):
        case "string_value":
            return len(value.string_value.encode()) + 1
        case "bytes_value":
            return len(value.bytes_value)
        case "reference_value":
            return sum(len(i.encode()) + 1 for i in value.reference_value.split("/")[5:]) + 16
        case "array_value":
            return sum(map(_size, value.array_value.values))
        case "map_value":
            return _map_size(value.map_value.fields)
        case "geo_point_value":
            return 16
        case "boolean_value" | "null_value":
            return 1
    return 8


def _check_name(name: str) -> None:
    if not name:
        raise invalid("The property.name is the empty string.")
    if len(name) > MAX_NAME_BYTES // 4 and len(name.encode()) > MAX_NAME_BYTES:
        raise invalid(f"The property.name is longer than {MAX_NAME_BYTES} bytes.")


def _check_value(value: Any, name: str, depth: int, *, in_array: bool) -> None:
    kind = value.WhichOneof("value_type")
    check = _CHECKS.get(kind)
    if check:
        check(value, name)
    elif kind == "map_value" and field_paths.is_vector(value.map_value.fields):
        _check_vector(value.map_value.fields)
        if in_array:
            raise invalid("Cannot convert a vector value in an array value.")
    elif kind == "map_value":
        _check_map(value.map_value.fields, name, depth + 1)
    elif kind == "array_value":
        if in_array:
            raise invalid("Cannot convert an array value in an array value.")
        for element in value.array_value.values:
            _check_value(element, name, depth + 1, in_array=True)
    elif kind not in _PLAIN:
        raise invalid("Cannot convert firestore.v1.Value with type unset.")


def _check_map(fields: Any, name: str, depth: int) -> None:
    if depth > MAX_DEPTH or "__type__" in fields:
        raise invalid(f"Property {name} contains an invalid nested entity.")
    for inner in fields:
        _check_name(inner)
        if paths.is_reserved(inner):
            raise invalid(f"field name '{inner}' is reserved.")
        _check_value(fields[inner], name, depth, in_array=False)


def _check_vector(fields: Any) -> None:
    if "value" not in fields:
        raise invalid("Vector map is missing key 'value'.")
    if len(fields) > 2:
        raise invalid("Vector Value map has extraneous entries.")
    numbers = fields["value"].array_value.values
    if not numbers:
        raise invalid("Cannot have a zero length vector.")
    if len(numbers) > MAX_DIMENSIONS:
        raise invalid(f"Vectors must be at most {MAX_DIMENSIONS} dimensions.")
    if any(number.WhichOneof("value_type") != "double_value" for number in numbers):
        raise invalid("Vector must only contain values of type 'double'")


def _check_string(value: Any, name: str) -> None:
    text = value.string_value
    if len(text) > MAX_VALUE_BYTES // 4 and len(text.encode()) > MAX_VALUE_BYTES:
        raise _too_long(name)


def _check_bytes(value: Any, name: str) -> None:
    if len(value.bytes_value) > MAX_VALUE_BYTES:
        raise _too_long(name)


def _too_long(name: str) -> Exception:
    return invalid(f'The value of property "{name}" is longer than {MAX_VALUE_BYTES} bytes.')


def _check_timestamp(value: Any, name: str) -> None:
    stamp = value.timestamp_value
    if not MIN_SECONDS <= stamp.seconds <= MAX_SECONDS:
        raise invalid("Timestamp seconds exceeds limit for field.")
    if not 0 <= stamp.nanos < 1_000_000_000:
        raise invalid("Timestamp nanos exceeds limit for field.")
    if stamp.nanos % 1000:
        stamp.nanos -= stamp.nanos % 1000


def _check_reference(value: Any, name: str) -> None:
    paths.reference(value.reference_value)


def _check_geo(value: Any, name: str) -> None:
    point = value.geo_point_value
    for axis, degrees, most in (
        ("latitude", point.latitude, 90.0),
        ("longitude", point.longitude, 180.0),
    ):
        if not -most <= degrees <= most:
            raise invalid(
                f"Geo point {axis} '{degrees}' outside permitted range -{most} to {most}."
            )


_PLAIN = {"null_value", "boolean_value", "integer_value", "double_value"}
_CHECKS = {
    "string_value": _check_string,
    "bytes_value": _check_bytes,
    "timestamp_value": _check_timestamp,
    "reference_value": _check_reference,
    "geo_point_value": _check_geo,
}
