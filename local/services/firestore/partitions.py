"""PartitionQuery: cursors that cut a collection group into parts of about one size."""

from typing import Any

from local.kernel.refusals import invalid
from local.services.firestore import paths, queries
from local.services.firestore.documents import Documents
from local.services.firestore.messages import PartitionQueryResponse
from local.services.firestore.queries import Query

MIN_PART = 10
"""Parts of fewer documents are not worth a query of their own."""


def partition(documents: Documents, request: Any) -> Any:
    """Answer a PartitionQueryRequest. Raises Status."""
    if request.partition_count <= 0:
        raise invalid("partition_count must be positive.")
    query = _checked(request)
    keys = documents.cut(query.scope, request.partition_count, MIN_PART)
    start = _offset(request.page_token)
    size = request.page_size or len(keys)
    response = PartitionQueryResponse()
    for key in keys[start : start + size]:
        cursor = response.partitions.add(before=True)
        cursor.values.add(reference_value=paths.name_of(key))
    if start + size < len(keys):
        response.next_page_token = str(start + size)
    return response


def _checked(request: Any) -> Query:
    message = request.structured_query
    selectors = message.from_
    if len(selectors) != 1 or not selectors[0].all_descendants:
        raise invalid("Partition queries must select all descendants of a collection.")
    query = queries.parse(request.parent, message)
    unsupported = ("where", "select", "start_at", "end_at", "limit")
    if message.offset or any(message.HasField(name) for name in unsupported):
        raise invalid("Partition queries support no filter, projection, cursor, offset or limit.")
    if len(query.orders) > 1 or query.orders[0].descending or not query.is_by_name:
        raise invalid("Partition queries must be ordered by __name__ ascending.")
    return query


def _offset(token: str) -> int:
    if token and not token.isdecimal():
        raise invalid("Invalid page token.")
    return int(token or 0)
