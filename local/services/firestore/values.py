"""Values as bytes that sort and compare as the platform sorts and compares values.

    null < booleans < NaN < numbers < timestamps < strings < bytes < references < geo points
         < arrays < vectors < maps

No encoding is the beginning of another, so several may be put one after the other, and inverted
(`descending`) where the order is descending. Equal numbers are equal whatever their type; a number
is its nearest double and, for an integer no double can hold, the distance to it.
"""

import struct
from typing import Any

from local.services.firestore import fields as field_paths
from local.services.firestore import paths

NULL, FALSE, TRUE, NAN, NUMBER = b"\x05", b"\x10", b"\x11", b"\x1f", b"\x20"
TIMESTAMP, STRING, BYTES, REFERENCE, GEO = b"\x30", b"\x40", b"\x48", b"\x50", b"\x58"
ARRAY, VECTOR, MAP, END, MORE = b"\x60", b"\x68", b"\x70", b"\x00", b"\x01"

_INVERTED = bytes(255 - byte for byte in range(256))
_NO_DISTANCE = struct.pack(">H", 1 << 15)


def encode(value: Any) -> bytes:
    """A value's bytes."""
    kind = value.WhichOneof("value_type")
    return _ENCODERS[kind](getattr(value, kind))


def descending(encoded: bytes) -> bytes:
    """The bytes that sort the other way round."""
    return encoded.translate(_INVERTED)


def bracket(encoded: bytes) -> bytes:
    """What values must share to be comparable by `<`: their type."""
    first = encoded[:1]
    return FALSE if first == TRUE else first


def elements(value: Any) -> list[bytes]:
    """The encoded elements of an array value; none of anything else."""
    if value.WhichOneof("value_type") != "array_value":
        return []
    return [encode(element) for element in value.array_value.values]


def number(value: int | float) -> bytes:
    """A number's bytes."""
    if value != value:
        return NAN
    nearest = float(value)
    encoded = NUMBER + _double(nearest)
    if isinstance(value, int) and not -(1 << 53) <= value <= 1 << 53:
        return encoded + struct.pack(">H", value - int(nearest) + (1 << 15))
    return encoded + _NO_DISTANCE


def reference(key: bytes) -> bytes:
    """The bytes of a reference to the document with this key."""
    return REFERENCE + key + END


def _double(value: float) -> bytes:
    bits = struct.unpack(">Q", struct.pack(">d", value or 0.0))[0]
    return struct.pack(">Q", bits ^ 0xFFFFFFFFFFFFFFFF if bits >> 63 else bits | 1 << 63)


def _text(value: str) -> bytes:
    return paths.terminated(value.encode())


def _timestamp(value: Any) -> bytes:
    return TIMESTAMP + struct.pack(">QI", value.seconds + (1 << 63), value.nanos)


def _geo(value: Any) -> bytes:
    return GEO + _double(value.latitude) + _double(value.longitude)


def _array(value: Any) -> bytes:
    return ARRAY + b"".join(map(encode, value.values)) + END


def _map(value: Any) -> bytes:
    fields = value.fields
    if field_paths.is_vector(fields):
        items = fields["value"].array_value.values
        return VECTOR + struct.pack(">I", len(items)) + b"".join(map(encode, items))
    inner = b"".join(MORE + _text(name) + encode(fields[name]) for name in _sorted_names(fields))
    return MAP + inner + END


def _sorted_names(fields: Any) -> list[str]:
    # By UTF-8 bytes, which Python's comparison by code points agrees with.
    return sorted(fields)


_ENCODERS = {
    None: lambda value: NULL,
    "null_value": lambda value: NULL,
    "boolean_value": lambda value: TRUE if value else FALSE,
    "integer_value": number,
    "double_value": number,
    "timestamp_value": _timestamp,
    "string_value": lambda value: STRING + _text(value),
    "bytes_value": lambda value: BYTES + paths.terminated(value),
    "reference_value": lambda value: reference(paths.reference(value)),
    "geo_point_value": _geo,
    "array_value": _array,
    "map_value": _map,
}
