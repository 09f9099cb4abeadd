"""How documents, writes and queries look on the wire: Firestore's plain protobuf messages.

Google's client wraps a message of its own around each value, which is most of what an event costs.
Here a message is filled in place, field by field:

    None, bool, int, float, str, bytes, datetime, dict, list  ──encode──▶  Value
                                       (tuples and sets too)  ◀──decode──

A time is UTC, to the microsecond, which is all that the service keeps; one without a zone is taken
as UTC. A document that others wrote may hold a `GeoPoint` or a `Reference`, and a vector is a map:
each is written again as it was read.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.firestore_v1 import types
from msgspec import Struct

from common.cloud.reads import Filter, Query, Snapshot, is_by_id
from common.cloud.writes import (
    SERVER_TIMESTAMP,
    Absent,
    Change,
    Create,
    Delete,
    Fields,
    Update,
    Write,
    change,
    parse_path,
    render_path,
)

Value = types.Value.pb()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Message = Any
"""A plain protobuf message, whose classes are made when they are imported."""


class GeoPoint(Struct, frozen=True):
    """A place on the earth, in degrees."""

    latitude: float
    longitude: float


class Reference(Struct, frozen=True):
    """A document that a field refers to, by its full name."""

    name: str


def encode(value: Any, into: Message) -> None:
    """Fill a Value. Raises TypeError and ValueError for what cannot be stored."""
    if (plain := _PLAIN.get(type(value))) is not None:  # as most are
        setattr(into, plain, value)
    else:
        _encode_other(value, into)


def _encode_other(value: Any, into: Message) -> None:
    match value:
        case str():
            into.string_value = value
        case None:
            into.null_value = 0
        case bool():
            into.boolean_value = value
        case int():
            into.integer_value = value
        case float():
            into.double_value = value
        case datetime():
            encode_time(value, into.timestamp_value)
        case dict():
            into.map_value.SetInParent()
            encode_fields(value, into.map_value.fields)
        case list() | tuple() | set() | frozenset():
            into.array_value.SetInParent()
            for item in value:
                encode(item, into.array_value.values.add())
        case bytes():
            into.bytes_value = value
        case GeoPoint():
            into.geo_point_value.SetInParent()
            into.geo_point_value.latitude = value.latitude
            into.geo_point_value.longitude = value.longitude
        case Reference():
            into.reference_value = value.name
        case _:
            raise TypeError(f"{value!r:.100} is of a type that is not stored")


_PLAIN = {
    str: "string_value",
    bool: "boolean_value",
    int: "integer_value",
    float: "double_value",
    bytes: "bytes_value",
}
"""Where a Value keeps what needs no conversion; a type derived from one is not among them."""


def encode_fields(fields: Fields, into: Message) -> None:
    """Fill a map of Values."""
    for name, value in fields.items():
        encode(value, into[name])


def encode_time(time: datetime, into: Message) -> None:
    """Fill a Timestamp, to the microsecond."""
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH
    into.seconds = since.days * 86_400 + since.seconds
    into.nanos = since.microseconds * 1000


def decode(value: Message) -> Any:
    """What a Value holds."""
    match value.WhichOneof("value_type"):
        case "map_value":
            return decode_fields(value.map_value.fields)
        case "array_value":
            return [decode(item) for item in value.array_value.values]
        case "null_value":
            return None
        case "timestamp_value":
            return decode_time(value.timestamp_value)
        case "geo_point_value":
            return GeoPoint(value.geo_point_value.latitude, value.geo_point_value.longitude)
        case "reference_value":
            return Reference(value.reference_value)
        case "string_value" | "boolean_value" | "integer_value" | "double_value" as kind:
            return getattr(value, kind)
        case "bytes_value":
            return value.bytes_value
        case kind:
            raise ValueError(f"a value of the unknown type {kind}")


def decode_fields(fields: Message) -> Fields:
    """What a map of Values holds."""
    return {name: decode(value) for name, value in fields.items()}


def decode_time(time: Message) -> datetime:
    """The moment that a Timestamp is, to the microsecond."""
    return EPOCH + timedelta(seconds=time.seconds, microseconds=time.nanos // 1000)


def encode_write(write: Write, root: str, into: Message) -> None:
    """Fill a Write; `root` is the name of the database's documents. Raises as `encode` does."""
    name = document_name(root, write.path)
    if isinstance(write, Delete | Absent):
        into.delete = name
        _encode_deletion(write, into)
        return
    into.update.name = name
    _encode_change(change(write), into)
    if isinstance(write, Create):
        into.current_document.exists = False
    elif isinstance(write, Update):
        encode_time(write.update_time, into.current_document.update_time)


