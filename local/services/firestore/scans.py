"""Running a query: pages of documents in the order of the query, as of one moment.

    in the order of names                 along the documents; one that has to look at very many to
                                          find a few has an index made for the next one
    with equalities or another order      along an index, if there is one
    another order, few documents          all of them, sorted
    another order, many documents         an index is made first

Between two pages nothing is held but a position, so a result of any size costs no memory.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from local.kernel import moments
from local.services.firestore import filters
from local.services.firestore.documents import Documents
from local.services.firestore.fields import NAME
from local.services.firestore.indexes import Index, Indexes, shape_of
from local.services.firestore.messages import Document
from local.services.firestore.queries import Query
from local.services.firestore.stored import Stored
from local.services.firestore.values import END, descending

PAGE = 256
FIRST_PAGE = 32
FEW = 1000
"""Documents that are sorted in memory rather than indexed."""
MANY_IN_VAIN = 2000
"""Documents looked at that were no results, from which on an index is worth it."""


@dataclass(slots=True)
class Match:
    """A document that a query selects."""

    position: bytes
    stored: Stored
    parsed: Any = None

    def document(self) -> Any:
        """The Document message, times included."""
        document = self.parsed or Document.FromString(self.stored.data)
        moments.put(document.create_time, self.stored.created)
        moments.put(document.update_time, self.stored.updated)
        return document


class Scans:
    """Runs queries."""

    def __init__(self, documents: Documents, indexes: Indexes) -> None:
        self._documents = documents
        self._indexes = indexes

    async def run(self, query: Query, at: int) -> AsyncIterator[Match]:
        """The matches as of a time, in order: those to skip (offset), those wanted (limit)."""
        wanted = None if query.limit is None else query.offset + query.limit
        if wanted == 0:
            return
        count = 0
        async for match in await self._source(query, at):
            yield match
            count += 1
            if count == wanted:
                return

    async def _source(self, query: Query, at: int) -> AsyncIterator[Match]:
        shape = shape_of(query)
        index = self._indexes.find(shape) if shape else None
        if index is None and not query.is_by_name:
            page = self._page(query, at)
            if len(page) < PAGE or shape is None or self._documents.count(query.scope, FEW) < FEW:
                return self._sorted(query, at, page)
            building = self._indexes.start(shape, query.scope)
            if building:
                await asyncio.shield(building)
            index = self._indexes.find(shape)
        return self._along_index(index, query, at) if index else self._along_names(query, at)

    async def _along_names(self, query: Query, at: int) -> AsyncIterator[Match]:
        backwards = query.orders[0].descending
        low, high = key_range(query)
        count, vain = _first_count(query), 0
        while True:
            page = self._documents.page(
                query.scope, low, high, count=count, backwards=backwards, at=at
            )
            for stored in page:
                match = _match(query, stored)
                if match:
                    yield match
                else:
                    vain += 1
            if len(page) < count:
                return
            last = page[-1].key
            low, high = (low, last) if backwards else (last + b"\0", high)
            count = PAGE
            if vain > MANY_IN_VAIN:
                self._wish_for_index(query)
                vain = 0
            await asyncio.sleep(0)

    async def _along_index(self, index: Index, query: Query, at: int) -> AsyncIterator[Match]:
        low, count = b"", _first_count(query)
        while True:
            page = self._indexes.page(index, query, low, count, at)
            for _, stored in page:
                match = _match(query, stored)
                if match:
                    yield match
            if len(page) < count:
                return
            low, count = page[-1][0] + b"\0", PAGE
            await asyncio.sleep(0)

    async def _sorted(self, query: Query, at: int, page: list[Stored]) -> AsyncIterator[Match]:
        """The matches of that first page and all behind it."""
        found = _bare_matches(query, page)
        while len(page) == PAGE:
            await asyncio.sleep(0)
            page = self._page(query, at, page[-1].key + b"\0")
            found += _bare_matches(query, page)
        if query.limit is None:
            found.sort(key=_position)
        else:
            found = heapq.nsmallest(query.offset + query.limit, found, key=_position)
        for match in found:
            yield match

    def _page(self, query: Query, at: int, after: bytes = b"") -> list[Stored]:
        """The next documents between which all results lie, in the order of names."""
        low, high = key_range(query)
        low = max(low, after)
        return self._documents.page(query.scope, low, high, count=PAGE, backwards=False, at=at)

    def _wish_for_index(self, query: Query) -> None:
        shape = shape_of(query)
        if shape is not None:
            self._indexes.start(shape, query.scope)


def key_range(query: Query) -> tuple[bytes, bytes]:
    """Keys between which all results lie: low <= key < high. There may be others between them."""
    low, high = query.scope.bounds
    for condition in filters.required(query.filter):
        if condition.path == NAME and condition.operand:
            low, high = _narrow(condition.operator, condition.operand[1:-1], low, high)
    if not query.is_by_name:
        return low, high
    if not query.orders[0].descending:
        return max(low, query.low.rstrip(END)), min(high, query.high or high)
    # Positions are inverted keys: the lowest position is the highest key.
    if query.low:
        high = min(high, descending(query.low))
    if query.high:
        low = max(low, descending(query.high).rstrip(END))
    return low, high


def _narrow(operator: str, key: bytes, low: bytes, high: bytes) -> tuple[bytes, bytes]:
    if operator in ("EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL"):
        low = max(low, key)
    if operator in ("EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL"):
        high = min(high, key + END)
    return low, high


def _first_count(query: Query) -> int:
    return FIRST_PAGE if query.limit is None else min(PAGE, query.offset + query.limit)


def _match(query: Query, stored: Stored) -> Match | None:
    document = Document.FromString(stored.data)
    position = query.place(document.fields, stored.key)
    return None if position is None else Match(position, stored, document)


def _bare_matches(query: Query, page: list[Stored]) -> list[Match]:
    """The matches of a page; parsed again when they are sent, because there may be many."""
    found = (_match(query, stored) for stored in page)
    return [Match(match.position, match.stored) for match in found if match]


def _position(match: Match) -> bytes:
    return match.position
