"""Firestore v1 as a table of methods: messages in, messages out; what they mean is elsewhere."""

import asyncio
import itertools
import secrets
import string
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc

from local.kernel import moments
from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.refusals import failed_precondition, invalid, not_found
from local.kernel.rpc import Method
from local.kernel.status import Status
from local.services.firestore import fields, messages, mutations, partitions, paths
from local.services.firestore.commits import Commits
from local.services.firestore.documents import Documents
from local.services.firestore.expiry import Expiry
from local.services.firestore.indexes import Indexes
from local.services.firestore.listening import Listening
from local.services.firestore.listings import Listings
from local.services.firestore.reads import Reads
from local.services.firestore.results import Results
from local.services.firestore.scans import Scans
from local.services.firestore.stored import Scope
from local.services.firestore.transactions import Transactions

WIPED = 500
"""Documents deleted at once, between which others get their turn."""
ID_LETTERS = string.ascii_letters + string.digits


class Firestore:
    """The service. `run()` is its collector of expired documents."""

    name = "google.firestore.v1.Firestore"

    def __init__(self, database: Database, clock: Clock) -> None:
        self.documents = Documents(database, clock)
        self._transactions = Transactions(self.documents)
        self.indexes = Indexes(database, self.documents)
        scans = Scans(self.documents, self.indexes)
        self._reads = Reads(self.documents, scans, self._transactions)
        self._results = Results(self._reads)
        self._commits = Commits(self.documents, self._transactions)
        self._listings = Listings(self.documents, self._reads)
        self._listening = Listening(self.documents, scans)
        self._expiry = Expiry(database, clock, self.documents)

    async def run(self) -> None:
        """Delete expired documents in their time, until cancelled."""
        await self._expiry.run()

    def set_ttl(self, database_path: str, collection_group: str, field: str | None) -> None:
        """Documents of a group expire by this timestamp field; None: no longer. Raises Status."""
        self._expiry.set_field(paths.database(database_path), collection_group, field)

    async def wipe(self, database_path: str) -> None:
        """Delete every document of a database, as Google's emulator does on request."""
        scope = Scope(paths.key(paths.database(database_path), []), None)
        while found := list(itertools.islice(self.documents.all_of(scope), WIPED)):
            deletes = [messages.Write(delete=paths.name_of(stored.key)) for stored in found]
            self.documents.commit(mutations.parse(deletes))
            await asyncio.sleep(0)

    def methods(self) -> Mapping[str, Method]:
        """Return the methods by RPC name."""
        unary = {
            "GetDocument": (self.get_document, "Document"),
            "ListDocuments": (self._listings.documents, None),
            "CreateDocument": (self.create_document, "Document"),
            "UpdateDocument": (self.update_document, "Document"),
            "DeleteDocument": (self.delete_document, "Empty"),
            "BeginTransaction": (self.begin_transaction, None),
            "Commit": (self.commit, None),
            "Rollback": (self.roll_back, "Empty"),
            "PartitionQuery": (self.partition_query, None),
            "ListCollectionIds": (self._listings.collection_ids, None),
            "BatchWrite": (self.batch_write, None),
        }
        streams = {
            "RunQuery": self._results.run_query,
            "RunAggregationQuery": self._results.run_aggregation_query,
            "ExecutePipeline": self._refuse_pipeline,
        }
        table = {n: _method(n, call, answer) for n, (call, answer) in unary.items()}
        for name, call in streams.items():
            table[name] = _method(name, call, None, server_stream=True, is_never_empty=True)
        # Asked for no documents, it has no answers.
        get = self.batch_get_documents
        table["BatchGetDocuments"] = _method("BatchGetDocuments", get, None, server_stream=True)
        both = {"Listen": self._listening.listen, "Write": self._unimplemented("Write")}
        for name, call in both.items():
            table[name] = _method(name, call, None, server_stream=True, client_stream=True)
        return table

    async def get_document(self, request: Any) -> Any:
        """Answer GetDocument."""
        path = paths.document(request.name)
        view = self._reads.view(request, path.collection.database)
        (stored,) = await self._reads.get(view, [path])
        if stored is None:
            raise not_found(f"Document ({request.name}) not found.")
        return _masked(stored.document(), request)

    async def batch_get_documents(self, request: Any) -> AsyncIterator[Any]:
        """Several documents, each once, whether they exist or not."""
        wanted = [paths.document(name) for name in dict.fromkeys(request.documents)]
        view = self._reads.view(request, paths.database(request.database))
        if view.new_id:
            yield messages.BatchGetDocumentsResponse(transaction=view.new_id)
        found = await self._reads.get(view, wanted)
        # Those that are missing come last, whatever the order they were asked for in.
        answers = sorted(zip(wanted, found, strict=True), key=lambda answer: answer[1] is None)
        for path, stored in answers:
            response = messages.BatchGetDocumentsResponse()
            if stored is None:
                response.missing = path.name
            else:
                response.found.CopyFrom(_masked(stored.document(), request))
            moments.put(response.read_time, view.at)
            yield response

    async def create_document(self, request: Any) -> Any:
        """Create a document, under an id of our own where none is given."""
        name = _new_name(request)
        write = messages.Write(update=request.document)
        write.update.name = name
        write.current_document.exists = False
        return await self._write_and_read(write, request)

    async def update_document(self, request: Any) -> Any:
        """Write a document."""
        write = messages.Write(update=request.document)
        if request.HasField("update_mask"):
            write.update_mask.CopyFrom(request.update_mask)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        return await self._write_and_read(write, request)

    async def delete_document(self, request: Any) -> Any:
        """Delete a document, if it is there."""
        write = messages.Write(delete=request.name)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        await self._commits.apply(write)
        return messages.Empty()

    async def begin_transaction(self, request: Any) -> Any:
        """Answer BeginTransaction."""
        database = paths.database(request.database)
        begun = self._transactions.begin(database, request.options)
        return messages.BeginTransactionResponse(transaction=begun.id)

    async def commit(self, request: Any) -> Any:
        """Answer Commit: all of the writes are applied, or none."""
        return await self._commits.commit(request, paths.database(request.database))

    async def batch_write(self, request: Any) -> Any:
        """Answer BatchWrite: every write is applied by itself."""
        paths.database(request.database)
        return await self._commits.batch(request)

    async def roll_back(self, request: Any) -> Any:
        """Answer Rollback."""
        self._transactions.roll_back(request.transaction, paths.database(request.database))
        return messages.Empty()

    async def partition_query(self, request: Any) -> Any:
        """Cursors that cut a collection group into parts."""
        return partitions.partition(self.documents, request)

    async def _refuse_pipeline(self, request: Any) -> AsyncIterator[Any]:
        """Refuse a pipeline, as the service does for a database of the standard edition.

        The last words are those by which the tests of python-firestore know the refusal.
        """
        text = "The databases here are STANDARD; pipelines are only allowed on ENTERPRISE mode"
        raise failed_precondition(text)
        yield

    async def _write_and_read(self, write: Any, request: Any) -> Any:
        outcome = await self._commits.apply(write)
        stored = self.documents.get(outcome.state.path)
        if stored is None:
            raise not_found(f"Document ({write.update.name}) not found.")
        return _masked(stored.document(), request)

    def _unimplemented(self, name: str) -> Any:
        async def refuse(request: Any) -> AsyncIterator[Any]:
            text = f"{self.name}/{name} is not implemented by this server."
            raise Status(grpc.StatusCode.UNIMPLEMENTED, text)
            yield

        return refuse


