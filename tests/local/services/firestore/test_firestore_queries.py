"""Contract: queries through the stock client."""

import datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore import And, FieldFilter, GeoPoint, Or
from google.cloud.firestore_v1 import aggregation
from google.cloud.firestore_v1.field_path import FieldPath
from google.cloud.firestore_v1.vector import Vector

NAN = float("nan")

ORDERED = {
    "null": None,
    "false": False,
    "true": True,
    "nan": NAN,
    "minus infinity": float("-inf"),
    "-1": -1,
    "-0.5": -0.5,
    "0": 0,
    "1": 1,
    "1.5": 1.5,
    "2**53": float(2**53),
    "2**53+1": 2**53 + 1,
    "2**63-1": 2**63 - 1,
    "2**63": float(2**63),
    "2020": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    "2021": datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC),
    "empty string": "",
    "a": "a",
    "a\0": "a\0",
    "ab": "ab",
    "é": "é",
    "empty bytes": b"",
    "bytes": b"\0\1",
    "point": GeoPoint(1, 2),
    "point further": GeoPoint(1, 3),
    "empty list": [],
    "[1]": [1],
    "[1, 2]": [1, 2],
    "[2]": [2],
    "short vector": Vector([5.0]),
    "vector": Vector([1.0, 2.0]),
    "empty map": {},
    "{a: 1}": {"a": 1},
    "{a: 1, b: 1}": {"a": 1, "b": 1},
    "{a: 2}": {"a": 2},
    "{b: 0}": {"b": 0},
}


def fill(client: firestore.Client, documents: Any, collection: str = "c") -> None:
    batch = client.batch()
    for name, data in documents.items():
        batch.set(client.collection(collection).document(name), data)
    batch.commit()


def ids(query: Any) -> Any:
    return [snapshot.id for snapshot in query.stream(timeout=20)]


@pytest.fixture
def numbers(client: firestore.Client) -> Any:
    """Twelve documents: n counts, a is n mod 3, b is n mod 4, tags holds both."""
    fill(
        client,
        {
            f"d{n:02}": {"n": n, "a": n % 3, "b": n % 4, "tags": [n % 3, n % 4, "t"]}
            for n in range(12)
        },
    )
    return client.collection("c")


def test_values_of_all_types_have_one_order(client: firestore.Client) -> None:
    fill(client, {name: {"x": value} for name, value in ORDERED.items()} | {"none": {"y": 1}})
    assert ids(client.collection("c").order_by("x")) == list(ORDERED)
    descending = client.collection("c").order_by("x", direction="DESCENDING")
    assert ids(descending) == list(reversed(ORDERED))


def test_inequalities_compare_one_type_only(client: firestore.Client) -> None:
    fill(client, {name: {"x": value} for name, value in ORDERED.items()})
    query = client.collection("c")
    below = ids(query.where(filter=FieldFilter("x", "<", 1)))
    assert below == ["minus infinity", "-1", "-0.5", "0"]
    assert ids(query.where(filter=FieldFilter("x", ">=", "ab"))) == ["ab", "é"]
    assert ids(query.where(filter=FieldFilter("x", ">", True))) == []


def test_equal_numbers_are_equal_whatever_their_type(client: firestore.Client) -> None:
    fill(client, {"int": {"x": 1}, "float": {"x": 1.0}, "text": {"x": "1"}})
    assert ids(client.collection("c").where(filter=FieldFilter("x", "==", 1.0))) == ["float", "int"]


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("==", None, ["null"]),
        ("==", NAN, ["nan"]),
        ("!=", None, ["list", "nan", "one", "two"]),
        ("!=", NAN, ["list", "one", "two"]),
        ("!=", 1, ["list", "nan", "two"]),
        ("in", [1, 2.0, None], ["one", "two"]),
        ("not-in", [1], ["list", "nan", "two"]),
        ("not-in", [1, None], []),
        ("array_contains", 1, ["list"]),
        ("array_contains_any", [7, 2], ["list"]),
    ],
)
def test_null_nan_and_absent_fields_match_as_the_platform_says(
    client: firestore.Client, operator: str, value: Any, expected: list[Any]
) -> None:
    data = {"null": None, "nan": NAN, "one": 1, "two": 2, "list": [1, 2]}
    fill(client, {name: {"x": x} for name, x in data.items()} | {"absent": {}})
    found = ids(client.collection("c").where(filter=FieldFilter("x", operator, value)))
    assert sorted(found) == expected


