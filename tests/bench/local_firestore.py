"""The local Firestore: commits, gets, and pages of a small and of a large collection, a second.

    python -m tests.bench.local_firestore

All are raw gRPC calls of serialized requests, one after another and by 8 threads; the baseline is
the same bytes to a server that echoes them. A page is a query for 300 documents in the order of
their names, from a place in the middle; its ratio is against the page of the small collection, and
is near 1 if pages do not take longer in larger collections.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.cloud.firestore_v1 import types

from tests.bench.clouds import Measured, own_process
from tests.bench.echo import Echo, echoing
from tests.bench.rates import compared, seconds, table

SMALL, LARGE = 1_000, 200_000
PAGE = 300
WRITES = 500
"""Of a commit that fills a collection; the platform's limit was this for years."""
SERVICE = "/google.firestore.v1.Firestore"

Row = Sequence[object]
Send = Callable[[bytes], object]


def main() -> None:
    """Print the tables."""
    with echoing() as echo, own_process() as cloud:
        header = ("", "a second", "baseline", "ratio")
        table("Calls", header, calls(cloud, echo))
        header = ("", "ms", "ms of the small one", "ratio")
        table(f"A page of {PAGE} documents, by name", header, pages(cloud))


def calls(cloud: Measured, echo: Echo) -> list[Row]:
    """Rows: a commit that creates a document, and a get of one, against an echo."""
    with _channel(cloud) as ours, grpc.insecure_channel(echo.grpc) as bare:
        return [
            row
            for threads in (1, 8)
            for row in (_commits(cloud, ours, bare, threads), _gets(cloud, ours, bare, threads))
        ]


def pages(cloud: Measured) -> list[Row]:
    """Rows: what a page takes by the size of its collection."""
    rows = []
    with _channel(cloud) as channel:
        for count in (SMALL, LARGE):
            _fill(cloud, channel, f"of-{count}", count)
            page = _page(cloud, channel, f"of-{count}", count // 2)
            rows.append((f"of {count:,}", 1000 * seconds(page)))
    return [(*row, rows[0][1], row[1] / rows[0][1]) for row in rows]


def _commits(cloud: Measured, ours: grpc.Channel, bare: grpc.Channel, threads: int) -> Row:
    numbers = itertools.count()

    def creating(send: Send) -> Callable[[], object]:
        return lambda: send(_commit(cloud, f"commits-{threads}", [next(numbers)]))

    return _compared("commits", "Commit", threads, ours, bare, creating)


def _gets(cloud: Measured, ours: grpc.Channel, bare: grpc.Channel, threads: int) -> Row:
    request = types.GetDocumentRequest.pb()(name=_name(cloud, f"commits-{threads}", 0))
    data = bytes(request.SerializeToString())
    return _compared("gets", "GetDocument", threads, ours, bare, lambda send: lambda: send(data))


def _compared(
    name: str,
    method: str,
    threads: int,
    ours: grpc.Channel,
    bare: grpc.Channel,
    calling: Callable[[Send], Callable[[], object]],
) -> Row:
    first, second = (channel.unary_unary(f"{SERVICE}/{method}") for channel in (ours, bare))
    how = "one after another" if threads == 1 else f"{threads} threads"
    return (f"{name}, {how}", *compared(calling(first), calling(second), threads))


def _fill(cloud: Measured, channel: grpc.Channel, collection: str, count: int) -> None:
    commit = channel.unary_unary(f"{SERVICE}/Commit")
    for first in range(0, count, WRITES):
        commit(_commit(cloud, collection, range(first, min(first + WRITES, count))))


def _page(cloud: Measured, channel: grpc.Channel, collection: str, after: int) -> Callable[[], int]:
    """Reads one page, the whole of it."""
    request = types.RunQueryRequest.pb()(parent=f"{_database(cloud)}/documents")
    query = request.structured_query
    query.from_.add(collection_id=collection)
    query.order_by.add().field.field_path = "__name__"
    query.start_at.values.add().reference_value = _name(cloud, collection, after)
    query.limit.value = PAGE
    data = bytes(request.SerializeToString())
    run = channel.unary_stream(f"{SERVICE}/RunQuery")

    def read() -> int:
        found = sum(1 for _ in run(data))
        assert found >= PAGE
        return found

    return read


def _commit(cloud: Measured, collection: str, numbers: Sequence[int]) -> bytes:
    """A CommitRequest that creates these documents."""
    request = types.CommitRequest.pb()(database=_database(cloud))
    for number in numbers:
        write: Any = request.writes.add()
        write.update.name = _name(cloud, collection, number)
        write.update.fields["email"].string_value = f"user-{number}@example.com"
        write.update.fields["digest_opt_in"].boolean_value = number % 2 == 0
        write.current_document.exists = False
    return bytes(request.SerializeToString())


def _database(cloud: Measured) -> str:
    return f"projects/{cloud.project}/databases/(default)"


def _name(cloud: Measured, collection: str, number: int) -> str:
    return f"{_database(cloud)}/documents/{collection}/user-{number:08d}"


def _channel(cloud: Measured) -> grpc.Channel:
    return grpc.insecure_channel(cloud.env["FIRESTORE_EMULATOR_HOST"])


if __name__ == "__main__":
    main()
