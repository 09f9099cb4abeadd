"""Firestore as it is: Google's service, or an emulator, called through Google's client.

Every foreign exception is translated here: a failed precondition is `RefusedError`, what the server
will never take is `PermanentError`, anything else is `UnavailableError` (and, for a commit,
ambiguous: the writes may have been applied).
"""

import functools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import grpc
from google.api_core import exceptions as google
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from grpc.experimental import ChannelOptions
from msgspec.structs import replace

from common.cloud import calls, encoding, identity
from common.cloud.calls import Kind, Metadata, Method, routing
from common.cloud.reads import Filter, Query, Snapshot, is_by_id
from common.cloud.writes import Write
from common.errors import PermanentError, RefusedError, TransientError, UnavailableError
from common.process import settings

_REPEATED = {
    "Commit": (*calls.PASSING, google.Aborted),
    # A read can be repeated whatever became of it.
    "read": (*calls.PASSING, google.Aborted, google.InternalServerError),
}
_INTERRUPTED = (*calls.PASSING, google.InternalServerError, google.DeadlineExceeded)
"""Ends of a stream of documents behind which it can go on."""
_REFUSED = (google.AlreadyExists, google.FailedPrecondition, google.NotFound)
_NEVER = (google.InvalidArgument, TypeError, ValueError)
_OPTIONS = (
    # As google.cloud.firestore.Client has them.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Without a thread of its own for each read, which costs as much as the read.
    (ChannelOptions.SingleThreadedUnaryStream, 1),
)
_PAGE = 1000
"""Partitions in one answer."""


class FirestoreService:
    """A `Backend` of `common.cloud.firestore`: a database, at the other end of a channel."""

    def __init__(
        self,
        channel: grpc.Channel,
        *,
        project: str,
        database: str = "(default)",
        metadata: Metadata = (),
    ) -> None:
        self._database = f"projects/{project}/databases/{database}"
        self._root = f"{self._database}/documents"
        self._metadata = (("google-cloud-resource-prefix", self._database), *metadata)
        self._headers = (*self._metadata, routing("database", self._database))
        self._commit = _method(channel, "Commit")
        self._get = _method(channel, "BatchGetDocuments", kind="all")
        self._query = _method(channel, "RunQuery", kind="stream")
        self._count = _method(channel, "RunAggregationQuery", kind="all")
        self._partition = _method(channel, "PartitionQuery")

    def read_all(self, paths: Sequence[str]) -> list[Snapshot]:
        """See `Backend`."""
        with _asking(", ".join(paths)):
            names = [encoding.document_name(self._root, path) for path in paths]
            request = _GET(database=self._database, documents=names)
            found = {}
            for answer in self._get(request, *self._headers):
                if answer.HasField("found"):
                    snapshot = encoding.decode_document(answer.found, self._root, answer.read_time)
                elif answer.missing:
                    snapshot = encoding.decode_missing(answer.missing, self._root, answer.read_time)
                else:
                    continue
                found[snapshot.path] = snapshot
        return [found[path] for path in paths]

    def commit(self, writes: Sequence[Write]) -> datetime:
        """See `Backend`."""
        request = _COMMIT(database=self._database)
        try:
            for write in writes:
                encoding.encode_write(write, self._root, request.writes.add())
            answer = self._commit(request, *self._headers)
        except _REFUSED as error:
            raise RefusedError(str(error)) from error
        except _NEVER as error:
            raise PermanentError(f"these writes can never be stored: {error}") from error
        except google.GoogleAPIError as error:
            raise UnavailableError(f"a commit failed: {error}") from error
        return encoding.decode_time(answer.commit_time)

    def query(self, query: Query) -> Iterator[Snapshot]:
        """See `Backend`. A stream that is interrupted goes on behind its last document."""
        while True:
            last = None
            try:
                with _asking(query.collection):
                    for snapshot in self._stream(query):
                        yield snapshot
                        last = snapshot.path.rpartition("/")[2]
                        if query.limit is not None:
                            query = replace(query, limit=query.limit - 1)
                return
            except TransientError as error:
                interrupted = isinstance(error.__cause__, _INTERRUPTED)
                if last is None or not interrupted or not is_by_id(query.filters):
                    raise
                query = replace(query, after=last, first=None)

    def count(self, collection: str, filters: Sequence[Filter]) -> int:
        """See `Backend`."""
        request = _AGGREGATION()
        with _asking(collection):
            counted = types.RunQueryRequest.pb()()
            encoding.encode_query(
                Query(collection=collection, filters=filters), self._root, counted
            )
            request.parent = counted.parent
            asked = request.structured_aggregation_query
            asked.structured_query.CopyFrom(counted.structured_query)
            asked.aggregations.add(alias="count").count.SetInParent()
            (answer,) = self._count(request, *self._routed(request.parent))
        return int(answer.result.aggregate_fields["count"].integer_value)

    def cuts(self, collection: str, parts: int) -> list[str]:
        """See `Backend`."""
        request = _PARTITION(parent=self._root, partition_count=parts - 1, page_size=_PAGE)
        name = collection.rpartition("/")[2]
        request.structured_query.from_.add(collection_id=name, all_descendants=True)
        order = request.structured_query.order_by.add(direction=1)
        order.field.field_path = "__name__"
        with _asking(collection):
            found = [cursor.values[0].reference_value for cursor in self._partitions(request)]
        # Other collections of the same name are cut too, elsewhere.
        split = (name.rpartition("/") for name in found)
        return sorted(name for outer, _, name in split if outer == f"{self._root}/{collection}")

    def _stream(self, query: Query) -> Iterator[Snapshot]:
        request = _QUERY()
        encoding.encode_query(query, self._root, request)
        if query.limit == 0:
            return
        for answer in self._query(request, *self._routed(request.parent)):
            if answer.HasField("document"):
                yield encoding.decode_document(answer.document, self._root, answer.read_time)

    def _partitions(self, request: Any) -> Iterator[Any]:
        while True:
            answer = self._partition(request, *self._routed(self._root))
            yield from answer.partitions
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def _routed(self, parent: str) -> Metadata:
        return (*self._metadata, routing("parent", parent))