@pytest.mark.parametrize("operator", ["EQUAL", "LESS_THAN_OR_EQUAL", "NOT_EQUAL"])
def test_nothing_compares_with_a_null_that_is_sent_as_a_value(
    client: firestore.Client, operator: str
) -> None:
    fill(client, {"null": {"x": None}, "one": {"x": 1}})
    null = {"field": {"field_path": "x"}, "op": operator, "value": {"null_value": 0}}
    query = {"from_": [{"collection_id": "c"}], "where": {"field_filter": null}}
    request = {"parent": f"{client._database_string}/documents", "structured_query": query}
    answers = client._firestore_api.run_query(request=request, metadata=client._rpc_metadata)
    assert [answer.document.name for answer in answers] == [""]


def test_conditions_are_joined_by_and(numbers: Any) -> None:
    query = numbers.where(filter=FieldFilter("a", "==", 1)).where(filter=FieldFilter("n", ">", 4))
    assert ids(query) == ["d07", "d10"]


def test_conditions_are_nested_in_and_and_or(numbers: Any) -> None:
    either = Or([FieldFilter("a", "==", 1), FieldFilter("b", "==", 3)])
    query = numbers.where(filter=And([either, FieldFilter("n", "<", 8)]))
    assert ids(query) == ["d01", "d03", "d04", "d07"]


def test_inequalities_on_several_fields_order_by_both(numbers: Any) -> None:
    query = numbers.where(filter=FieldFilter("b", ">", 1)).where(filter=FieldFilter("a", ">", 0))
    assert ids(query) == ["d10", "d07", "d02", "d11"]


def test_orders_are_several_and_each_in_its_direction(numbers: Any) -> None:
    query = numbers.order_by("a").order_by("n", direction="DESCENDING").limit(6)
    assert ids(query) == ["d09", "d06", "d03", "d00", "d10", "d07"]


def test_equal_values_follow_the_name_in_the_last_direction(numbers: Any) -> None:
    assert ids(numbers.order_by("a").limit(4)) == ["d00", "d03", "d06", "d09"]
    descending = numbers.order_by("a", direction="DESCENDING").limit(4)
    assert ids(descending) == ["d11", "d08", "d05", "d02"]


def test_names_that_are_numbers_come_first_and_in_their_order(client: firestore.Client) -> None:
    fill(client, {name: {} for name in ("b", "__id10__", "a", "__id9__", "__id-1__")})
    assert ids(client.collection("c")) == ["__id-1__", "__id9__", "__id10__", "a", "b"]


def test_cursors_begin_and_end_at_values(numbers: Any) -> None:
    query = numbers.order_by("n")
    assert ids(query.start_at({"n": 3}).end_at({"n": 5})) == ["d03", "d04", "d05"]
    assert ids(query.start_after({"n": 3}).end_before({"n": 5})) == ["d04"]


def test_cursors_may_be_the_beginning_of_an_order(numbers: Any) -> None:
    query = numbers.order_by("a").order_by("n")
    assert ids(query.start_after([1])) == ["d02", "d05", "d08", "d11"]
    assert ids(query.start_at([1, 7]).end_at([1])) == ["d07", "d10"]


def test_a_snapshot_is_a_cursor(numbers: Any) -> None:
    snapshot = numbers.document("d06").get()
    assert ids(numbers.order_by("a").start_after(snapshot).limit(2)) == ["d09", "d01"]
    assert ids(numbers.order_by("a").end_before(snapshot)) == ["d00", "d03"]


def test_a_descending_order_has_cursors_too(numbers: Any) -> None:
    query = numbers.order_by("n", direction="DESCENDING")
    assert ids(query.start_after({"n": 3})) == ["d02", "d01", "d00"]
    assert ids(query.end_at({"n": 10})) == ["d11", "d10"]


