"""Listen: targets, which are queries or documents, and what becomes of their results.

A stream takes requests and commits from one queue, in their order:

    add a target ──▶ ADD, its results (or what changed since its resume token), CURRENT, a snapshot
    a commit     ──▶ what it changed in the results of each target, then a snapshot
    remove it    ──▶ REMOVE

A snapshot is a NO_CHANGE of no target, with the time up to which everything has been told and a
token to resume from. A resume token is such a time; one that is older than the history begins with
RESET. What a target may not ask is a REMOVE with its cause, and the stream goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.cloud.firestore_v1 import types

from local.kernel import moments
from local.kernel.refusals import invalid
from local.kernel.status import Status
from local.services.firestore import paths, queries
from local.services.firestore.documents import Documents
from local.services.firestore.messages import ListenResponse
from local.services.firestore.paths import Path
from local.services.firestore.queries import Query
from local.services.firestore.scans import Scans
from local.services.firestore.stored import Change, Stored

MOST_WAITING = 10_000
"""Commits that a client may be behind before its stream is ended; it can resume."""
TOKEN: Final = "big"
"""A resume token is a time in microseconds, in eight bytes of this order."""

Kind = types.TargetChange.TargetChangeType


@dataclass(eq=False)
class Target:
    """One target of a stream and its results as they were last told."""

    id: int
    query: Query | None
    documents: tuple[Path, ...] = ()
    at: int = 0
    """The time up to which its results have been told."""
    known: dict[bytes, int] = field(default_factory=dict)
    """The keys of its results, and when each was last updated."""

    def concerns(self, change: Change) -> bool:
        """Whether a change is one of its results, of those to come or those that were."""
        if self.query is None:
            return change.path in self.documents
        return self.query.is_touched_by(change)

    def has(self, change: Change) -> bool:
        """Whether the changed document is a result now, whatever the limit."""
        if change.after is None:
            return False
        return self.query is None or self.query.place(change.fields, change.path.key) is not None

    @property
    def is_cut(self) -> bool:
        """Whether a document can be a result for what happens to another."""
        return self.query is not None and (self.query.limit is not None or self.query.offset > 0)

    def shown(self, stored: Stored) -> Any:
        """A result as it is told."""
        document = stored.document()
        return document if self.query is None else self.query.project(document)


class Listening:
    """Answers Listen."""

    def __init__(self, documents: Documents, scans: Scans) -> None:
        self._documents = documents
        self._scans = scans
        self._streams: set[Stream] = set()
        documents.listeners.append(self._committed)

    async def listen(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Answer a stream of ListenRequests, until the client ends it. Raises Status."""
        stream = Stream(self._documents, self._scans)
        self._streams.add(stream)
        reader = asyncio.create_task(stream.read(requests))
        try:
            async for response in stream.responses():
                yield response
        finally:
            self._streams.discard(stream)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    def _committed(self, changes: Sequence[Change], at: int) -> None:
        for stream in self._streams:
            stream.committed(changes, at)