def _encode_deletion(write: Delete | Absent, into: Message) -> None:
    if isinstance(write, Absent):
        into.current_document.exists = False
    elif write.update_time is not None:
        encode_time(write.update_time, into.current_document.update_time)


def document_name(root: str, path: str) -> str:
    """A document's full name. Raises ValueError for a path that is no document's."""
    if path.count("/") % 2 == 0:
        raise ValueError(f"{path!r:.200} is no path of a document")
    return f"{root}/{path}"


def _encode_change(change: Change, into: Message) -> None:
    encode_fields(change.values, into.update.fields)
    if change.mask is not None:
        into.update_mask.SetInParent()
        into.update_mask.field_paths.extend(map(render_path, change.mask))
    for path, transform in change.transforms.items():
        made = into.update_transforms.add(field_path=render_path(path))
        if transform is SERVER_TIMESTAMP:
            made.set_to_server_value = 1  # REQUEST_TIME
        else:
            encode(transform.value, made.increment)


def encode_query(query: Query, root: str, into: Message) -> None:
    """Fill a request that has a parent and a query. Raises as `encode` does."""
    outer, _, name = query.collection.rpartition("/")
    into.parent = document_name(root, outer) if outer else root
    asked = into.structured_query
    asked.from_.add(collection_id=name)
    _encode_filters(query.filters, asked)
    if query.fields is not None:
        # A projection of no fields would be all of them.
        for name in query.fields or ("__name__",):
            asked.select.fields.add(field_path=render_path(parse_path(name)))
    if is_by_id(query.filters):
        asked.order_by.add(direction=_ASCENDING).field.field_path = "__name__"
        _encode_range(query, into.parent, asked)
    if query.limit is not None:
        asked.limit.value = query.limit


def _encode_filters(filters: Sequence[Filter], asked: Message) -> None:
    if len(filters) == 1:
        _encode_filter(filters[0], asked.where)
    elif filters:
        asked.where.composite_filter.op = _AND
        for each in filters:
            _encode_filter(each, asked.where.composite_filter.filters.add())


def _encode_filter(filter_: Filter, into: Message) -> None:
    name, operator, value = filter_
    path = render_path(parse_path(name))
    is_nan = isinstance(value, float) and math.isnan(value)
    if value is None or is_nan:
        if operator not in ("==", "!="):
            raise ValueError(f"{value} can be asked for by == and != only")
        into.unary_filter.field.field_path = path
        into.unary_filter.op = _UNARY[operator, is_nan]
        return
    if operator not in _OPERATORS:
        raise ValueError(f"{operator!r} is none of the operators {', '.join(_OPERATORS)}")
    into.field_filter.field.field_path = path
    into.field_filter.op = _OPERATORS[operator]
    encode(value, into.field_filter.value)


def _encode_range(query: Query, parent: str, asked: Message) -> None:
    collection = f"{parent}/{query.collection.rpartition('/')[2]}"
    start = query.first if query.after is None else query.after
    for cursor, name, is_before in (
        (asked.start_at, start, query.after is None),
        (asked.end_at, query.before, True),
    ):
        if name is not None:
            cursor.values.add(reference_value=f"{collection}/{name}")
            cursor.before = is_before


# As the protocol numbers them: google/cloud/firestore_v1/types/query.py.
_ASCENDING, _AND = 1, 1
_OPERATORS = {
    "<": 1,
    "<=": 2,
    ">": 3,
    ">=": 4,
    "==": 5,
    "!=": 6,
    "array_contains": 7,
    "in": 8,
    "array_contains_any": 9,
    "not-in": 10,
}
_UNARY = {("==", True): 2, ("==", False): 3, ("!=", True): 4, ("!=", False): 5}
"""By operator, and whether NaN is asked for or null."""


def decode_document(document: Message, root: str, read_time: Message) -> Snapshot:
    """A Document that was found."""
    return Snapshot(
        path=document.name.removeprefix(f"{root}/"),
        data=decode_fields(document.fields),
        update_time=decode_time(document.update_time),
        read_time=decode_time(read_time),
    )


def decode_missing(name: str, root: str, read_time: Message) -> Snapshot:
    """A document that was not found, by its full name."""
    return Snapshot(
        path=name.removeprefix(f"{root}/"),
        data={},
        update_time=None,
        read_time=decode_time(read_time),
    )
