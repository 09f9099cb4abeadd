"""Expiry, expired transactions, restarts, indexes and history of our own server."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore import ExplainOptions, FieldFilter

from local.services.firestore import history, indexes, queries, scans
from tests.local.services.firestore.firestore_server import Server, connect, run_server

DAY = timedelta(days=1)


@pytest.fixture
def own(own_server: Server) -> Iterator[Any]:
    client = connect(own_server)
    yield client
    client.close()


def set_ttl(server: Any, client: firestore.Client, group: Any, field: Any) -> None:
    server.call(server.firestore.set_ttl, client._database_string, group, field)


def begin(client: firestore.Client) -> Any:
    return client._firestore_api.begin_transaction(
        request={"database": client._database_string}, metadata=client._rpc_metadata
    ).transaction


def roll_back(client: firestore.Client, transaction: Any) -> None:
    client._firestore_api.rollback(
        request={"database": client._database_string, "transaction": transaction},
        metadata=client._rpc_metadata,
    )


def read_in(client: firestore.Client, transaction: Any) -> Any:
    request = {
        "database": client._database_string,
        "documents": [client.document("c/d")._document_path],
        "transaction": transaction,
    }
    return list(
        client._firestore_api.batch_get_documents(
            request=request, metadata=client._rpc_metadata, timeout=10, retry=None
        )
    )


def test_expired_documents_stay_until_the_collector_passes(own_server: Server, own: Any) -> None:
    set_ttl(own_server, own, "c", "expire_at")
    now = datetime.now(UTC)
    own.document("c/past").set({"expire_at": now - 30 * DAY})
    own.document("c/soon").set({"expire_at": now + timedelta(hours=1)})
    own.document("c/later").set({"expire_at": now + 3 * DAY})
    own.document("c/never").set({"expire_at": "tomorrow"})
    own.document("other/past").set({"expire_at": now - DAY})
    own_server.advance(timedelta(hours=2))
    assert own.document("c/past").get().exists
    own_server.advance(DAY)
    assert [s.id for s in own.collection("c").stream()] == ["later", "never"]
    own_server.advance(3 * DAY)
    assert [s.id for s in own.collection("c").stream()] == ["never"]
    assert own.document("other/past").get().exists


def test_a_document_whose_expiry_is_put_off_stays(own_server: Server, own: Any) -> None:
    set_ttl(own_server, own, "c", "expire_at")
    own.document("c/d").set({"expire_at": datetime.now(UTC) + timedelta(hours=1)})
    own.document("c/d").update({"expire_at": datetime.now(UTC) + 10 * DAY})
    own_server.advance(3 * DAY)
    assert own.document("c/d").get().exists


def test_a_policy_made_later_deletes_what_is_there_and_one_removed_deletes_nothing(
    own_server: Server, own: Any
) -> None:
    own.document("a/1/c/d").set({"expire_at": datetime.now(UTC) - DAY})
    set_ttl(own_server, own, "c", "expire_at")
    own_server.advance(DAY)
    assert not own.document("a/1/c/d").get().exists
    own.document("c/e").set({"expire_at": datetime.now(UTC)})
    set_ttl(own_server, own, "c", None)
    own_server.advance(3 * DAY)
    assert own.document("c/e").get().exists


@pytest.mark.parametrize("idle", [timedelta(seconds=61), timedelta(seconds=271)])
def test_a_transaction_expires(own_server: Server, own: Any, idle: Any) -> None:
    own.document("c/d").set({})
    transaction = begin(own)
    read_in(own, transaction)
    own_server.advance(idle)
    with pytest.raises(exceptions.InvalidArgument, match="has expired or is no longer valid"):
        read_in(own, transaction)
    own.document("c/d").set({"x": 1}, timeout=2)


def test_the_locks_of_an_expired_transaction_hold_nobody_up(own_server: Server, own: Any) -> None:
    own.document("c/d").set({})
    read_in(own, begin(own))
    own_server.advance(timedelta(seconds=61))
    assert own.document("c/d").set({"x": 1}, timeout=2)


def test_documents_indexes_policies_and_time_survive_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "FEW", 0)
    path = str(tmp_path / "state.sqlite")
    for first in (True, False):
        servers = run_server(path)
        server = next(servers)
        client = connect(server, project="p")
        if first:
            set_ttl(server, client, "c", "e")
            old = client.document("c/d").set({"x": 1, "e": datetime.now(UTC) - DAY}).update_time
            query = client.collection("c").order_by("x")
            assert [s.id for s in query.stream()] == ["d"]
        else:
            client.document("c/f").set({"x": 0})
            assert [s.id for s in client.collection("c").order_by("x").stream()] == ["f", "d"]
            assert client.document("c/d").get().update_time == old
            server.advance(DAY)
            assert not client.document("c/d").get().exists
        client.close()
        assert next(servers, None) is None


def test_an_index_follows_every_kind_of_write(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "FEW", 0)
    collection = own.collection("c")
    query = collection.where(filter=FieldFilter("s", "==", "on")).order_by("n")
    assert query.get() == []
    for number in range(5):
        collection.document(str(number)).set({"s": "on", "n": -number})
    collection.document("1").update({"s": "off"})
    collection.document("2").update({"n": 7})
    collection.document("3").delete()
    collection.document("4").set({"s": "on"})
    assert [s.id for s in query.stream()] == ["0", "2"]


def test_the_past_is_read_along_an_index_too(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "FEW", 0)
    collection = own.collection("c")
    for number in range(5):
        collection.document(str(number)).set({"n": number})
    then = collection.document("0").get().read_time
    collection.document("1").update({"n": 9})
    collection.document("2").delete()
    collection.document("new").set({"n": 2.5})
    query = collection.order_by("n").limit(4)
    assert [s.id for s in query.stream(read_time=then)] == ["0", "1", "2", "3"]
    assert [s.id for s in query.stream()] == ["0", "new", "3", "4"]


def test_a_result_is_what_was_when_the_query_began(
    own: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "FIRST_PAGE", 2)
    monkeypatch.setattr(scans, "PAGE", 2)
    batch = own.batch()
    for number in range(400):
        batch.set(own.document(f"c/{number:03}"), {"text": "x" * 2000})
    batch.commit()
    stream = own.collection("c").stream()
    first = next(stream)
    own.document("c/399").delete()
    own.document("c/1000").set({})
    assert [first.id, *(s.id for s in stream)] == [f"{number:03}" for number in range(400)]


def test_history_is_bounded_and_what_it_lost_is_too_old(
    own: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_VERSIONS", 10)
    monkeypatch.setattr(history, "PRUNE_EVERY", 5)
    first = own.document("c/d").set({"n": 0}).update_time
    for number in range(1, 60):
        last = own.document("c/d").set({"n": number}).update_time
    with pytest.raises(exceptions.FailedPrecondition, match="too old"):
        own.document("c/d").get(read_time=first)
    assert own.document("c/d").get(read_time=last).get("n") == 59


def test_a_read_time_older_than_an_hour_is_too_old(own_server: Server, own: Any) -> None:
    then = own.document("c/d").set({}).update_time
    own_server.advance(timedelta(minutes=59))
    assert own.document("c/d").get(read_time=then).exists
    own_server.advance(timedelta(minutes=2))
    with pytest.raises(exceptions.FailedPrecondition, match="too old"):
        own.document("c/d").get(read_time=then)


def test_a_query_over_many_documents_for_a_few_leaves_an_index_behind(
    own_server: Server, own: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "MANY_IN_VAIN", 100)
    writer = own.bulk_writer()
    for number in range(1000):
        writer.set(own.document(f"c/{number:04}"), {"rare": number == 998})
    writer.close()
    query = own.collection("c").where(filter=FieldFilter("rare", "==", True)).limit(1)
    assert [s.id for s in query.stream()] == ["0998"]
    shape = indexes.shape_of(queries.parse(*_parsed(own, query)))
    assert own_server.firestore
    ready = own_server.firestore.indexes.find
    deadline = time.monotonic() + 20
    while not own_server.call(ready, shape):
        assert time.monotonic() < deadline, "the index is never ready"
    assert [s.id for s in query.stream()] == ["0998"]


def _parsed(client: firestore.Client, query: Any) -> Any:
    return f"{client._database_string}/documents", query._to_protobuf()._pb


def test_an_explained_query_names_its_index_and_its_cost(own: Any) -> None:
    for number in range(3):
        own.document(f"c/{number}").set({"a": 1, "n": number})
    query = own.collection("c").where(filter=FieldFilter("a", "==", 1)).order_by("n")
    results = query.get(explain_options=ExplainOptions(analyze=True))
    metrics = results.get_explain_metrics()
    assert len(results) == metrics.execution_stats.results_returned == 3
    assert metrics.plan_summary.indexes_used[0]["properties"] == "(a ASC, n ASC, __name__ ASC)"
    assert metrics.execution_stats.debug_stats["billing_details"]["documents_billable"] == "3"


def test_the_index_of_one_of_several_values_begins_with_their_field(own: Any) -> None:
    query = own.collection("c").where(filter=FieldFilter("a", "in", [1, 2]))
    plan = query.get(explain_options=ExplainOptions(analyze=False)).get_explain_metrics()
    assert plan.plan_summary.indexes_used[0]["properties"] == "(a ASC, __name__ ASC)"


def test_the_index_of_a_sum_holds_the_field_before_the_name(own: Any) -> None:
    query = own.collection("c").where(filter=FieldFilter("a", "==", 1)).sum("n").avg("a")
    results = query.get(explain_options=ExplainOptions(analyze=False))
    indexes = results.get_explain_metrics().plan_summary.indexes_used
    assert indexes[0]["properties"] == "(a ASC, n ASC, __name__ ASC)"


def test_a_query_that_is_only_explained_is_not_run(own: Any) -> None:
    own.document("c/d").set({})
    results = own.collection("c").limit(5).get(explain_options=ExplainOptions(analyze=False))
    assert (list(results), results.get_explain_metrics().plan_summary.indexes_used) == (
        [], [{"query_scope": "Collection", "properties": "(__name__ ASC)"}],
    )  # fmt: skip
