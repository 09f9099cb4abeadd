"""What the service is asked, and what its answers and refusals mean."""

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.api_core import exceptions as google
from google.cloud.firestore_v1 import types

from common.cloud import firestore
from common.cloud.firestore import Create, Delete, Merge, Snapshot, Update
from common.cloud.firestore_service import FirestoreService
from common.errors import BundleError, PermanentError, RefusedError, UnavailableError
from tests.common.cloud.scripted import Scripted, scripted

DATABASE = "projects/p/databases/d"
ROOT = f"{DATABASE}/documents"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = datetime(2030, 1, 2, tzinfo=UTC)
COMMITTED = types.CommitResponse.pb(types.CommitResponse(commit_time=NOW))
Code = grpc.StatusCode
Call = Callable[[], object]


@pytest.fixture(scope="module")
def running() -> Iterator[Scripted]:
    with scripted() as made:
        yield made


@pytest.fixture
def server(running: Scripted) -> Iterator[Scripted]:
    running.calls.clear()
    headers = [("from", "the client")]
    service = FirestoreService(running.channel, project="p", database="d", metadata=headers)
    with firestore.using(service):
        yield running


def commit() -> datetime:
    return firestore.commit([Create(path="a/1", fields={"n": 1})])


def read() -> Snapshot:
    return firestore.read("a/1")


def query(**how: Any) -> list[Snapshot]:
    return list(firestore.query("a", **how))


def count() -> int:
    return firestore.count("a")


def cuts() -> list[str]:
    return firestore.cuts("a", 8)


CALLS = [commit, read, query, count, cuts]


def document(path: str) -> Any:
    return types.Document(name=f"{ROOT}/{path}", update_time=NOW)


def found(path: str) -> Any:
    answer = types.BatchGetDocumentsResponse(found=document(path), read_time=LATER)
    return types.BatchGetDocumentsResponse.pb(answer)


def missing(path: str) -> Any:
    answer = types.BatchGetDocumentsResponse(missing=f"{ROOT}/{path}", read_time=LATER)
    return types.BatchGetDocumentsResponse.pb(answer)


def result(path: str) -> Any:
    answer = types.RunQueryResponse(document=document(path), read_time=LATER)
    return types.RunQueryResponse.pb(answer)


def partitions(*paths: str, more: str = "") -> Any:
    cursors = [types.Cursor(values=[{"reference_value": f"{ROOT}/{path}"}]) for path in paths]
    answer = types.PartitionQueryResponse(partitions=cursors, next_page_token=more)
    return types.PartitionQueryResponse.pb(answer)


def raised(server: Scripted, code: grpc.StatusCode, call: Call) -> type[BundleError]:
    """What a call raises that the service refuses so."""
    server.answers = deque([code])
    with pytest.raises(BundleError) as translated:
        call()
    assert isinstance(translated.value.__cause__, google.GoogleAPIError)
    return type(translated.value)


