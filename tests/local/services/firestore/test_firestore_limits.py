"""Contract: what the platform does not store, it refuses."""

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore

from local.services.firestore import limits

MIB = 1 << 20


def commit(client: firestore.Client, *writes: Any) -> Any:
    request = {"database": client._database_string, "writes": writes}
    return client._firestore_api.commit(
        request=request, metadata=client._rpc_metadata, timeout=20, retry=None
    )


def write(client: firestore.Client, fields: Any, **more: Any) -> Any:
    return {"update": {"name": client.document("c/d")._document_path, "fields": fields}, **more}


def nested(depth: int) -> Any:
    value: dict[str, Any] = {"integer_value": 1}
    for _ in range(depth):
        value = {"map_value": {"fields": {"k": value}}}
    return value


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"__x__": {"integer_value": 1}}, "reserved"),
        ({"": {"integer_value": 1}}, "empty"),
        ({"x" * 1501: {"integer_value": 1}}, "longer than 1500 bytes"),
        ({"x": {}}, "type unset"),
        ({"x": {"array_value": {"values": [{"array_value": {}}]}}}, "array value in an array"),
        ({"x": nested(21)}, "invalid nested entity"),
        ({"x": {"string_value": "x" * (MIB - 88)}}, "longer than 1048487 bytes"),
        ({"x": {"bytes_value": b"x" * (MIB - 88)}}, "longer than 1048487 bytes"),
        ({"x": {"reference_value": "nothing"}}, "lacks"),
        ({"x": {"geo_point_value": {"latitude": 91}}}, "latitude"),
        ({"x": {"timestamp_value": {"seconds": 253402300800}}}, "exceeds limit"),
    ],
)
def test_a_field_the_platform_does_not_store_is_refused(
    client: firestore.Client, fields: dict[str, Any], text: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=text):
        commit(client, write(client, fields))
    assert not client.document("c/d").get().exists


def test_the_largest_value_and_the_deepest_map_are_stored(client: firestore.Client) -> None:
    fields = {"x": {"string_value": "x" * (MIB - 89)}, "m": nested(19)}
    commit(client, write(client, {"x": fields["x"]}))
    commit(client, write(client, {"m": fields["m"]}))
    assert client.document("c/d").get(["m"]).exists


def test_a_document_has_at_most_one_mebibyte(client: firestore.Client) -> None:
    half = {"string_value": "x" * 600_000}
    with pytest.raises(exceptions.InvalidArgument, match="maximum"):
        commit(client, write(client, {"x": half, "y": half}))


@pytest.mark.ours("it words this differently")
def test_a_document_that_is_too_large_is_named_with_its_size(client: firestore.Client) -> None:
    half = {"string_value": "x" * 600_000}
    text = r"c/d' cannot be written because its size \(1,200,\d\d\d bytes\) exceeds"
    with pytest.raises(exceptions.InvalidArgument, match=text):
        commit(client, write(client, {"x": half, "y": half}))


@pytest.mark.ours("it takes 4 MiB and says RESOURCE_EXHAUSTED")
def test_a_request_has_at_most_ten_mebibytes(client: firestore.Client) -> None:
    almost = {"x": {"string_value": "x" * 1_000_000}}
    with pytest.raises(exceptions.InvalidArgument, match="payload size exceeds the limit"):
        commit(client, *[write(client, almost)] * 11)


@pytest.mark.ours("it has no such limit")
def test_a_commit_transforms_a_document_at_most_500_times(client: firestore.Client) -> None:
    transforms = [{"field_path": f"f{n}", "increment": {"integer_value": 1}} for n in range(501)]
    commit(client, write(client, {}, update_transforms=transforms[:500]))
    with pytest.raises(exceptions.InvalidArgument, match="500"):
        commit(client, write(client, {}, update_transforms=transforms))


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        ({"field_path": "x"}, "Operation type"),
        ({"field_path": "x", "increment": {"string_value": "1"}}, "int64 or double"),
        ({"field_path": "x", "set_to_server_value": 0}, "ServerValue type"),
        ({"field_path": "__x__", "set_to_server_value": 1}, "reserved"),
        ({"field_path": "a..b", "set_to_server_value": 1}, "Invalid property path"),
    ],
)
def test_a_transform_without_sense_is_refused(
    client: firestore.Client, transform: dict[str, Any], text: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=text):
        commit(client, write(client, {}, update_transforms=[transform]))