class Stream:
    """One client's stream: its targets, and what it has yet to be told."""

    def __init__(self, documents: Documents, scans: Scans) -> None:
        self._documents = documents
        self._scans = scans
        self._targets: dict[int, Target] = {}
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        """Requests; commits, as (changes, time); an exception, or None, that ends the stream."""

    async def read(self, requests: AsyncIterator[Any]) -> None:
        """Take the client's requests, until it ends."""
        async for request in requests:
            self._inbox.put_nowait(request)
        self._inbox.put_nowait(None)

    def committed(self, changes: Sequence[Change], at: int) -> None:
        """Take what was committed."""
        if self._inbox.qsize() == MOST_WAITING:
            text = "The client reads too slowly; it may resume."
            self._inbox.put_nowait(Status(grpc.StatusCode.RESOURCE_EXHAUSTED, text))
        elif self._targets and self._inbox.qsize() < MOST_WAITING:
            self._inbox.put_nowait((changes, at))

    async def responses(self) -> AsyncIterator[Any]:
        """What the client is told. Raises Status."""
        while (item := await self._inbox.get()) is not None:
            if isinstance(item, Status):
                raise item
            told = self._commit(*item) if isinstance(item, tuple) else self._request(item)
            async for response in told:
                yield response

    async def _request(self, request: Any) -> AsyncIterator[Any]:
        kind = request.WhichOneof("target_change")
        if kind == "remove_target":
            if self._targets.pop(request.remove_target, None):
                yield _change(Kind.REMOVE, request.remove_target)
        elif kind == "add_target":
            async for response in self._add(request.add_target, request.database):
                yield response
        else:
            raise invalid("A ListenRequest must add or remove a target.")

    async def _add(self, given: Any, database: str) -> AsyncIterator[Any]:
        at = self._documents.read_time()
        try:
            paths.database(database)
            target = _target(given)
            told = [response async for response in self._beginning(target, given, at)]
        except Status as refused:
            yield _change(Kind.REMOVE, given.target_id, cause=refused)
            return
        target.at = at
        self._targets[target.id] = target
        yield _change(Kind.ADD, target.id)
        for response in told:
            yield response
        yield _change(Kind.CURRENT, target.id, at=at)
        yield _change(Kind.NO_CHANGE, at=at)
        if given.once:
            del self._targets[target.id]
            yield _change(Kind.REMOVE, target.id)

    async def _beginning(self, target: Target, given: Any, at: int) -> AsyncIterator[Any]:
        """All results, or what has changed since those that the client has."""
        since = _since(given)
        if since is not None and self._documents.can_be_read(since):
            earlier = await self._results(target, since)
            target.known = {key: stored.updated for key, stored in earlier.items()}
        elif since is not None:
            yield _change(Kind.RESET, target.id)
        results = await self._results(target, at)
        for path in target.documents:
            if path.key not in results and path.key not in target.known:
                yield _gone(target, path.key, at, is_deleted=True)
        for response in self._difference(target, results, at):
            yield response
        if since is not None:
            response = ListenResponse()
            response.filter.target_id, response.filter.count = target.id, len(target.known)
            yield response

    async def _commit(self, changes: Sequence[Change], at: int) -> AsyncIterator[Any]:
        told = False
        for target in self._targets.values():
            mine = [change for change in changes if at > target.at and target.concerns(change)]
            if not mine:
                continue
            if target.is_cut:
                responses = self._difference(target, await self._results(target, at), at)
            else:
                responses = _direct(target, mine, at)
            for response in responses:
                told = True
                yield response
        if told:
            yield _change(Kind.NO_CHANGE, at=at)

    async def _results(self, target: Target, at: int) -> dict[bytes, Stored]:
        if target.query is None:
            found = [self._documents.get(path, at) for path in target.documents]
            return {stored.key: stored for stored in found if stored}
        matches = [match.stored async for match in self._scans.run(target.query, at)]
        return {stored.key: stored for stored in matches[target.query.offset :]}

    def _difference(
        self, target: Target, results: Mapping[bytes, Stored], at: int
    ) -> Iterator[Any]:
        """Tell the results as they are now, where they are not what the client has."""
        for key in [key for key in target.known if key not in results]:
            del target.known[key]
            stored = self._documents.get(paths.document(paths.name_of(key)), at)
            yield _gone(target, key, at, is_deleted=stored is None)
        for key, stored in results.items():
            if target.known.get(key) != stored.updated:
                target.known[key] = stored.updated
                yield _there(target, stored)


def _direct(target: Target, changes: Sequence[Change], at: int) -> Iterator[Any]:
    """What changes do to the results of a target that is not cut."""
    for change in changes:
        key = change.path.key
        if change.after is not None and target.has(change):
            target.known[key] = change.after.updated
            yield _there(target, change.after)
        elif target.known.pop(key, None) is not None:
            yield _gone(target, key, at, is_deleted=change.after is None)


def _target(given: Any) -> Target:
    """A target from its message. Raises Status."""
    kind = given.WhichOneof("target_type")
    if kind == "documents":
        found = tuple(paths.document(name) for name in dict.fromkeys(given.documents.documents))
        return Target(given.target_id, None, found)
    if kind == "query" and given.query.HasField("structured_query"):
        parsed = queries.parse(given.query.parent, given.query.structured_query)
        return Target(given.target_id, parsed)
    raise invalid("A target must be a structured query or documents.")


def _since(given: Any) -> int | None:
    """The time up to which the client knows the results; None: it knows nothing."""
    kind = given.WhichOneof("resume_type")
    if kind == "resume_token" and given.resume_token:
        return int.from_bytes(given.resume_token, TOKEN)
    if kind == "read_time":
        return int(given.read_time.ToMicroseconds())
    return None


def _change(kind: Any, *ids: int, at: int | None = None, cause: Status | None = None) -> Any:
    response = ListenResponse()
    change = response.target_change
    change.target_change_type = kind
    change.target_ids.extend(ids)
    if at is not None:
        moments.put(change.read_time, at)
        change.resume_token = at.to_bytes(8, TOKEN)
    if cause is not None:
        change.cause.CopyFrom(cause.proto())
    return response


def _there(target: Target, stored: Stored) -> Any:
    response = ListenResponse()
    response.document_change.document.CopyFrom(target.shown(stored))
    response.document_change.target_ids.append(target.id)
    return response


def _gone(target: Target, key: bytes, at: int, *, is_deleted: bool) -> Any:
    response = ListenResponse()
    message = response.document_delete if is_deleted else response.document_remove
    message.document = paths.name_of(key)
    message.removed_target_ids.append(target.id)
    moments.put(message.read_time, at)
    return response
