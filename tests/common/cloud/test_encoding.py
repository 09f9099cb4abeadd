"""The messages that are sent are those of Google's client, and what is read is what was written."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore as google
from google.cloud.firestore_v1 import _helpers, types
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.field_path import FieldPath
from google.cloud.firestore_v1.vector import Vector
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from common.cloud import encoding
from common.cloud.encoding import GeoPoint, Reference, Value
from common.cloud.reads import Filter, Query, is_by_id
from common.cloud.writes import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    Absent,
    Create,
    Delete,
    Increment,
    Merge,
    Update,
    Write,
)

CLIENT = google.Client(project="p", credentials=AnonymousCredentials())
ROOT = "projects/p/databases/(default)/documents"
NOW = datetime(2030, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)
THEIRS = {DELETE_FIELD: google.DELETE_FIELD, SERVER_TIMESTAMP: google.SERVER_TIMESTAMP}

few = settings(max_examples=50, deadline=None)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.text("ab.`\\ ü", min_size=1, max_size=3) | st.sampled_from(["a", "b", "c"])
times = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))
scalars = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), texts, times),
    st.binary(max_size=8),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
transforms = st.sampled_from([SERVER_TIMESTAMP, Increment(1), Increment(-0.5)])
fields = st.dictionaries(
    names, values | transforms | st.dictionaries(names, scalars | transforms, max_size=2)
)
updates = st.dictionaries(
    st.sampled_from(["a", "b.c", "b.d", "`x y`.z", "e"]),
    values | transforms | st.just(DELETE_FIELD),
    min_size=1,
)


def encoded(value: Any) -> Any:
    made = Value()
    encoding.encode(value, made)
    return made


def decoded(value: Any) -> Any:
    return encoding.decode(Value.FromString(encoded(value).SerializeToString()))


def written(write: Write) -> Any:
    made = types.Write.pb()()
    encoding.encode_write(write, ROOT, made)
    return made


def asked(query: Query) -> Any:
    made = types.RunQueryRequest.pb()()
    encoding.encode_query(query, ROOT, made)
    return made


def theirs(value: Any) -> Any:
    """The same with the sentinels of Google's client."""
    if isinstance(value, dict):
        return {name: theirs(item) for name, item in value.items()}
    if isinstance(value, Increment):
        return google.Increment(value.value)
    return THEIRS[value] if value in (DELETE_FIELD, SERVER_TIMESTAMP) else value


def in_order(write: Any) -> Any:
    """The order of a mask and of transforms means nothing."""
    mask = sorted(write.update_mask.field_paths) if write.HasField("update_mask") else None
    changed = sorted(it.SerializeToString() for it in write.update_transforms)
    write.ClearField("update_mask")
    write.ClearField("update_transforms")
    return mask, changed, write.SerializeToString(deterministic=True)


@given(values)
def test_a_value_is_encoded_as_googles_client_does(value: Any) -> None:
    expected = _helpers.encode_value(value)._pb.SerializeToString(deterministic=True)
    assert encoded(value).SerializeToString(deterministic=True) == expected


@given(values)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert repr(decoded(value)) == repr(in_utc(value))


def in_utc(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).replace(fold=0)
        case dict():
            return {name: in_utc(value[name]) for name in decoded(value)}
        case list():
            return [in_utc(item) for item in value]
    return value


@given(values)
def test_a_value_is_decoded_as_googles_client_does(value: Any) -> None:
    message = _helpers.encode_value(value)._pb
    assert repr(encoding.decode(message)) == repr(plain(_helpers.decode_value(message, CLIENT)))


def plain(value: Any) -> Any:
    match value:
        case DatetimeWithNanoseconds():
            return datetime.combine(value.date(), value.time(), UTC)
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case list():
            return [plain(item) for item in value]
    return value


@pytest.mark.parametrize("value", [(1, "a"), {1}, frozenset(["a"]), datetime(2030, 1, 1)])  # noqa: DTZ001
def test_other_values_that_googles_client_takes_are_the_same(value: Any) -> None:
    assert encoded(value) == _helpers.encode_value(value)._pb


@pytest.mark.parametrize(
    "value",
    [GeoPoint(1.5, -2.0), GeoPoint(0.0, 0.0), Reference(f"{ROOT}/users/ada"), [{}], {"a": []}],
)
def test_what_others_store_is_written_as_it_was_read(value: Any) -> None:
    assert decoded(value) == value


def test_a_vector_is_a_map_and_stays_one() -> None:
    message = _helpers.encode_value(Vector([1.0, 2.0]))._pb
    assert encoded(encoding.decode(message)) == message


@pytest.mark.parametrize("seconds", [-62_135_596_800, -1, 0, 253_402_300_799])
def test_a_time_of_the_service_is_kept_to_the_microsecond(seconds: int) -> None:
    given = Timestamp(seconds=seconds, nanos=999_999_000)
    made = Timestamp()
    encoding.encode_time(encoding.decode_time(given), made)
    assert made == given


