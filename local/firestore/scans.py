"""Running a query: pages of documents in the order of the query, as of one moment.

Nothing is held between two pages but a position, so a result of any size costs no memory; only an
order by fields over a collection without an index for it is sorted.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from typing import NamedTuple

from local.firestore import filters
from local.firestore.documents import Documents, Stored
from local.firestore.fields import NAME
from local.firestore.messages import Document
from local.firestore.paths import AFTER
from local.firestore.queries import Query
from local.firestore.values import descending

PAGE = 256
FIRST_PAGE = 32


class Match(NamedTuple):
    """A document that a query selects."""

    position: bytes
    stored: Stored


async def run(documents: Documents, query: Query, at: int) -> AsyncIterator[Match]:
    """The matches as of a time, in order: those to skip (offset), then those wanted (limit)."""
    wanted = None if query.limit is None else query.offset + query.limit
    if wanted == 0:
        return
    source = _by_name if query.is_by_name else _sorted
    count = 0
    async for match in source(documents, query, at):
        yield match
        count += 1
        if count == wanted:
            return


async def _sorted(documents: Documents, query: Query, at: int) -> AsyncIterator[Match]:
    found = [match async for match in _all(documents, query, at)]
    if query.limit is None:
        found.sort()
    else:
        found = heapq.nsmallest(query.offset + query.limit, found)
    for match in found:
        yield match


async def _by_name(documents: Documents, query: Query, at: int) -> AsyncIterator[Match]:
    backwards = query.orders[0].descending
    low, high = _key_range(query)
    count = FIRST_PAGE if query.limit is None else min(PAGE, query.offset + query.limit + 1)
    while True:
        page = documents.page(query.scope, low, high, count=count, backwards=backwards, at=at)
        for stored in page:
            position = query.place(Document.FromString(stored.data).fields, stored.key)
            if position is not None:
                yield Match(position, stored)
        if len(page) < count:
            return
        last = page[-1].key
        low, high = (low, last) if backwards else (last + b"\0", high)
        count = PAGE
        await asyncio.sleep(0)


async def _all(documents: Documents, query: Query, at: int) -> AsyncIterator[Match]:
    low, high = _key_range(query)
    while True:
        page = documents.page(query.scope, low, high, count=PAGE, backwards=False, at=at)
        for stored in page:
            position = query.place(Document.FromString(stored.data).fields, stored.key)
            if position is not None:
                yield Match(position, stored)
        if len(page) < PAGE:
            return
        low = page[-1].key + b"\0"
        await asyncio.sleep(0)


def _key_range(query: Query) -> tuple[bytes, bytes]:
    """Keys between which all results lie: low <= key < high. There may be others between them."""
    low, high = query.scope.parent, query.scope.parent + AFTER
    for condition in filters.required(query.filter):
        if condition.path == NAME and condition.operand:
            low, high = _narrow(condition.operator, condition.operand[1:-1], low, high)
    if not query.is_by_name:
        return low, high
    if not query.orders[0].descending:
        return max(low, query.low.rstrip(b"\0")), min(high, query.high or high)
    # Positions are inverted keys: the lowest position is the highest key.
    if query.low:
        high = min(high, descending(query.low))
    if query.high:
        low = max(low, descending(query.high).rstrip(b"\0"))
    return low, high


def _narrow(operator: str, key: bytes, low: bytes, high: bytes) -> tuple[bytes, bytes]:
    if operator in ("EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL"):
        low = max(low, key)
    if operator in ("EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL"):
        high = min(high, key + b"\0")
    return low, high