def _method(
    name: str,
    call: Any,
    answer: str | None,
    *,
    server_stream: bool = False,
    is_never_empty: bool = False,
    client_stream: bool = False,
) -> Method:
    return Method(
        call=call,
        request=getattr(messages, f"{name}Request"),
        response=getattr(messages, answer or f"{name}Response"),
        server_stream=server_stream,
        is_never_empty=is_never_empty,
        client_stream=client_stream,
        subject=_subject,
    )


def _subject(request: Any) -> str:
    """What a request is about, for deciding on a fault: the first document or parent in it."""
    if getattr(request, "writes", None):
        kind = request.writes[0].WhichOneof("operation")
        write = getattr(request.writes[0], kind) if kind else ""
        return str(getattr(write, "name", "") or getattr(write, "document", "") or write)
    if getattr(request, "collection_id", None) and hasattr(request, "document_id"):
        return f"{request.parent}/{request.collection_id}/{request.document_id}"
    if getattr(request, "documents", None):
        return str(request.documents[0])
    if hasattr(request, "document") and hasattr(request.document, "name"):
        return str(request.document.name)
    return str(getattr(request, "name", "") or getattr(request, "parent", ""))


def _masked(document: Any, request: Any) -> Any:
    if not request.HasField("mask"):
        return document
    return fields.project(document, map(fields.parse, request.mask.field_paths))


def _new_name(request: Any) -> str:
    """The name a CreateDocumentRequest asks for. Raises Status."""
    if request.document.name:
        raise invalid("document.name must not be set")
    if not request.collection_id:
        raise invalid("collectionId is the empty string.")
    for kind, text in (("Collection", request.collection_id), ("Resource", request.document_id)):
        if "/" in text:
            raise invalid(f'{kind} id "{text}" is invalid because it contains "/".')
    return f"{request.parent}/{request.collection_id}/{request.document_id or _random_id()}"


def _random_id() -> str:
    return "".join(secrets.choice(ID_LETTERS) for _ in range(20))