@functools.cache
def _connected() -> tuple[grpc.Channel, FirestoreService]:
    config = settings.current()
    channel, metadata = _channel(config.firestore_emulator_host)
    return channel, FirestoreService(
        channel,
        project=config.google_cloud_project,
        database=config.firestore_database,
        metadata=metadata,
    )


def _channel(emulator: str | None) -> tuple[grpc.Channel, Metadata]:
    """The channel, as Google's client makes one, and what each call says besides."""
    if emulator:
        return grpc.insecure_channel(emulator, options=_OPTIONS), [
            ("authorization", "Bearer owner")
        ]
    given = identity.credentials()
    return FirestoreGrpcTransport.create_channel(credentials=given, options=_OPTIONS), []


def connected() -> FirestoreService:
    """The database of this process: made at first use, because gRPC does not survive a fork."""
    with _connecting:
        return _connected()[1]


def disconnect() -> None:
    """Close what `connected` has made; the next use connects anew."""
    with _connecting:
        if _connected.cache_info().currsize:
            _connected()[0].close()
            _connected.cache_clear()


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """The errors of a question, translated."""
    try:
        yield
    except _NEVER as error:
        raise PermanentError(f"{what} can never be read: {error}") from error
    except google.GoogleAPIError as error:
        raise UnavailableError(f"cannot read {what}: {error}") from error


def _method(channel: grpc.Channel, name: str, *, kind: Kind = "unary") -> Method:
    request, answer = (getattr(types, f"{name}{what}").pb() for what in ("Request", "Response"))
    path = f"/google.firestore.v1.Firestore/{name}"
    repeated = _REPEATED.get(name, _REPEATED["read"])
    return Method(channel, path, request, answer, kind=kind, repeated=repeated)


_COMMIT = types.CommitRequest.pb()
_GET = types.BatchGetDocumentsRequest.pb()
_QUERY = types.RunQueryRequest.pb()
_AGGREGATION = types.RunAggregationQueryRequest.pb()
_PARTITION = types.PartitionQueryRequest.pb()
_connecting = threading.Lock()
