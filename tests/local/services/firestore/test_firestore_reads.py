"""Contract: reading documents and lists of them."""

import datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore import FieldFilter


def api(client: firestore.Client, method: Any, **request: Any) -> Any:
    call = getattr(client._firestore_api, method)
    return call(request=request, metadata=client._rpc_metadata, timeout=10, retry=None)


def name(client: firestore.Client, path: Any) -> Any:
    return f"{client._database_string}/documents/{path}"


def test_every_type_comes_back_as_it_was(client: firestore.Client) -> None:
    from google.cloud.firestore_v1 import GeoPoint
    from google.cloud.firestore_v1.vector import Vector

    data = {
        "null": None, "true": True, "int": -5, "big": 2**62, "float": 1.5, "text": "é\0x",
        "bytes": b"\0\xff", "time": datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC),
        "point": GeoPoint(1.5, -2), "reference": client.document("a/b"),
        "list": [1, "x", {"y": [2]}], "map": {"a": {"b": {}}}, "empty": [],
        "vector": Vector([1.0, 2.0]),
    }  # fmt: skip
    client.document("c/d").set(data)
    assert client.document("c/d").get().to_dict() == data


def test_a_missing_document_is_a_snapshot_without_existence(client: firestore.Client) -> None:
    snapshot = client.document("c/none").get()
    assert (snapshot.exists, snapshot.to_dict(), snapshot.update_time) == (False, None, None)


def test_get_document_of_a_missing_one_is_not_found(client: firestore.Client) -> None:
    with pytest.raises(exceptions.NotFound, match=r"Document .* not found"):
        api(client, "get_document", name=name(client, "c/none"))


def test_get_all_answers_each_document_once_there_or_not(client: firestore.Client) -> None:
    client.document("c/a").set({"x": 1})
    wanted = [client.document(f"c/{letter}") for letter in "aab"]
    found = {s.id: s.exists for s in client.get_all(wanted)}
    assert found == {"a": True, "b": False}


@pytest.mark.ours("it answers in the order of the request")
def test_those_that_are_missing_come_last(client: firestore.Client) -> None:
    client.document("c/b").set({})
    wanted = [client.document(f"c/{letter}") for letter in "abc"]
    assert [snapshot.id for snapshot in client.get_all(wanted)] == ["b", "a", "c"]


def test_a_read_may_ask_for_some_fields_only(client: firestore.Client) -> None:
    client.document("c/d").set({"a": 1, "b": {"c": 2, "d": 3}, "e": 4})
    snapshot = client.document("c/d").get(["a", "b.d", "none"])
    assert snapshot.to_dict() == {"a": 1, "b": {"d": 3}}


def test_documents_are_made_under_an_id_of_the_servers(client: firestore.Client) -> None:
    parent = f"{client._database_string}/documents"
    made = api(client, "create_document", parent=parent, collection_id="c",
               document={"fields": {"x": {"integer_value": 1}}})  # fmt: skip
    assert len(made.name.rpartition("/")[2]) == 20
    assert client.document("c/" + made.name.rpartition("/")[2]).get().get("x") == 1


def test_update_document_answers_with_the_masked_document(client: firestore.Client) -> None:
    client.document("c/d").set({"a": 1, "b": 2})
    document = {"name": name(client, "c/d"), "fields": {"a": {"integer_value": 5}}}
    updated = api(client, "update_document", document=document,
                  update_mask={"field_paths": ["a"]}, mask={"field_paths": ["b"]})  # fmt: skip
    assert list(updated.fields) == ["b"]
    assert client.document("c/d").get().to_dict() == {"a": 5, "b": 2}


def test_delete_document_keeps_its_precondition(client: firestore.Client) -> None:
    with pytest.raises(exceptions.NotFound):
        api(client, "delete_document", name=name(client, "c/d"),
            current_document={"exists": True})  # fmt: skip


def test_listing_shows_missing_documents_with_something_underneath(
    client: firestore.Client,
) -> None:
    for path in ("c/a", "c/b/s/x", "c/d", "c/e/s/x/t/y"):
        client.document(path).set({})
    assert [d.id for d in client.collection("c").list_documents()] == ["a", "b", "d", "e"]
    assert [s.id for s in client.collection("c").stream()] == ["a", "d"]


