"""Reads a few fields of a whole collection, for those who look on."""

from collections.abc import Sequence
from typing import Any

from google.cloud.firestore_v1 import types

from local.kernel.rpc import Service


async def count(firestore: Service, database: str, collection: str, up_to: int) -> int:
    """Return how many documents a top-level collection has, but no more than `up_to`."""
    request = types.RunAggregationQueryRequest.pb()(parent=f"{database}/documents")
    aggregated = request.structured_aggregation_query
    aggregated.structured_query.CopyFrom(_query(collection, ()))
    aggregated.aggregations.add(alias="n").count.up_to.value = up_to
    responses = firestore.methods()["RunAggregationQuery"].call(request)
    async for response in responses:  # type: ignore[union-attr]
        if response.result.aggregate_fields:
            return int(response.result.aggregate_fields["n"].integer_value)
    return 0


async def read(
    firestore: Service, database: str, collection: str, fields: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the strings, whole numbers and times of every document of a top-level collection.

    `database` is `projects/P/databases/D`. A time is RFC 3339 text; other values are left out.
    """
    request = types.RunQueryRequest.pb()(parent=f"{database}/documents")
    request.structured_query.CopyFrom(_query(collection, fields))
    responses = firestore.methods()["RunQuery"].call(request)
    return [
        _plain(response.document)
        async for response in responses  # type: ignore[union-attr]
        if response.document.name
    ]


def _query(collection: str, fields: Sequence[str]) -> Any:
    query = types.StructuredQuery.pb()()
    query.from_.add(collection_id=collection)
    for field in fields:
        query.select.fields.add(field_path=field)
    return query


def _plain(document: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"id": document.name.rpartition("/")[2]}
    for name, value in document.fields.items():
        kind = value.WhichOneof("value_type")
        if kind == "timestamp_value":
            values[name] = value.timestamp_value.ToJsonString()
        elif kind in ("string_value", "integer_value"):
            values[name] = getattr(value, kind)
    return values
