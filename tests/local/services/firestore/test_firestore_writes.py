"""Contract: commits, preconditions, transforms."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.vector import Vector


def test_create_of_an_existing_document_is_refused(client: firestore.Client) -> None:
    client.document("c/d").create({"x": 1})
    with pytest.raises(exceptions.AlreadyExists):
        client.document("c/d").create({"x": 2})
    assert client.document("c/d").get().to_dict() == {"x": 1}


@pytest.mark.ours("it words this differently")
def test_the_refusals_name_the_document(client: firestore.Client) -> None:
    client.document("c/d").create({})
    name = f"projects/{client.project}/databases/(default)/documents/c"
    with pytest.raises(exceptions.AlreadyExists, match="Document already exists: ") as exists:
        client.document("c/d").create({})
    with pytest.raises(exceptions.NotFound, match="No document to update: ") as missing:
        client.document("c/none").update({"x": 1})
    assert (f"{name}/d" in str(exists.value), f"{name}/none" in str(missing.value)) == (True, True)


def test_update_of_a_missing_document_is_not_found(client: firestore.Client) -> None:
    with pytest.raises(exceptions.NotFound):
        client.document("c/none").update({"x": 1})


def test_an_update_time_precondition_holds_only_for_that_version(client: firestore.Client) -> None:
    document = client.document("c/d")
    first = document.set({"x": 1}).update_time
    second = document.update({"x": 2}, client.write_option(last_update_time=first)).update_time
    with pytest.raises(exceptions.FailedPrecondition, match="does not match the required base"):
        document.update({"x": 3}, client.write_option(last_update_time=first))
    document.delete(client.write_option(last_update_time=second))
    assert not document.get().exists


def test_an_update_time_that_is_yet_to_come_is_invalid(client: firestore.Client) -> None:
    document = client.document("c/d")
    stamp = document.set({"x": 1}).update_time + datetime.timedelta(milliseconds=1)
    option = client.write_option(last_update_time=stamp)
    writes: list[Callable[[], Any]] = [
        lambda: document.update({"x": 2}, option),
        lambda: document.delete(option),
    ]
    for write in writes:
        with pytest.raises(exceptions.InvalidArgument, match="greater than the stored version"):
            write()
    assert document.get().to_dict() == {"x": 1}


def test_an_update_time_precondition_on_a_missing_document_fails(client: firestore.Client) -> None:
    stamp = client.document("c/other").set({}).update_time
    with pytest.raises(exceptions.FailedPrecondition, match=r"the stored version \(0\)"):
        client.document("c/d").update({"x": 1}, client.write_option(last_update_time=stamp))


def test_a_delete_may_require_existence(client: firestore.Client) -> None:
    with pytest.raises(exceptions.NotFound):
        client.document("c/none").delete(client.write_option(exists=True))
    client.document("c/none").delete()


def test_one_refused_write_undoes_the_whole_batch(client: firestore.Client) -> None:
    client.document("c/there").set({})
    batch = client.batch()
    batch.set(client.document("c/first"), {"x": 1})
    batch.create(client.document("c/there"), {})
    with pytest.raises(exceptions.AlreadyExists):
        batch.commit()
    assert not client.document("c/first").get().exists


def test_a_batch_writes_one_document_several_times_in_order(client: firestore.Client) -> None:
    batch, document = client.batch(), client.document("c/d")
    batch.create(document, {"x": 1})
    batch.update(document, {"y": 2})
    batch.update(document, {"x": firestore.Increment(5)})
    batch.commit()
    assert document.get().to_dict() == {"x": 6, "y": 2}


def test_commit_times_strictly_increase(client: firestore.Client) -> None:
    times = [client.document("c/d").set({"n": n}).update_time for n in range(20)]
    assert times == sorted(set(times))


def test_a_write_that_changes_nothing_keeps_the_update_time(client: firestore.Client) -> None:
    document = client.document("c/d")
    first = document.set({"x": 1, "m": {"b": 2, "a": 1}}).update_time
    again = document.set({"m": {"a": 1, "b": 2}, "x": 1}).update_time
    assert (again, document.get().update_time) == (first, first)
    assert document.set({"x": 1.0}).update_time > first


def test_create_time_stays_and_a_new_life_gets_a_new_one(client: firestore.Client) -> None:
    document = client.document("c/d")
    document.set({"x": 1})
    first = document.get()
    document.set({"x": 2})
    assert document.get().create_time == first.create_time
    document.delete()
    document.set({"x": 1})
    assert document.get().create_time > first.create_time


def test_a_read_is_never_older_than_what_it_returns(client: firestore.Client) -> None:
    written = client.document("c/d").set({}).update_time
    assert client.document("c/d").get().read_time >= written


def test_merge_leaves_other_fields_alone(client: firestore.Client) -> None:
    document = client.document("c/d")
    document.set({"a": {"x": 1, "y": 2}, "b": 1}, merge=True)
    document.set({"a": {"x": 5}}, merge=True)
    assert document.get().to_dict() == {"a": {"x": 5, "y": 2}, "b": 1}
    document.set({"a": {"z": 1}, "b": 2}, merge=["a"])
    assert document.get().to_dict() == {"a": {"z": 1}, "b": 1}


def test_update_reaches_into_maps_and_quoted_names(client: firestore.Client) -> None:
    document = client.document("c/d")
    document.set({"a": {"b c": {"d.e": 1, "f": 2}}, "g`h": 3})
    path = client.field_path("a", "b c", "d.e")
    document.update({path: 7, client.field_path("g`h"): firestore.DELETE_FIELD, "n.m": 1})
    assert document.get().to_dict() == {"a": {"b c": {"d.e": 7, "f": 2}}, "n": {"m": 1}}


def test_numbers_are_incremented_and_compared(client: firestore.Client) -> None:
    document = client.document("c/d")
    document.set({"i": 1, "f": 1.5, "s": "x", "most": 5, "least": 5, "same": 3})
    document.update(
        {
            "i": firestore.Increment(2),
            "f": firestore.Increment(1),
            "s": firestore.Increment(4),
            "new": firestore.Increment(-1),
            "most": firestore.Maximum(5.5),
            "least": firestore.Minimum(9),
            "same": firestore.Maximum(3.0),
        }
    )
    expected = {"i": 3, "f": 2.5, "s": 4, "new": -1, "most": 5.5, "least": 5, "same": 3}
    assert document.get().to_dict() == expected


def test_integers_stop_at_their_limits(client: firestore.Client) -> None:
    document = client.document("c/d")
    document.set({"n": 2**63 - 2, "m": -(2**63) + 1})
    document.update({"n": firestore.Increment(5), "m": firestore.Increment(-5)})
    assert document.get().to_dict() == {"n": 2**63 - 1, "m": -(2**63)}


def test_arrays_gain_missing_elements_and_lose_all_equal_ones(client: firestore.Client) -> None:
    document = client.document("c/d")
    document.set({"a": [1, 2, 2], "r": [1, 2.0, 2, 3], "no": "array"})
    document.update(
        {
            "a": firestore.ArrayUnion([2.0, 3, 3, {"k": 1}]),
            "r": firestore.ArrayRemove([2]),
            "no": firestore.ArrayUnion(["x"]),
        }
    )
    assert document.get().to_dict() == {"a": [1, 2, 2, 3, {"k": 1}], "r": [1, 3], "no": ["x"]}


def test_server_timestamps_of_one_commit_are_one_time(client: firestore.Client) -> None:
    batch = client.batch()
    batch.set(client.document("c/a"), {"t": firestore.SERVER_TIMESTAMP, "u": {"v": 1}})
    batch.set(client.document("c/b"), {"u": {"v": firestore.SERVER_TIMESTAMP}})
    results = batch.commit()
    first, second = client.document("c/a").get(), client.document("c/b").get()
    assert first.get("t") == second.get("u.v")
    assert 0 <= (results[0].update_time - first.get("t")).total_seconds() < 1
    assert first.get("t").microsecond % 1000 == 0


def test_transform_results_come_with_the_write(client: firestore.Client) -> None:
    result = client.document("c/d").set({"n": firestore.Increment(3), "t": 1})
    assert [value.integer_value for value in result.transform_results] == [3]


def test_timestamps_are_kept_to_the_microsecond(client: firestore.Client) -> None:
    fields = {"t": {"timestamp_value": {"seconds": 1, "nanos": 123456789}}}
    commit(client, {"update": {"name": client.document("c/d")._document_path, "fields": fields}})
    assert client.document("c/d").get().get("t").rfc3339() == "1970-01-01T00:00:01.123456Z"


def commit(client: firestore.Client, *writes: Any) -> Any:
    request = {"database": client._database_string, "writes": writes}
    return client._firestore_api.commit(
        request=request, metadata=client._rpc_metadata, timeout=20, retry=None
    )


EXISTS, ABSENT = {"current_document": {"exists": True}}, {"current_document": {"exists": False}}
VERSION = {"current_document": {"update_time": {"seconds": 5}}}


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (("update", {}), ("update", ABSENT), "Cannot upsert then insert"),
        (("update", EXISTS), ("delete", ABSENT), "Cannot update then delete"),
        (("update", ABSENT), ("update", ABSENT), "Cannot insert then insert"),
        (("delete", {}), ("update", EXISTS), "Cannot delete then update"),
        (("delete", {}), ("delete", EXISTS), "Cannot delete then delete"),
        (("delete", {}), ("update", VERSION), "Cannot delete then update"),
        (("update", {}), ("update", VERSION), "different version preconditions"),
    ],
)
def test_what_the_writes_of_one_document_require_must_go_together(
    client: firestore.Client, first: Any, second: Any, text: str
) -> None:
    name = client.document("c/d")._document_path
    operations = {"update": {"update": {"name": name}}, "delete": {"delete": name}}
    writes = [operations[kind] | condition for kind, condition in (first, second)]
    with pytest.raises(exceptions.InvalidArgument, match=text):
        commit(client, *writes)


def test_a_version_may_be_required_twice_also_of_what_was_just_deleted(
    client: firestore.Client,
) -> None:
    stored = client.document("c/d").set({"x": 1}).update_time
    name, condition = client.document("c/d")._document_path, {"update_time": stored}
    write = {"update": {"name": name}, "current_document": condition}
    delete = {"delete": name, "current_document": condition}
    commit(client, write, delete, delete, {"update": {"name": name}})
    assert client.document("c/d").get().to_dict() == {}


def test_results_of_writes_of_one_document_tell_its_final_state(client: firestore.Client) -> None:
    name = client.document("c/d")._document_path
    update, delete = {"update": {"name": name}}, {"delete": name}
    times = [bool(r.update_time) for r in commit(client, update, delete).write_results]
    assert times == [False, False]
    times = [bool(r.update_time) for r in commit(client, delete, update).write_results]
    assert times == [True, True]


def test_bad_writes_are_refused_before_any_precondition_is_looked_at(
    client: firestore.Client,
) -> None:
    name = client.document("c/none")._document_path
    bad = {"update": {"name": name, "fields": {"__x__": {"integer_value": 1}}}}
    with pytest.raises(exceptions.InvalidArgument):
        commit(client, {"update": {"name": name}} | EXISTS, bad)


def test_bulk_writer_reports_each_write_by_itself(client: firestore.Client) -> None:
    client.document("c/5").set({})
    failures: list[Any] = []

    def fails(failure: Any, _: Any) -> bool:
        failures.append(failure.code)
        return False

    writer = client.bulk_writer()
    writer.on_write_error(fails)
    for number in range(30):
        writer.create(client.document(f"c/{number}"), {"n": number})
    writer.close()
    assert failures == [6]
    assert client.collection("c").count().get()[0][0].value == 30


def test_a_batch_write_takes_each_document_once(client: firestore.Client) -> None:
    write = {"delete": client.document("c/d")._document_path}
    request = {"database": client._database_string, "writes": [write, write]}
    with pytest.raises(exceptions.InvalidArgument, match="more than once"):
        client._firestore_api.batch_write(request=request, metadata=client._rpc_metadata)


def test_recursive_delete_takes_everything_underneath(client: firestore.Client) -> None:
    for name in ("c/a", "c/a/s/b", "c/a/s/b/t/x", "d/a"):
        client.document(name).set({})
    assert client.recursive_delete(client.collection("c")) == 3
    assert [c.id for c in client.collections()] == ["d"]


def test_named_databases_are_kept_apart(server: Any, client: firestore.Client) -> None:
    from tests.local.services.firestore.firestore_server import connect

    if not server.address:
        pytest.skip("a second database takes minutes")
    other = connect(server, database="other", project=client.project)
    client.document("c/d").set({"x": 1})
    other.document("c/d").set({"x": 2})
    assert client.document("c/d").get().get("x") == 1
    assert [s.get("x") for s in other.collection("c").stream()] == [2]
    other.close()


def test_a_double_is_made_by_adding_one_even_if_it_is_zero(client: firestore.Client) -> None:
    document = client.document("c/d")
    document.set({"n": 5})
    document.update({"n": firestore.Increment(0.0)})
    found = document.get().get("n")
    assert (found, type(found)) == (5.0, float)


def test_what_is_written_below_a_vector_takes_its_place(client: firestore.Client) -> None:
    document = client.document("c/d")
    document.set({"v": Vector([1.0])})
    document.update({"v.gone": firestore.DELETE_FIELD})
    assert document.get().get("v") == Vector([1.0])
    document.update({"v.x": 1})
    assert document.get().get("v") == {"x": 1}
