"""Contract: transactions lock what they read, and lose no update."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1 import types

from local.services.firestore import transactions
from tests.local.services.firestore.firestore_server import connect


def begin(client: firestore.Client, **options: Any) -> Any:
    request = {"database": client._database_string, "options": options}
    return client._firestore_api.begin_transaction(
        request=request, metadata=client._rpc_metadata, timeout=10
    ).transaction


def read(client: firestore.Client, transaction: Any, path: Any) -> Any:
    request = {
        "database": client._database_string,
        "documents": [client.document(path)._document_path],
        "transaction": transaction,
    }
    (answer,) = client._firestore_api.batch_get_documents(
        request=request, metadata=client._rpc_metadata, timeout=10, retry=None
    )
    return {key: value.integer_value for key, value in answer.found.fields.items()}


def commit(client: firestore.Client, transaction: Any = b"", **documents: Any) -> Any:
    writes = [
        types.Write(
            update={
                "name": client.document(f"c/{key}")._document_path,
                "fields": {"n": {"integer_value": value}},
            }
        )
        for key, value in documents.items()
    ]
    request = {
        "database": client._database_string, "writes": writes, "transaction": transaction
    }  # fmt: skip
    return client._firestore_api.commit(
        request=request, metadata=client._rpc_metadata, timeout=20, retry=None
    )


def roll_back(client: firestore.Client, transaction: Any) -> None:
    request = {"database": client._database_string, "transaction": transaction}
    client._firestore_api.rollback(request=request, metadata=client._rpc_metadata, timeout=10)


@firestore.transactional  # type: ignore[untyped-decorator]
def add_one(transaction: Any, document: Any) -> None:
    snapshot = document.get(transaction=transaction)
    transaction.set(document, {"n": (snapshot.get("n") if snapshot.exists else 0) + 1})


@pytest.mark.ours("it makes each of them wait for seconds, and most fail")
def test_forty_increments_at_once_all_succeed(client: firestore.Client) -> None:
    document = client.document("c/d")
    with ThreadPoolExecutor(40) as pool:
        list(pool.map(lambda _: add_one(client.transaction(), document), range(40)))
    assert document.get().get("n") == 40


@pytest.mark.ours("it makes each of them wait for seconds, and most fail")
def test_no_update_is_lost_among_64_threads_of_plain_and_transactional_writers(
    client: firestore.Client,
) -> None:
    document = client.document("c/d")
    document.set({"n": 0})

    def write(number: Any) -> None:
        if number % 2:
            document.update({"n": firestore.Increment(1)})
        else:
            add_one(client.transaction(), document)

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(write, range(64)))
    assert document.get().get("n") == 64


def test_a_write_waits_for_the_transaction_that_read_the_document(client: firestore.Client) -> None:
    commit(client, d=0)
    transaction = begin(client)
    read(client, transaction, "c/d")
    writer = threading.Thread(target=commit, args=(client,), kwargs={"d": 5})
    writer.start()
    commit(client, transaction, d=1)
    writer.join(10)
    assert client.document("c/d").get().get("n") == 5


def test_of_two_transactions_that_read_one_document_one_commits(client: firestore.Client) -> None:
    commit(client, d=0)
    first, second = begin(client), begin(client)
    read(client, first, "c/d")
    read(client, second, "c/d")
    outcomes = []
    for number, transaction in ((1, first), (2, second)):
        try:
            commit(client, transaction, d=number)
            outcomes.append(number)
        except exceptions.Aborted:
            pass
    assert outcomes == [client.document("c/d").get().get("n")]


def test_two_transactions_that_cross_each_other_do_not_both_commit(
    client: firestore.Client,
) -> None:
    commit(client, a=0, b=0)
    first, second = begin(client), begin(client)
    read(client, first, "c/a")
    read(client, second, "c/b")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: read(client, *pair), [(first, "c/b"), (second, "c/a")]))
        done = pool.map(lambda t: _succeeds(commit, client, t, a=1, b=1), [first, second])
        assert list(done) != [True, True]


def _succeeds(function: Any, *arguments: Any, **named: Any) -> Any:
    try:
        function(*arguments, **named)
    except exceptions.Aborted:
        return False
    return True


def test_a_new_result_of_a_query_and_the_transaction_that_ran_it_do_not_both_commit(
    client: firestore.Client,
) -> None:
    commit(client, a=1)
    transaction = client.transaction()
    transaction._begin()
    found = client.collection("c").where(filter=firestore.FieldFilter("n", ">", 0))
    assert len(list(found.stream(transaction=transaction))) == 1
    inserted = _succeeds(commit, client, b=1)
    committed = _succeeds(commit, client, transaction.id, total=1)
    assert [inserted, committed].count(True) == 1


def test_a_transaction_does_not_see_what_it_writes_until_it_commits(
    client: firestore.Client,
) -> None:
    commit(client, d=0)
    transaction = begin(client)
    assert read(client, transaction, "c/d") == {"n": 0}
    assert read(client, transaction, "c/d") == {"n": 0}
    commit(client, transaction, d=1)
    assert client.document("c/d").get().get("n") == 1


def test_a_read_only_transaction_sees_one_moment_and_blocks_nobody(
    client: firestore.Client,
) -> None:
    commit(client, d=0)
    transaction = begin(client, read_only={})
    read(client, transaction, "c/d")
    commit(client, d=1)
    assert read(client, transaction, "c/d") == {"n": 0}


def test_a_read_only_transaction_writes_nothing(client: firestore.Client) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="read-only transaction"):
        commit(client, begin(client, read_only={}), d=1)


def test_a_transaction_commits_once(client: firestore.Client) -> None:
    transaction = begin(client)
    commit(client, transaction, d=1)
    with pytest.raises(exceptions.InvalidArgument):
        commit(client, transaction, d=2)


def test_a_transaction_rolled_back_is_over_and_its_locks_are_free(client: firestore.Client) -> None:
    commit(client, d=0)
    transaction = begin(client)
    read(client, transaction, "c/d")
    roll_back(client, transaction)
    commit(client, d=2)
    with pytest.raises(exceptions.InvalidArgument):
        read(client, transaction, "c/d")


def test_rolling_back_what_is_over_is_no_error(client: firestore.Client) -> None:
    transaction = begin(client)
    commit(client, transaction, d=1)
    roll_back(client, transaction)


@pytest.mark.parametrize("use", [commit, roll_back, lambda c, t: read(c, t, "c/d")])
def test_an_unknown_transaction_is_invalid(client: firestore.Client, use: Any) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        use(client, b"nobody's")


def test_a_transaction_may_begin_with_its_first_read(client: firestore.Client) -> None:
    commit(client, d=3)
    request = {
        "database": client._database_string,
        "documents": [client.document("c/d")._document_path],
        "new_transaction": {"read_write": {}},
    }
    answers = list(
        client._firestore_api.batch_get_documents(request=request, metadata=client._rpc_metadata)
    )
    assert answers[0].transaction
    commit(client, answers[0].transaction, d=4)
    assert client.document("c/d").get().get("n") == 4


def test_a_transaction_reads_at_a_time_given(client: firestore.Client) -> None:
    commit(client, d=1)
    then = client.document("c/d").get().read_time
    commit(client, d=2)
    transaction = begin(client, read_only={"read_time": then})
    assert read(client, transaction, "c/d") == {"n": 1}


def test_an_optimistic_transaction_holds_nobody_up_and_loses_to_a_write(
    client: firestore.Client,
) -> None:
    commit(client, d=1)
    transaction = begin(client, read_write={"concurrency_mode": "OPTIMISTIC"})
    read(client, transaction, "c/d")
    if _succeeds(commit, client, d=2):
        assert not _succeeds(commit, client, transaction, d=3)


def test_a_transaction_that_read_a_missing_document_loses_to_its_creation(
    client: firestore.Client,
) -> None:
    transaction = begin(client, read_write={"concurrency_mode": "OPTIMISTIC"})
    read(client, transaction, "c/d")
    if _succeeds(commit, client, d=2):
        assert not _succeeds(commit, client, transaction, d=3)


@pytest.mark.ours("its transactions cannot ask for it")
def test_a_write_behind_an_optimistic_transaction_does_not_wait(client: firestore.Client) -> None:
    transaction = begin(client, read_write={"concurrency_mode": "OPTIMISTIC"})
    read(client, transaction, "c/d")
    client.document("c/d").set({"n": 1}, timeout=2)


def test_a_writer_that_gives_up_waiting_leaves_nothing_behind(client: firestore.Client) -> None:
    commit(client, d=0)
    transaction = begin(client)
    read(client, transaction, "c/d")
    with pytest.raises((exceptions.DeadlineExceeded, exceptions.Aborted)):
        client.document("c/d").set({"n": 9}, timeout=0.5, retry=None)
    commit(client, transaction, d=1)
    commit(client, d=2)
    assert client.document("c/d").get().get("n") == 2


def test_a_writer_is_aborted_when_a_transaction_does_nothing_for_long(
    client: firestore.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "WRITE_PATIENCE", 0.2)
    commit(client, d=0)
    transaction = begin(client)
    read(client, transaction, "c/d")
    with pytest.raises(exceptions.Aborted):
        commit(client, d=9)
    commit(client, transaction, d=1)
    assert client.document("c/d").get().get("n") == 1


def test_a_reader_reads_although_another_that_read_the_same_is_not_done(
    client: firestore.Client,
) -> None:
    commit(client, d=0)
    for _ in range(2):
        assert read(client, begin(client), "c/d") == {"n": 0}


def test_a_query_may_begin_a_transaction(client: firestore.Client) -> None:
    commit(client, d=1)
    request = {
        "parent": f"{client._database_string}/documents",
        "structured_query": {"from_": [{"collection_id": "c"}]},
        "new_transaction": {"read_write": {}},
    }
    answers = list(client._firestore_api.run_query(request=request, metadata=client._rpc_metadata))
    commit(client, answers[0].transaction, d=4)
    assert client.document("c/d").get().get("n") == 4


def test_what_a_query_found_is_locked(client: firestore.Client) -> None:
    commit(client, d=1)
    transaction = client.transaction()
    transaction._begin()
    (snapshot,) = transaction.get(
        client.collection("c").where(filter=firestore.FieldFilter("n", "==", 1))
    )
    writer = threading.Thread(target=commit, args=(client,), kwargs={"d": 5})
    writer.start()
    transaction.update(snapshot.reference, {"n": snapshot.get("n") + 1})
    transaction._commit()
    writer.join(10)
    assert client.document("c/d").get().get("n") == 5


def test_the_asyncio_client_is_served_alike(server: Any, client: firestore.Client) -> None:
    async def story() -> Any:
        own = connect(server, project=client.project, asynchronous=True)
        document = own.document("c/a")

        @firestore.async_transactional  # type: ignore[untyped-decorator]
        async def add_one(transaction: Any) -> None:
            snapshot = await document.get(transaction=transaction)
            transaction.set(document, {"n": (snapshot.get("n") if snapshot.exists else 0) + 1})

        for _ in range(3):
            await add_one(own.transaction())
        return [snapshot.get("n") async for snapshot in own.collection("c").stream()]

    assert asyncio.run(story()) == [3]