def test_listing_goes_page_by_page(client: firestore.Client) -> None:
    for number in range(7):
        client.document(f"c/{number}" if number % 2 else f"c/{number}/s/x").set({})
    listed = [d.id for d in client.collection("c").list_documents(page_size=2)]
    assert listed == [str(number) for number in range(7)]


@pytest.mark.ours("it breaks at the second page")
def test_listing_may_be_ordered(client: firestore.Client) -> None:
    for number in range(5):
        client.document(f"c/{number}").set({"n": -number})
    parent = f"{client._database_string}/documents"
    pages = api(client, "list_documents", parent=parent, collection_id="c", order_by="n desc",
                page_size=3)  # fmt: skip
    assert [d.name[-1] for d in pages] == ["0", "1", "2", "3", "4"]


def test_collections_are_those_with_anything_in_them(client: firestore.Client) -> None:
    for path in ("b/1", "a/1", "a/1/deep/x", "only/missing/sub/x"):
        client.document(path).set({})
    client.document("gone/1").set({})
    client.document("gone/1").delete()
    assert [c.id for c in client.collections()] == ["a", "b", "only"]
    assert [c.id for c in client.document("a/1").collections()] == ["deep"]


def test_collections_are_listed_as_they_were(client: firestore.Client) -> None:
    client.document("a/1/deep/x").set({})
    seen = client.document("gone/1").set({}).update_time
    client.document("gone/1").delete()
    client.document("late/1").set({})
    client.document("a/1/later/x").set({})
    assert [c.id for c in client.collections()] == ["a", "late"]
    assert [c.id for c in client.collections(read_time=seen)] == ["a", "gone"]
    assert [c.id for c in client.document("a/1").collections(read_time=seen)] == ["deep"]


@pytest.mark.parametrize(
    "path",
    ["c", "c/d/e", "c/__x__", "c/.", "c/..", "c//d", "__c__/d", ""],
)
def test_bad_names_are_invalid(client: firestore.Client, path: str) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        api(client, "get_document", name=name(client, path))


def test_a_name_of_four_underscores_is_nobodys(client: firestore.Client) -> None:
    client.document("____/____").set({"____": 1, "m": {"__": 2}})
    query = client.collection("____").where(filter=FieldFilter("____", "==", 1))
    assert [s.id for s in query.stream()] == ["____"]


def test_ids_have_at_most_1500_bytes(client: firestore.Client) -> None:
    client.document("c/" + "é" * 750).set({})
    with pytest.raises(exceptions.InvalidArgument, match="longer than 1500 bytes"):
        client.document("c/" + "é" * 750 + "x").set({})


@pytest.mark.parametrize("database", ["", "x", "projects/p", "projects/p/databases/"])
def test_bad_database_names_are_invalid(client: firestore.Client, database: str) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        api(client, "begin_transaction", database=database)


def test_the_past_can_be_read(client: firestore.Client) -> None:
    document = client.document("c/d")
    first = document.set({"x": 1}).update_time
    document.set({"x": 2})
    client.document("c/new").set({})
    deleted_at = document.get().read_time
    document.delete()
    assert document.get(read_time=first).get("x") == 1
    assert document.get(read_time=deleted_at).get("x") == 2
    assert [s.id for s in client.collection("c").stream(read_time=first)] == ["d"]


def test_the_future_cannot_be_read(client: firestore.Client) -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    with pytest.raises(exceptions.InvalidArgument, match="cannot be in the future"):
        client.document("c/d").get(read_time=later)


@pytest.mark.ours("it keeps every version")
def test_the_past_is_an_hour_long(client: firestore.Client) -> None:
    earlier = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=2)
    with pytest.raises(exceptions.FailedPrecondition, match="too old"):
        client.document("c/d").get(read_time=earlier)


@pytest.mark.ours("not known; it can be of either edition")
def test_a_pipeline_is_refused_as_for_a_standard_database(client: firestore.Client) -> None:
    with pytest.raises(exceptions.FailedPrecondition, match="only allowed on ENTERPRISE mode"):
        client.pipeline().collection("c").execute()


@pytest.mark.ours("it serves them")
@pytest.mark.parametrize("method", ["write"])
def test_a_stream_of_writes_is_unimplemented_by_name(client: firestore.Client, method: str) -> None:
    request = {"database": client._database_string}
    call = getattr(client._firestore_api, method)
    with pytest.raises(exceptions.MethodNotImplemented, match=f"Firestore/{method.title()}"):
        list(call(requests=iter([request]), metadata=client._rpc_metadata, timeout=10, retry=None))