def test_names_are_ordered_filtered_and_paged(numbers: Any) -> None:
    query = numbers.order_by("__name__")
    at = numbers.document
    assert ids(query.start_after({"__name__": at("d09")})) == ["d10", "d11"]
    between = query.where(filter=FieldFilter("__name__", ">", at("d03"))).where(
        filter=FieldFilter("__name__", "<=", at("d05"))
    )
    assert ids(between) == ["d04", "d05"]
    some = numbers.where(filter=FieldFilter("__name__", "in", [at("d05"), at("d01"), at("x")]))
    assert ids(some) == ["d01", "d05"]


@pytest.mark.ours("it has no descending order of names")
def test_names_are_ordered_downwards(numbers: Any) -> None:
    query = numbers.order_by("__name__", direction="DESCENDING")
    assert ids(query.start_after({"__name__": numbers.document("d02")})) == ["d01", "d00"]
    assert ids(query.limit(2)) == ["d11", "d10"]


def test_a_limit_may_count_from_the_end(numbers: Any) -> None:
    found = numbers.order_by("n").limit_to_last(2).get()
    assert [snapshot.id for snapshot in found] == ["d10", "d11"]


def test_an_offset_skips(numbers: Any) -> None:
    assert ids(numbers.order_by("n").offset(10)) == ["d10", "d11"]
    assert ids(numbers.offset(3).limit(2)) == ["d03", "d04"]
    assert ids(numbers.offset(30)) == []


def test_a_projection_returns_some_fields(client: firestore.Client) -> None:
    client.document("c/d").set({"a": {"b": 1, "c d": 2}, "e": 3})
    query = client.collection("c").select(["a.`c d`", "none"])
    assert [s.to_dict() for s in query.stream()] == [{"a": {"c d": 2}}]
    names = client.collection("c").select([FieldPath.document_id()])
    assert [(s.id, s.to_dict()) for s in names.stream()] == [("d", {})]


def test_a_collection_that_was_empty_when_asked_has_what_came_since(
    client: firestore.Client,
) -> None:
    query = client.collection("c").where(filter=FieldFilter("n", "<", 9))
    assert ids(query) == []
    fill(client, {"first": {"n": 1}})
    assert ids(query) == ["first"]
    client.document("c/first").delete()
    assert ids(query) == []


def test_a_collection_does_not_contain_what_is_under_its_documents(
    client: firestore.Client,
) -> None:
    for path in ("c/a", "c/a/c/b", "c/a/s/x", "other/y/c/z"):
        client.document(path).set({})
    assert ids(client.collection("c")) == ["a"]


def test_a_collection_group_is_all_collections_of_a_name_in_the_order_of_paths(
    client: firestore.Client,
) -> None:
    for path in ("a/1/g/2", "g/1", "b/1/g/1", "a/1/g/2/g/0", "a/1/g2/x", "z/1/other/1"):
        client.document(path).set({"v": path})
    group = client.collection_group("g")
    found = [snapshot.reference.path for snapshot in group.stream()]
    assert found == ["a/1/g/2", "a/1/g/2/g/0", "b/1/g/1", "g/1"]
    later = group.order_by("__name__").start_after({"__name__": client.document("a/1/g/2")})
    assert [s.reference.path for s in later.stream()] == found[1:]
    assert ids(group.where(filter=FieldFilter("v", "==", "g/1"))) == ["1"]


def below(
    client: firestore.Client, parent: Any, kind: Any, aggregations: Any = None, **rest: Any
) -> Any:
    """The ids of all documents, or of a group's, below a document; `rest` as in the query.

    With aggregations their integers instead, which are called `found`.
    """
    query = {"from_": [{"collection_id": kind, "all_descendants": True}], **rest}
    request: dict[str, Any] = {"parent": f"{client._database_string}/documents{parent}"}
    options: dict[str, Any] = {"metadata": client._rpc_metadata, "timeout": 10, "retry": None}
    if aggregations:
        request["structured_aggregation_query"] = {
            "structured_query": query,
            "aggregations": aggregations,
        }
        answers = client._firestore_api.run_aggregation_query(request=request, **options)
        return [a.result.aggregate_fields["found"].integer_value for a in answers]
    request["structured_query"] = query
    answers = client._firestore_api.run_query(request=request, **options)
    return [a.document.name.split("/")[-1] for a in answers if a.document.name]


