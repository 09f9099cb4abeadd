"""Contract: Listen, through the stock client's `on_snapshot` and as bare messages."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from google.cloud import firestore
from google.cloud.firestore import FieldFilter
from google.cloud.firestore_v1 import types

from local.kernel.clock import Clock
from local.kernel.database import Database
from local.services.firestore import listening
from local.services.firestore.listening import MOST_WAITING
from local.services.firestore.service import Firestore

Kind = types.TargetChange.TargetChangeType
PATIENCE = 10
"""Seconds."""


class Stream:
    """One stream of Listen, message by message."""

    def __init__(self, client: firestore.Client) -> None:
        self._client = client
        self._requests: queue.Queue[Any] = queue.Queue()
        self._results: set[str] = set()
        call = client._firestore_api.transport.listen
        self._responses = call(iter(self._requests.get, None), metadata=client._rpc_metadata)

    def add(self, id_: int = 1, **target: Any) -> None:
        request = {
            "database": self._client._database_string,
            "add_target": {"target_id": id_, **target},
        }
        self._requests.put(types.ListenRequest(request))

    def remove(self, id_: int = 1) -> None:
        database = self._client._database_string
        self._requests.put(types.ListenRequest(database=database, remove_target=id_))

    def until(self, is_last: Callable[[Any], bool]) -> list[Any]:
        """The messages up to the first of which that is true."""
        found: list[Any] = []
        timer = threading.Timer(PATIENCE, self._responses.cancel)
        timer.start()
        try:
            while not found or not is_last(found[-1]):
                found.append(next(self._responses))
        finally:
            timer.cancel()
        return found

    def snapshot(self) -> list[Any]:
        """The messages up to the next consistent snapshot."""
        return self.until(is_snapshot)

    def results(self) -> list[str]:
        """The results at the next snapshot, as a client puts them together from the messages."""
        for word in told(self.snapshot()):
            if word == "RESET":
                self._results.clear()
            elif word.startswith("+"):
                self._results.add(word[1:])
            elif word.startswith("-"):
                self._results.discard(word[1:])
        return sorted(self._results)

    def close(self) -> None:
        self._requests.put(None)
        self._responses.cancel()


def is_snapshot(message: Any) -> bool:
    change = message.target_change
    is_plain = change.target_change_type == Kind.NO_CHANGE and not change.target_ids
    return "target_change" in message and is_plain and bool(change.read_time)


def is_removed(message: Any) -> bool:
    return "target_change" in message and message.target_change.target_change_type == Kind.REMOVE


def told(messages: list[Any]) -> list[str]:
    """The messages, a word or two each."""
    found = []
    for message in messages:
        kind = types.ListenResponse.pb(message).WhichOneof("response_type")
        part = getattr(message, kind)
        if kind == "target_change":
            found.append(part.target_change_type.name)
        elif kind == "document_change":
            found.append(f"+{part.document.name.rpartition('/')[2]}")
        elif kind == "filter":
            found.append(f"={part.count}")
        else:
            found.append(f"-{part.document.rpartition('/')[2]}")
    return found


def query_of(client: firestore.Client, query: Any) -> dict[str, Any]:
    parent = f"{client._database_string}/documents"
    return {"query": {"parent": parent, "structured_query": query._to_protobuf()}}


@pytest.fixture
def stream(client: firestore.Client) -> Iterator[Stream]:
    made = Stream(client)
    yield made
    made.close()


@pytest.fixture
def adults(client: firestore.Client) -> Any:
    """People from eighteen on; at first Ada (36) and not Ben (7)."""
    client.document("people/ada").set({"age": 36})
    client.document("people/ben").set({"age": 7})
    return client.collection("people").where(filter=FieldFilter("age", ">=", 18))


def test_a_target_begins_with_its_results(
    client: firestore.Client, stream: Stream, adults: Any
) -> None:
    stream.add(**query_of(client, adults))
    assert told(stream.snapshot()) == ["ADD", "+ada", "CURRENT", "NO_CHANGE"]


def test_each_commit_is_told_as_what_it_did_to_the_results(
    client: firestore.Client, stream: Stream, adults: Any
) -> None:
    stream.add(**query_of(client, adults))
    assert stream.results() == ["ada"]
    client.document("people/ben").update({"age": 18})
    assert stream.results() == ["ada", "ben"]
    client.document("people/ada").update({"age": 1})
    assert stream.results() == ["ben"]
    client.document("people/ben").delete()
    assert stream.results() == []


@pytest.mark.ours("it sends all results again after each commit")
def test_nothing_is_told_but_what_has_changed(
    client: firestore.Client, stream: Stream, adults: Any
) -> None:
    stream.add(**query_of(client, adults))
    stream.snapshot()
    client.document("people/ben").update({"age": 18})
    assert told(stream.snapshot()) == ["+ben", "NO_CHANGE"]
    client.document("people/cy").set({"age": 2})
    client.document("people/ada").delete()
    assert told(stream.snapshot()) == ["-ada", "NO_CHANGE"]


def test_what_a_limit_lets_in_is_told(
    client: firestore.Client, stream: Stream, adults: Any
) -> None:
    client.document("people/cy").set({"age": 40})
    stream.add(**query_of(client, adults.order_by("age").limit(1)))
    assert stream.results() == ["ada"]
    client.document("people/ada").delete()
    assert stream.results() == ["cy"]


def test_documents_are_listened_to_whether_they_are_there_or_not(
    client: firestore.Client, stream: Stream, adults: Any
) -> None:
    names = [client.document(f"people/{name}")._document_path for name in ("ada", "none")]
    stream.add(documents={"documents": names})
    assert stream.results() == ["ada"]
    client.document("people/ben").delete()
    client.document("people/none").set({"age": 1})
    assert stream.results() == ["ada", "none"]


def test_a_removed_target_is_told_of_no_more(
    client: firestore.Client, stream: Stream, adults: Any
) -> None:
    stream.add(1, **query_of(client, adults))
    stream.snapshot()
    stream.remove(1)
    assert told(stream.until(is_removed)) == ["REMOVE"]
    stream.add(2, **query_of(client, client.collection("people").order_by("age")))
    assert stream.results() == ["ada", "ben"]
    client.document("people/ada").update({"age": 37})
    changes = [it.document_change for it in stream.snapshot() if "document_change" in it]
    assert {id_ for change in changes for id_ in change.target_ids} == {2}


@pytest.mark.ours("it sends all results again")
def test_a_resume_token_brings_what_has_changed_and_how_many_there_are(
    client: firestore.Client, stream: Stream, adults: Any
) -> None:
    client.document("people/cy").set({"age": 40})
    stream.add(**query_of(client, adults))
    token = stream.snapshot()[-1].target_change.resume_token
    stream.close()
    client.document("people/ada").update({"age": 1})
    client.document("people/ben").update({"age": 20})
    again = Stream(client)
    again.add(**query_of(client, adults), resume_token=token)
    assert told(again.snapshot()) == ["ADD", "-ada", "+ben", "=2", "CURRENT", "NO_CHANGE"]
    again.close()


@pytest.mark.ours("it keeps every version")
def test_a_token_that_is_too_old_begins_anew(
    client: firestore.Client, stream: Stream, adults: Any
) -> None:
    old = (int(time.time() * 1e6) - 2 * 3600 * 1_000_000).to_bytes(8, "big")
    stream.add(**query_of(client, adults), resume_token=old)
    expected = ["ADD", "RESET", "+ada", "=1", "CURRENT", "NO_CHANGE"]
    assert told(stream.snapshot()) == expected


@pytest.mark.ours("it ends the stream instead")
def test_what_cannot_be_listened_to_is_a_removed_target_with_its_cause(
    client: firestore.Client, stream: Stream
) -> None:
    stream.add(**query_of(client, client.collection("c").order_by("n").offset(-1)))
    (removed,) = stream.until(is_removed)
    assert removed.target_change.cause.code == 3
    stream.add(2, **query_of(client, client.collection("c").order_by("n")))
    assert told(stream.snapshot()) == ["ADD", "CURRENT", "NO_CHANGE"]


def test_on_snapshot_is_called_with_the_results_and_what_changed(
    client: firestore.Client, adults: Any
) -> None:
    calls: queue.Queue[Any] = queue.Queue()

    def called(documents: Any, changes: Any, at: Any) -> None:
        calls.put(([it.id for it in documents], [(it.type.name, it.document.id) for it in changes]))

    watch = adults.order_by("age").on_snapshot(called)
    assert calls.get(timeout=PATIENCE) == (["ada"], [("ADDED", "ada")])
    client.document("people/ben").update({"age": 20})
    assert calls.get(timeout=PATIENCE) == (["ben", "ada"], [("ADDED", "ben")])
    client.document("people/ada").delete()
    assert calls.get(timeout=PATIENCE) == (["ben"], [("REMOVED", "ada")])
    watch.unsubscribe()


def test_a_commit_that_is_refused_is_told_to_nobody(
    client: firestore.Client, stream: Stream, adults: Any
) -> None:
    stream.add(**query_of(client, adults))
    assert stream.results() == ["ada"]
    batch = client.batch()
    batch.set(client.document("people/dee"), {"age": 50})
    batch.create(client.document("people/ada"), {})
    with pytest.raises(Exception, match="already exists"):
        batch.commit()
    client.document("people/eve").set({"age": 50})
    assert stream.results() == ["ada", "eve"]


def test_a_client_that_is_too_far_behind_is_ended_and_may_resume(tmp_path: Path) -> None:
    """Here nobody reads at all; what is committed is not kept for ever."""

    async def story() -> str:
        database = Database(tmp_path / "state")
        service = Firestore(database, Clock(database))
        stream = listening.Stream(service.documents, cast(Any, None))
        stream._targets[1] = listening.Target(1, None)
        for number in range(MOST_WAITING + 5):
            stream.committed([], number)
        found = [stream._inbox.get_nowait() for _ in range(stream._inbox.qsize())]
        database.close()
        return f"{len(found)} {found[-1].code.name}"

    assert asyncio.run(story()) == f"{MOST_WAITING + 1} RESOURCE_EXHAUSTED"