def test_a_field_and_a_field_inside_it_are_not_transformed_together(
    client: firestore.Client,
) -> None:
    transforms = [
        {"field_path": path, "increment": {"integer_value": 1}} for path in ("a", "a.b")
    ]  # fmt: skip
    with pytest.raises(exceptions.InvalidArgument, match="at the same time"):
        commit(client, write(client, {}, update_transforms=transforms))


@pytest.mark.parametrize("path", ["", "a.", "a..b", "`a", "a b", "1a", "a-b", "__x__"])
def test_a_mask_with_a_bad_path_is_refused(client: firestore.Client, path: str) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        commit(client, write(client, {}, update_mask={"field_paths": [path]}))


def test_a_write_must_do_something(client: firestore.Client) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="empty write operation"):
        commit(client, {})


def test_a_precondition_has_whole_microseconds(client: firestore.Client) -> None:
    condition = {"update_time": {"seconds": 1, "nanos": 1}}
    with pytest.raises(exceptions.InvalidArgument, match="microseconds"):
        commit(client, write(client, {}, current_document=condition))


def test_sizes_are_counted_as_the_platform_documents_them() -> None:
    from local.services.firestore.messages import Document, Value

    document = Document(name="projects/p/databases/d/documents/users/jeff/tasks/my_task_id")
    document.fields["type"].CopyFrom(Value(string_value="Personal"))
    document.fields["done"].CopyFrom(Value(boolean_value=False))
    document.fields["priority"].CopyFrom(Value(integer_value=1))
    document.fields["description"].CopyFrom(Value(string_value="Learn Cloud Firestore"))
    assert limits.document_size(document.name, document.fields) == 147


VECTOR = {"__type__": {"string_value": "__vector__"}}
ONE = {"array_value": {"values": [{"double_value": 1.0}]}}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (VECTOR, "missing key 'value'"),
        ({**VECTOR, "value": ONE, "x": ONE}, "extraneous entries"),
        ({**VECTOR, "value": {"array_value": {}}}, "zero length"),
        ({**VECTOR, "value": {"array_value": {"values": [{"integer_value": 1}]}}}, "'double'"),
        (
            {**VECTOR, "value": {"array_value": {"values": [{"double_value": 1.0}] * 2049}}},
            "at most 2048",
        ),
        ({"__type__": {"string_value": "other"}}, "invalid nested entity"),
        ({"__x__": {"integer_value": 1}}, "reserved"),
    ],
)
def test_a_map_that_is_no_proper_vector_is_refused(
    client: firestore.Client, fields: dict[str, Any], text: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=text):
        commit(client, write(client, {"v": {"map_value": {"fields": fields}}}))


def test_a_vector_in_an_array_is_refused(client: firestore.Client) -> None:
    vector = {"map_value": {"fields": {**VECTOR, "value": ONE}}}
    with pytest.raises(exceptions.InvalidArgument, match="vector value in an array"):
        commit(client, write(client, {"v": {"array_value": {"values": [vector]}}}))
    within = {"map_value": {"fields": {"k": vector}}}
    commit(client, write(client, {"v": {"array_value": {"values": [within]}}}))


@pytest.mark.ours("it has no such limit")
def test_a_document_has_at_most_40000_index_entries(client: firestore.Client) -> None:
    """Two for a value, one for each different element of an array."""

    def array(count: int) -> Any:
        return {"array_value": {"values": [{"integer_value": n} for n in range(count)]}}

    commit(client, write(client, {"x": array(39_998), "y": {"integer_value": 1}}))
    for fields in (
        {"x": array(39_999), "y": {"integer_value": 1}},
        {"m": {"map_value": {"fields": {f"f{n}": {"integer_value": n} for n in range(20_001)}}}},
    ):
        with pytest.raises(exceptions.InvalidArgument, match="too many index entries"):
            commit(client, write(client, fields))