PASSING = [
    *(Code.DEADLINE_EXCEEDED, Code.CANCELLED, Code.UNKNOWN),
    *(Code.PERMISSION_DENIED, Code.UNAUTHENTICATED, Code.DATA_LOSS, Code.UNIMPLEMENTED),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", PASSING)
def test_what_may_pass_is_worth_another_try(
    server: Scripted, call: Call, code: grpc.StatusCode
) -> None:
    assert raised(server, code, call) is UnavailableError


@pytest.mark.parametrize("code", [Code.ALREADY_EXISTS, Code.FAILED_PRECONDITION, Code.NOT_FOUND])
def test_a_precondition_that_does_not_hold_refuses_the_commit(
    server: Scripted, code: grpc.StatusCode
) -> None:
    assert raised(server, code, commit) is RefusedError


@pytest.mark.parametrize("call", CALLS)
def test_what_the_service_never_takes_is_permanent(server: Scripted, call: Call) -> None:
    assert raised(server, Code.INVALID_ARGUMENT, call) is PermanentError


@pytest.mark.parametrize(
    "call",
    [
        lambda: firestore.commit([Create(path="a/1", fields={"n": object()})]),
        lambda: firestore.commit([Create(path="a", fields={})]),
        lambda: firestore.commit([Merge(path="a/1", fields={"n": 2**70})]),
        lambda: firestore.read("a"),
        lambda: list(firestore.query("a", ("n", "<>", 1))),
        lambda: firestore.count("a", ("n", "<", None)),
    ],
)
def test_what_cannot_be_said_at_all_is_permanent_and_not_sent(server: Scripted, call: Call) -> None:
    with pytest.raises(PermanentError):
        call()
    assert server.calls == []


ALWAYS = [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.ABORTED]
ANSWERS: dict[Call, Any] = {
    commit: COMMITTED,
    read: [found("a/1")],
    query: [result("a/1")],
    cuts: partitions("a/1"),
}


@pytest.mark.parametrize("call", ANSWERS)
@pytest.mark.parametrize("code", ALWAYS)
def test_what_surely_passes_is_asked_again(
    server: Scripted, call: Call, code: grpc.StatusCode
) -> None:
    server.answers = deque([code, ANSWERS[call]])
    call()
    assert len(server.calls) == 2


def test_only_a_read_is_repeated_after_an_error_inside_the_service(server: Scripted) -> None:
    server.answers = deque([Code.INTERNAL, [found("a/1")]])
    assert read().exists
    assert raised(server, Code.INTERNAL, commit) is UnavailableError
    assert [call.method for call in server.calls] == [*["BatchGetDocuments"] * 2, "Commit"]


@pytest.mark.parametrize(("call", "header"), [
    (commit, f"database={DATABASE}"),
    (read, f"database={DATABASE}"),
    (query, f"parent={ROOT}"),
    (cuts, f"parent={ROOT}"),
])  # fmt: skip
def test_a_call_says_which_database_it_is_about(server: Scripted, call: Call, header: str) -> None:
    server.answers = deque([ANSWERS[call]])
    call()
    metadata = server.calls[0].metadata
    assert (metadata["x-goog-request-params"], metadata["from"]) == (header, "the client")


def test_several_writes_are_one_commit(server: Scripted) -> None:
    server.answers = deque([COMMITTED])
    fence = Update(path="a/2", fields={"n": 1}, update_time=NOW)
    assert firestore.commit([Merge(path="a/1"), fence, Delete(path="a/3")]) == NOW
    (call,) = server.calls
    request = call.read(types.CommitRequest)
    merge, update, delete = request.writes
    assert (request.database, merge.update.name) == (DATABASE, f"{ROOT}/a/1")
    assert update.current_document.update_time.seconds == NOW.timestamp()
    assert delete.delete == f"{ROOT}/a/3"


def test_documents_come_in_the_order_of_their_paths(server: Scripted) -> None:
    server.answers = deque([[missing("a/2"), found("a/1")]])
    assert firestore.read_all(["a/1", "a/2", "a/1"]) == [
        Snapshot(path="a/1", data={}, update_time=NOW, read_time=LATER),
        Snapshot(path="a/2", data={}, update_time=None, read_time=LATER),
        Snapshot(path="a/1", data={}, update_time=NOW, read_time=LATER),
    ]


def test_a_query_that_finds_nothing_is_answered_by_a_time(server: Scripted) -> None:
    server.answers = deque([[types.RunQueryResponse.pb()()]])
    assert query() == []


def test_a_query_that_is_interrupted_goes_on_behind_its_last_document(server: Scripted) -> None:
    server.answers = deque([[result("a/1"), result("a/2"), Code.UNAVAILABLE], [result("a/3")]])
    assert [it.path for it in query(limit=5, first="1")] == ["a/1", "a/2", "a/3"]
    again = server.calls[1].read(types.RunQueryRequest).structured_query
    assert (again.limit.value, again.start_at.before) == (3, False)
    assert again.start_at.values[0].reference_value == f"{ROOT}/a/2"


def test_a_query_that_is_interrupted_behind_its_limit_is_finished(server: Scripted) -> None:
    server.answers = deque([[result("a/1"), Code.UNAVAILABLE]])
    assert len(query(limit=1)) == 1
    assert len(server.calls) == 1


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.PERMISSION_DENIED])
def test_a_query_that_cannot_go_on_says_so(server: Scripted, code: grpc.StatusCode) -> None:
    server.answers = deque([[result("a/1"), code]])
    ordered = firestore.query("a", ("at", "<", NOW))
    assert next(ordered).path == "a/1"
    with pytest.raises(UnavailableError):
        next(ordered)
    assert len(server.calls) == 1


def test_documents_are_counted_by_the_service(server: Scripted) -> None:
    answer = {"result": {"aggregate_fields": {"count": {"integer_value": 7}}}}
    server.answers = deque([types.RunAggregationQueryResponse.pb(
        types.RunAggregationQueryResponse(answer)
    )])  # fmt: skip
    assert firestore.count("users/u/orders", ("n", "==", 1)) == 7
    request = server.calls[0].read(types.RunAggregationQueryRequest)
    assert request.parent == f"{ROOT}/users/u"
    inner = request.structured_aggregation_query.structured_query
    assert (inner.from_[0].collection_id, inner.where.field_filter.field.field_path) == (
        "orders", "n"
    )  # fmt: skip


def test_a_collection_is_cut_where_the_service_says_page_by_page(server: Scripted) -> None:
    server.answers = deque([partitions("a/5", "b/1/a/3", more="next"), partitions("a/1")])
    assert cuts() == ["1", "5"]
    first, second = (call.read(types.PartitionQueryRequest) for call in server.calls)
    assert (first.partition_count, first.parent, second.page_token) == (7, ROOT, "next")
    assert first.structured_query.from_[0].all_descendants
