"""Structured queries: what they select, in which order, between which cursors.

A document's position is one byte string: the values it is ordered by, then its key, each inverted
where the order is descending. The order of positions is the order of results, and a cursor is a
position or the beginning of one.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import grpc

from local.kernel.refusals import failed_precondition, invalid
from local.kernel.status import Status
from local.services.firestore import fields as field_paths
from local.services.firestore import filters, orders, paths, values
from local.services.firestore.fields import NAME, FieldPath
from local.services.firestore.messages import StructuredQuery
from local.services.firestore.orders import Order
from local.services.firestore.paths import AFTER
from local.services.firestore.stored import Change, Scope, Stored


@dataclass(frozen=True)
class Query:
    """A checked query."""

    scope: Scope
    filter: filters.Filter | None
    matches: filters.Predicate
    orders: tuple[Order, ...]
    """Complete: they end with the name."""
    low: bytes
    high: bytes
    """Results lie at low <= position < high; empty high: no bound."""
    offset: int
    limit: int | None
    projection: tuple[FieldPath, ...] | None

    @property
    def is_by_name(self) -> bool:
        """Whether results come in the order of names."""
        return self.orders[0].path == NAME

    @property
    def is_whole(self) -> bool:
        """Whether every document of the scope is a result."""
        return self.filter is None and self.is_by_name and not (self.low or self.high)

    def cut(self, count: int) -> int:
        """How many of so many results are left by offset and limit."""
        left = max(count - self.offset, 0)
        return left if self.limit is None else min(left, self.limit)

    @property
    def equal(self) -> dict[FieldPath, bytes]:
        """The fields that have one value in all results, and that value, encoded."""
        found: dict[FieldPath, bytes] = {}
        for condition in filters.required(self.filter):
            value = condition.the_value()
            if value is not None and condition.path != NAME:
                found.setdefault(condition.path, value)
        return found

    def equal_values(self) -> bytes:
        """Those values in the order of their fields."""
        equal = self.equal
        return b"".join(equal[path] for path in sorted(equal))

    def place(self, fields: Any, key: bytes) -> bytes | None:
        """The position of a document that is a result (before offset and limit); else None."""
        if not self.matches(fields, key):
            return None
        found = orders.position(self.orders, fields, key)
        if found is None or found < self.low or (self.high and found >= self.high):
            return None
        return found

    def is_touched_by(self, change: Change) -> bool:
        """Whether a change could alter the results."""
        if not self.scope.contains(change.path):
            return False
        return self._selects(change.before) or self._selects(change.after)

    def page(self, low: bytes, limit: int) -> "Query":
        """The same from a position on, and no more than so many."""
        return replace(self, low=max(self.low, low), limit=limit)

    def project(self, document: Any) -> Any:
        """The document as the query returns it."""
        if self.projection is None:
            return document
        return field_paths.project(document, self.projection)

    def _selects(self, stored: Stored | None) -> bool:
        return stored is not None and self.place(stored.fields(), stored.key) is not None


def parse(parent: str, message: Any, aggregated: Set[FieldPath] = frozenset()) -> Query:
    """A query from a StructuredQuery message, over whose results fields are aggregated.

    Raises Status.
    """
    scope = _scope(parent, message)
    wanted = filters.parse(message.where) if message.HasField("where") else None
    filters.check(wanted)
    named = orders.parse(message.order_by)
    _check_reach(scope, named, wanted)
    completed = orders.completed(named, wanted)
    if aggregated:
        is_by_name = _is_by_name(scope, named, wanted)
        completed = _with_aggregated(completed, message, aggregated, is_by_name)
    if message.offset < 0:
        raise invalid("offset is negative")
    limit = message.limit.value if message.HasField("limit") else None
    if limit is not None and limit < 0:
        raise invalid("limit is negative")
    if message.HasField("find_nearest"):
        raise Status(grpc.StatusCode.UNIMPLEMENTED, "Vector search is not implemented here.")
    low, high = _bounds(message, completed)
    low, high = _narrowed(low, high, completed[0], wanted)
    return Query(
        scope,
        wanted,
        filters.predicate(wanted),
        completed,
        low,
        high,
        message.offset,
        limit,
        _projection(message, aggregated),
    )


def _scope(parent: str, message: Any) -> Scope:
    key = paths.parent(parent)[1]
    if len(message.from_) > 1:
        raise invalid("StructuredQuery.from cannot have more than one collection selector.")
    selector = message.from_[0] if message.from_ else StructuredQuery.CollectionSelector()
    if not selector.collection_id:
        return Scope(key, None, children_only=not selector.all_descendants)
    if "/" in selector.collection_id:
        raise invalid(
            f'Collection id "{selector.collection_id}" is invalid because it contains "/".'
        )
    collection = paths.collection(f"{parent}/{selector.collection_id}")
    if selector.all_descendants:
        return Scope(key, None, selector.collection_id)
    return Scope(key, collection)


def _check_reach(scope: Scope, named: Sequence[Order], wanted: filters.Filter | None) -> None:
    """What the documents of several collections cannot be asked."""
    if scope.collection is not None:
        return
    fields = [c.path for c in filters.conditions(wanted) if c.path != NAME]
    is_by_field = any(order.path != NAME for order in named)
    is_descending = any(order.descending for order in named)
    if scope.is_below and (fields or is_by_field):
        raise invalid("collection group queries are only allowed at the root parent")
    if scope.group:
        if scope.is_below and is_descending:
            raise failed_precondition("The query requires an index.")
    elif is_by_field or is_descending:
        raise invalid("kind is required for all orders except __key__ ascending")
    elif fields:
        raise invalid(f"kind is required for filter: {'.'.join(fields[0])}")


def _is_by_name(scope: Scope, named: Sequence[Order], wanted: filters.Filter | None) -> bool:
    """Whether it is by their names that documents are looked for."""
    asked = [order.path for order in named] + [c.path for c in filters.conditions(wanted)]
    return NAME in asked or scope.is_below


def _with_aggregated(
    completed: tuple[Order, ...], message: Any, aggregated: Set[FieldPath], is_by_name: bool
) -> tuple[Order, ...]:
    """The orders with the aggregated fields, which decide what an offset and a limit leave."""
    missing = sorted(aggregated - {order.path for order in completed})
    if missing and is_by_name:
        raise invalid(
            f"This query requires an index with fields [{', '.join(map('.'.join, missing))}]"
            " after __name__ and Firestore does not currently support such an index. Please try"
            " the query again with additional ordering on those fields."
        )
    if not (message.offset or message.HasField("limit")):
        return completed
    *others, name = completed
    return (*others, *(Order(path, name.descending) for path in missing), name)


def _projection(message: Any, aggregated: Set[FieldPath]) -> tuple[FieldPath, ...] | None:
    if not message.HasField("select") or not message.select.fields:
        return None
    found = [field_paths.parse(field.field_path) for field in message.select.fields]
    if aggregated:
        raise _projected_and_aggregated(found, aggregated)
    return tuple(path for path in found if path != NAME)


def _projected_and_aggregated(found: list[FieldPath], aggregated: Set[FieldPath]) -> Status:
    if found == [NAME]:
        return invalid(
            "Aggregation over non-key properties is not supported for base query that only"
            " returns keys."
        )
    for path in sorted(aggregated - set(found)):
        return invalid(
            f"The aggregation property {'.'.join(path)} is not present in the base query's"
            " property mask."
        )
    return invalid("Cannot apply property masks when aggregation fields are present.")


def _bounds(message: Any, completed: tuple[Order, ...]) -> tuple[bytes, bytes]:
    low, high = b"", b""
    if message.HasField("start_at"):
        low = _cursor(message.start_at, completed, len(message.order_by))
    if message.HasField("end_at"):
        high = _cursor(message.end_at, completed, len(message.order_by))
        high = high or b"\0"
    return low, high


def _narrowed(
    low: bytes, high: bytes, order: Order, wanted: filters.Filter | None
) -> tuple[bytes, bytes]:
    """The bounds, as tight as what is asked of the first field of the order makes them."""
    for condition in filters.required(wanted):
        if condition.path != order.path or condition.operator not in filters.RANGES:
            continue
        first, last = filters.bounds(condition)
        if order.descending:
            first, last = values.descending(last), values.descending(first) + AFTER
        low, high = max(low, first), min(high or last, last)
    return low, high


def _cursor(cursor: Any, completed: tuple[Order, ...], named: int) -> bytes:
    if len(cursor.values) > named:
        raise invalid("Cursor has too many values.")
    position = b""
    for value, order in zip(cursor.values, completed, strict=False):
        encoded = _cursor_key(value) if order.path == NAME else values.encode(value)
        position += values.descending(encoded) if order.descending else encoded
    return position if cursor.before else position + AFTER


def _cursor_key(value: Any) -> bytes:
    if value.WhichOneof("value_type") != "reference_value":
        raise invalid("Cursor value for __name__ must be a reference.")
    return paths.reference(value.reference_value) + values.END
