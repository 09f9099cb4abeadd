"""ListDocuments and ListCollectionIds: pages with tokens."""

import base64
import binascii
import re
from itertools import islice
from typing import Any

from local.kernel.refusals import invalid
from local.services.firestore import fields, paths, queries
from local.services.firestore.documents import Documents
from local.services.firestore.messages import (
    Document,
    ListCollectionIdsResponse,
    ListDocumentsResponse,
    StructuredQuery,
)
from local.services.firestore.paths import AFTER
from local.services.firestore.queries import Query
from local.services.firestore.reads import Reads
from local.services.firestore.scans import Match
from local.services.firestore.stored import Stored
from local.services.firestore.values import END

DOCUMENTS_PAGE = 300
COLLECTIONS_PAGE = 1000
_ORDER = re.compile(r"\s*(\S+?)(?:\s+(asc|desc))?\s*", re.IGNORECASE)


class Listings:
    """Listing what is under a parent."""

    def __init__(self, documents: Documents, reads: Reads) -> None:
        self._documents = documents
        self._reads = reads

    async def documents(self, request: Any) -> Any:
        """Answer a ListDocumentsRequest. Raises Status."""
        size = _page_size(request.page_size, DOCUMENTS_PAGE)
        query = queries.parse(request.parent, _structured(request))
        low = _position(request.page_token) if request.page_token else b""
        query = query.page(low, size + 1)
        view = self._reads.view(request, paths.parent(request.parent)[0])
        matches = [match async for match in self._reads.query(view, query)]
        if request.show_missing:
            matches = self._with_missing(query, matches, size + 1)
        response = ListDocumentsResponse(
            documents=[_document(match, request) for match in matches[:size]]
        )
        if len(matches) > size:
            response.next_page_token = _token(matches[size - 1].position + AFTER)
        return response

    async def collection_ids(self, request: Any) -> Any:
        """Answer a ListCollectionIdsRequest. Raises Status."""
        database, parent = paths.parent(request.parent)
        size = _page_size(request.page_size, COLLECTIONS_PAGE)
        after = _position(request.page_token) if request.page_token else parent
        at = self._reads.view(request, database).at
        keys = list(islice(self._documents.collections_under(parent, after, at), size + 1))
        ids = [paths.first_segment(key[len(parent) :])[0] for key in keys[:size]]
        response = ListCollectionIdsResponse(collection_ids=ids)
        if len(keys) > size:
            response.next_page_token = _token(keys[size - 1] + AFTER)
        return response

    def _with_missing(self, query: Query, matches: list[Match], count: int) -> list[Match]:
        """The page with documents that do not exist but have some under them."""
        if query.scope.collection is None:
            return matches
        low = max(query.scope.collection.key, query.low.rstrip(END))
        high = matches[-1].stored.key if len(matches) == count else query.scope.bounds[1]
        keys = self._documents.hierarchy.missing(query.scope.collection, low, high, count)
        missing = [Match(key + END, Stored(key, 0, 0, b"")) for key in keys]
        return sorted(matches + missing, key=lambda match: match.position)[:count]


def _page_size(asked: int, most: int) -> int:
    if asked < 0:
        raise invalid("Page size must be nonnegative.")
    return min(asked or most, most)


def _structured(request: Any) -> Any:
    """The StructuredQuery that lists the same documents."""
    if request.show_missing and request.order_by:
        raise invalid("cannot specify an order when show_missing is true")
    query = StructuredQuery()
    query.from_.add(collection_id=request.collection_id)
    for part in request.order_by.split(",") if request.order_by else ():
        match = _ORDER.fullmatch(part)
        if not match:
            raise invalid(f'Invalid order by clause "{request.order_by}".')
        order = query.order_by.add()
        order.field.field_path = match[1]
        order.direction = 2 if (match[2] or "").lower() == "desc" else 1
    return query


def _document(match: Match, request: Any) -> Any:
    if not match.stored.data:
        return Document(name=paths.name_of(match.stored.key))
    document = match.document()
    if not request.HasField("mask"):
        return document
    return fields.project(document, map(fields.parse, request.mask.field_paths))


def _token(position: bytes) -> str:
    return base64.urlsafe_b64encode(position).decode()


def _position(token: str) -> bytes:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Invalid page token.") from None