IS_ONE = {
    "field_filter": {"field": {"field_path": "v"}, "op": "EQUAL", "value": {"integer_value": 1}}
}
BY_V, BY_NAME, DOWN = (
    {"order_by": [{"field": {"field_path": path}, "direction": direction}]}
    for path, direction in (("v", 1), ("__name__", 1), ("__name__", 2))
)


@pytest.mark.parametrize(("kind", "found"), [("", ["a", "b", "x"]), ("g", ["a", "b"])])
def test_what_is_below_a_document_comes_by_its_name(
    client: firestore.Client, kind: str, found: list[Any]
) -> None:
    for path in ("r/1/g/a", "r/1/g/a/g/b", "r/1/h/x", "r/2/g/c", "r/1"):
        client.document(path).set({"v": 1})
    assert below(client, "/r/1", kind) == found
    assert below(client, "/r/1", kind, **BY_NAME, limit={"value": 1}) == ["a"]


@pytest.mark.parametrize(
    ("parent", "kind", "rest", "text"),
    [
        ("/r/1", "g", BY_V, "only allowed at the root parent"),
        ("/r/1", "", BY_V, "only allowed at the root parent"),
        ("/r/1", "g", {"where": IS_ONE}, "only allowed at the root parent"),
        ("/r/1", "", DOWN, "kind is required for all orders except __key__ ascending"),
        ("", "", BY_V, "kind is required for all orders except __key__ ascending"),
        ("", "", DOWN, "kind is required for all orders except __key__ ascending"),
        ("", "", {"where": IS_ONE}, "kind is required for filter: v"),
    ],
)
def test_documents_of_several_collections_are_asked_by_name_only(
    client: firestore.Client, parent: str, kind: str, rest: Any, text: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=text):
        below(client, parent, kind, **rest)


def test_what_is_below_a_document_is_counted_and_not_summed(client: firestore.Client) -> None:
    client.document("r/1/g/a").set({"v": 1})
    counted = {"alias": "found", "count": {}}
    summed = {"alias": "found", "sum": {"field": {"field_path": "v"}}}
    assert below(client, "/r/1", "g", aggregations=[counted]) == [1]
    with pytest.raises(exceptions.InvalidArgument, match=r"fields \[v\] after __name__"):
        below(client, "/r/1", "g", aggregations=[summed])


def test_a_group_below_a_document_has_no_descending_order(client: firestore.Client) -> None:
    with pytest.raises(exceptions.FailedPrecondition):
        below(client, "/r/1", "g", **DOWN)


def test_stream_tells_when_it_was_read(numbers: Any, client: firestore.Client) -> None:
    written = client.document("c/d00").set({"n": 99}).update_time
    assert all(snapshot.read_time >= written for snapshot in numbers.stream())


def test_results_are_counted_summed_and_averaged(numbers: Any) -> None:
    query = numbers.where(filter=FieldFilter("a", "==", 1))
    aggregated = aggregation.AggregationQuery(query).count(alias="all").sum("n", alias="s").avg("n")
    found = {result.alias: result.value for result in aggregated.get()[0]}
    assert found == {"all": 4, "s": 22, "field_1": 5.5}
    assert query.limit(3).count().get()[0][0].value == 3
    assert numbers.count().get()[0][0].value == 12


def test_an_aggregation_leaves_out_documents_without_the_field(client: firestore.Client) -> None:
    fill(client, {"a": {"x": 1}, "b": {"x": 2.5}, "c": {"x": "text"}, "d": {}})
    query = aggregation.AggregationQuery(client.collection("c").limit(9)).count().sum("x").avg("x")
    assert sorted((r.alias, r.value) for r in query.get()[0]) == [
        ("field_1", 3), ("field_2", 3.5), ("field_3", 1.75)
    ]  # fmt: skip


def summed(query: Any, *fields: Any) -> Any:
    """The sums of fields and the number of results."""
    wanted = aggregation.AggregationQuery(query)
    for field in fields:
        wanted = wanted.sum(field, alias=field)
    found = {result.alias: result.value for result in wanted.count(alias="").get()[0]}
    return [found[field] for field in (*fields, "field_1")]