@pytest.mark.parametrize(
    "value", [2**63, -(2**63) - 1, "\ud800", object(), 1j, {1: 2}, {"a": print}]
)
def test_what_cannot_be_stored_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        encoded(value)


def test_a_value_of_a_type_of_the_future_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown"):
        encoding.decode(Value())


@few
@given(fields)
def test_a_new_document_is_that_of_googles_client(given: dict[str, Any]) -> None:
    (expected,) = _helpers.pbs_for_create(f"{ROOT}/a/1", theirs(given))
    assert in_order(written(Create(path="a/1", fields=given))) == in_order(expected._pb)


@few
@given(updates)
def test_an_update_is_that_of_googles_client(given: dict[str, Any]) -> None:
    fence = CLIENT.write_option(last_update_time=NOW)
    (expected,) = _helpers.pbs_for_update(f"{ROOT}/a/1", theirs(given), fence)
    write = Update(path="a/1", fields=given, update_time=NOW)
    assert in_order(written(write)) == in_order(expected._pb)


@few
@given(fields | st.dictionaries(names, st.just(DELETE_FIELD)))
def test_a_merge_is_that_of_googles_client(given: dict[str, Any]) -> None:
    (expected,) = _helpers.pbs_for_set_with_merge(f"{ROOT}/a/1", theirs(given), merge=True)
    assert in_order(written(Merge(path="a/1", fields=given))) == in_order(expected._pb)


def test_a_deletion_is_that_of_googles_client() -> None:
    assert written(Delete(path="a/1/b/2")) == _helpers.pb_for_delete(f"{ROOT}/a/1/b/2", None)._pb
    absent = _helpers.pb_for_delete(f"{ROOT}/a/1", _helpers.ExistsOption(False))._pb
    assert written(Absent(path="a/1")) == absent
    this = _helpers.pb_for_delete(f"{ROOT}/a/1", _helpers.LastUpdateOption(NOW))._pb
    assert written(Delete(path="a/1", update_time=NOW)) == this


@pytest.mark.parametrize("path", ["", "a", "a/1/b"])
def test_what_is_no_path_of_a_document_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no path of a document"):
        written(Delete(path=path))


FILTERS: list[Sequence[Filter]] = [
    [],
    [("a", "==", 1)],
    [("a.b", "==", None), ("c", "!=", math.nan)],
    [("a", "==", math.nan), ("b", "!=", None), ("c", "<=", NOW)],
    *([("a", operator, 1)] for operator in ("<", ">", ">=", "!=", "array_contains")),
    *([("a", operator, [1, "x"])] for operator in ("in", "not-in", "array_contains_any")),
]


@pytest.mark.parametrize("collection", ["users", "users/ada/orders"])
@pytest.mark.parametrize("filters", FILTERS, ids=repr)
@pytest.mark.parametrize("part", [{}, {"limit": 7, "after": "x"}, {"first": "x", "before": "y"}])
@pytest.mark.parametrize("fields", [None, ["a", "b.c"]])
def test_a_query_is_that_of_googles_client(
    collection: str, filters: Sequence[Filter], part: dict[str, Any], fields: Any
) -> None:
    query = Query(collection=collection, filters=filters, fields=fields, **part)
    assert asked(query).structured_query == stock(query)._to_protobuf()._pb


def test_a_query_is_asked_of_what_its_collection_lies_in() -> None:
    assert asked(Query(collection="users")).parent == ROOT
    assert asked(Query(collection="users/ada/orders")).parent == f"{ROOT}/users/ada"


def stock(query: Query) -> Any:
    """The query, asked through Google's client."""
    made = CLIENT.collection(query.collection)
    for filter_ in query.filters:
        made = made.where(filter=FieldFilter(*filter_))
    made = made if query.fields is None else made.select(query.fields)
    if is_by_id(query.filters):
        made = made.order_by(FieldPath.document_id())
        for cursor, name in (
            ("start_after", query.after),
            ("start_at", query.first),
            ("end_before", query.before),
        ):
            if name is not None:
                at = CLIENT.document(f"{query.collection}/{name}")
                made = getattr(made, cursor)({"__name__": at})
    return made if query.limit is None else made.limit(query.limit)


@pytest.mark.parametrize(
    "filter_",
    [("a", "<>", 1), ("a", "<", None), ("a", ">", math.nan), ("", "==", 1), ("a", "==", {1: 2})],
)
def test_a_condition_that_no_server_knows_is_refused(filter_: Filter) -> None:
    with pytest.raises((TypeError, ValueError)):
        asked(Query(collection="a", filters=[filter_]))


def test_a_query_for_no_fields_reads_names_alone() -> None:
    query = asked(Query(collection="a", fields=[]))
    assert [it.field_path for it in query.structured_query.select.fields] == ["__name__"]