def test_a_limit_leaves_the_first_by_the_aggregated_fields(client: firestore.Client) -> None:
    values = [(3, 1), (1, 2), (2, 3), (7, 4), (9, 5), (8, 6)]
    fill(client, {f"d{n}": {"w": w, "k": k, "h": n // 3} for n, (w, k) in enumerate(values)})
    fill(client, {"e": {"h": 0}})
    query = client.collection("c")
    assert summed(query.limit(2), "w") == [3, 2]
    assert summed(query.limit(2), "w", "k") == [4, 3, 2]
    assert summed(query.offset(2).limit(2), "w") == [10, 2]
    assert summed(query.order_by("h", direction="DESCENDING").limit(2), "w") == [17, 2]
    assert summed(query.where(filter=FieldFilter("h", ">=", 1)).limit(2), "w") == [15, 2]
    assert summed(query.limit(2)) == [2]


def test_what_is_ordered_by_name_is_aggregated_by_no_other_field(client: firestore.Client) -> None:
    query = client.collection("c")
    by_name = FieldFilter("__name__", ">=", client.document("c/d"))
    for named in (query.order_by("__name__"), query.where(filter=by_name)):
        with pytest.raises(exceptions.InvalidArgument, match=r"fields \[w\] after __name__"):
            summed(named, "w")
        assert summed(named) == [0]


def test_a_projection_is_not_aggregated(client: firestore.Client) -> None:
    query = client.collection("c")
    for field, text in (("w", "Cannot apply"), ("x", "w is not present"), ("__name__", "non-key")):
        with pytest.raises(exceptions.InvalidArgument, match=text):
            summed(query.select([field]), "w")


def test_nothing_sums_to_zero(client: firestore.Client) -> None:
    query = aggregation.AggregationQuery(client.collection("c").limit(9)).sum("x").count()
    assert [result.value for result in query.get()[0]] == [0, 0]


def test_a_sum_of_integers_that_is_none_becomes_a_double(client: firestore.Client) -> None:
    fill(client, {"a": {"x": 2**63 - 1}, "b": {"x": 2**63 - 1}})
    query = aggregation.AggregationQuery(client.collection("c").limit(9)).sum("x")
    assert query.get()[0][0].value == float(2**64)


@pytest.mark.ours("it has no PartitionQuery")
def test_partitions_cover_a_collection_group_once(client: firestore.Client) -> None:
    for start in range(0, 300, 100):
        fill(client, {f"{n:03}": {} for n in range(start, start + 100)}, f"a/{start}/g")
    parts = list(client.collection_group("g").get_partitions(4))
    found = [snapshot.id for part in parts for snapshot in part.query().stream()]
    assert (len(parts) > 2, sorted(found)) == (True, [f"{n:03}" for n in range(300)])


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ([("a", "!=", 1), ("b", "!=", 1)], "Only a single 'NOT_EQUAL'"),
        ([("a", "not-in", [1]), ("b", "in", [1])], "'NOT_IN' cannot be used"),
        ([("a", "in", [])], "'IN' requires an non-empty ArrayValue"),
        ([("a", "in", list(range(31)))], "30"),
        ([("a", "not-in", list(range(11)))], "10"),
        ([("a", "in", list(range(6))), ("b", "in", list(range(6)))], "Result had 36"),
        ([("t", "array_contains", 1), ("t", "array_contains", 2)], "maximum of 1 'ARRAY_CONTAINS'"),
        ([("__name__", "==", "x")], "__key__ filter value must be a Key"),
        ([("__x__", "==", 1)], "reserved"),
        ([("a", "==", "x" * 1501)], "too large"),
    ],
)
def test_what_the_platform_refuses_is_refused(
    client: firestore.Client, filters: list[Any], text: str
) -> None:
    query = client.collection("c")
    for field, operator, value in filters:
        query = query.where(filter=FieldFilter(field, operator, value))
    with pytest.raises(exceptions.InvalidArgument, match=text):
        ids(query)


def test_bad_shapes_of_a_query_are_invalid(client: firestore.Client) -> None:
    parent = f"{client._database_string}/documents"
    one = [{"collection_id": "c"}]
    field = {"field": {"field_path": "a"}}
    shapes = [
        {"from_": [*one, {"collection_id": "d"}]},
        {"from_": [{"collection_id": "a/b"}]},
        {"from_": one, "limit": {"value": -1}},
        {"from_": one, "offset": -1},
        {"from_": one, "order_by": [field, field]},
        {"from_": one, "order_by": [field], "start_at": {"values": [{"integer_value": 1}] * 2}},
        {"from_": one, "order_by": [{"field": {"field_path": "a..b"}}]},
    ]
    for shape in shapes:
        with pytest.raises(exceptions.InvalidArgument):
            list(
                client._firestore_api.run_query(
                    request={"parent": parent, "structured_query": shape},
                    metadata=client._rpc_metadata, timeout=10, retry=None,
                )
            )  # fmt: skip


def refused(query: Any) -> str:
    with pytest.raises(exceptions.InvalidArgument) as error:
        query.get(retry=None, timeout=10)
    return str(error.value)


def test_names_do_not_order_what_an_inequality_orders(numbers: Any) -> None:
    for operator, value in (("<", 3), ("!=", 3), ("not-in", [3])):
        query = numbers.where(filter=FieldFilter("n", operator, value)).order_by("__name__")
        assert "cannot contain more fields after the key" in refused(query)
    first = numbers.where(filter=FieldFilter("n", "<", 3)).order_by("n").order_by("__name__")
    assert len(ids(first)) == 3


def test_one_key_is_not_asked_for_beside_an_inequality(numbers: Any) -> None:
    key = numbers.document("d05")
    for asked in (FieldFilter("__name__", "==", key), FieldFilter("__name__", "in", [key])):
        for operator in ("!=", "<"):
            other = FieldFilter("n", operator, 3)
            assert "Equality on key is not allowed" in refused(
                numbers.where(filter=asked).where(filter=other)
            )
            assert "Equality on key is not allowed" in refused(
                numbers.where(filter=Or([asked, other]))
            )
    after = numbers.where(filter=FieldFilter("__name__", ">=", key))
    assert ids(after.where(filter=FieldFilter("n", "==", 5))) == ["d05"]


def test_no_array_contains_null_or_nan(client: firestore.Client) -> None:
    fill(client, {"d": {"list": [None, NAN, 1]}})

    def found(operator: str, value: Any) -> list[str]:
        one = {"field_filter": {"field": {"field_path": "list"}, "op": operator, "value": value}}
        request = {
            "parent": f"{client._database_string}/documents",
            "structured_query": {"from_": [{"collection_id": "c"}], "where": one},
        }
        answers = client._firestore_api.run_query(request=request, metadata=client._rpc_metadata)
        return [answer.document.name for answer in answers if answer.document.name]

    null, nan, one = {"null_value": 0}, {"double_value": NAN}, {"integer_value": 1}
    for nothing in (null, nan):
        assert found("ARRAY_CONTAINS", nothing) == []
        assert found("ARRAY_CONTAINS_ANY", {"array_value": {"values": [nothing]}}) == []
    assert len(found("ARRAY_CONTAINS_ANY", {"array_value": {"values": [nan, null, one]}})) == 1


def test_a_group_below_a_document_is_without_that_document(client: firestore.Client) -> None:
    for path in ("g/x", "g/x/g/y", "g/x/h/z/g/w", "g/v/g/u"):
        client.document(path).set({})

    def below(parent: str, group: str) -> list[str]:
        request = {
            "parent": f"{client._database_string}/documents/{parent}",
            "structured_query": {"from_": [{"collection_id": group, "all_descendants": True}]},
        }
        answers = client._firestore_api.run_query(request=request, metadata=client._rpc_metadata)
        return [a.document.name.split("/documents/")[1] for a in answers if a.document.name]

    assert below("g/x", "g") == below("g/x", "") == ["g/x/g/y", "g/x/h/z/g/w"]
    assert below("g/x/g/y", "g") == []


def test_a_vector_has_no_fields_to_ask_for(client: firestore.Client) -> None:
    fill(client, {"d": {"v": Vector([1.0])}})
    assert ids(client.collection("c").order_by("v.value")) == []
