"""Structured queries: what they select, in which order, between which cursors.

A document's position is one byte string: the values it is ordered by, then its key, each inverted
where the order is descending. The order of positions is the order of results, and a cursor is a
position or the beginning of one.
"""

from dataclasses import dataclass, replace
from typing import Any

import grpc

from local.firestore import fields as field_paths
from local.firestore import filters, paths, values
from local.firestore.documents import Change, Scope, Stored
from local.firestore.fields import NAME, FieldPath
from local.firestore.messages import Document, StructuredQuery
from local.firestore.paths import AFTER
from local.firestore.refusals import invalid
from local.status import Status

DESCENDING = StructuredQuery.Direction.DESCENDING


@dataclass(frozen=True)
class Order:
    """One field results are ordered by."""

    path: FieldPath
    descending: bool


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

    def position(self, fields: Any, key: bytes) -> bytes | None:
        """Where a document stands; None: it lacks a field it would be ordered by."""
        parts = []
        for order in self.orders:
            if order.path == NAME:
                encoded = key + values.END
            else:
                value = field_paths.get(fields, order.path)
                if value is None:
                    return None
                encoded = values.encode(value)
            parts.append(values.descending(encoded) if order.descending else encoded)
        return b"".join(parts)

    def place(self, fields: Any, key: bytes) -> bytes | None:
        """The position of a document that is a result (before offset and limit); else None."""
        if not self.matches(fields, key):
            return None
        position = self.position(fields, key)
        if position is None or position < self.low or (self.high and position >= self.high):
            return None
        return position

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
        if stored is None:
            return False
        return self.place(Document.FromString(stored.data).fields, stored.key) is not None


def parse(parent: str, message: Any) -> Query:
    """A query from a StructuredQuery message. Raises Status."""
    scope = _scope(parent, message)
    wanted = filters.parse(message.where) if message.HasField("where") else None
    filters.check(wanted)
    orders = _orders(message, wanted)
    if message.offset < 0:
        raise invalid("offset is negative")
    limit = message.limit.value if message.HasField("limit") else None
    if limit is not None and limit < 0:
        raise invalid("limit is negative")
    if message.HasField("find_nearest"):
        raise Status(grpc.StatusCode.UNIMPLEMENTED, "Vector search is not implemented here.")
    low, high = _bounds(parent, message, orders)
    return Query(
        scope,
        wanted,
        filters.predicate(wanted),
        orders,
        low,
        high,
        message.offset,
        limit,
        _projection(message),
    )


def _scope(parent: str, message: Any) -> Scope:
    key = paths.parent(parent)[1]
    selectors = message.from_
    if len(selectors) != 1:
        raise invalid("A query must have exactly one collection selector.")
    selector = selectors[0]
    if not selector.collection_id:
        return Scope(key, None)
    collection = paths.collection(f"{parent}/{selector.collection_id}")
    if selector.all_descendants:
        return Scope(key, None, selector.collection_id)
    return Scope(key, collection)


def _orders(message: Any, wanted: filters.Filter | None) -> tuple[Order, ...]:
    orders = [
        Order(field_paths.parse(order.field.field_path), order.direction == DESCENDING)
        for order in message.order_by
    ]
    present = {order.path for order in orders}
    if len(present) < len(orders):
        raise invalid("order by clause cannot contain duplicate fields")
    last = orders[-1].descending if orders else False
    unequal = {c.path for c in filters.conditions(wanted) if c.operator in filters.INEQUALITIES}
    for path in sorted(unequal - present - {NAME}):
        orders.append(Order(path, last))
    if NAME not in present:
        orders.append(Order(NAME, last))
    names = [order.path for order in orders]
    return tuple(orders[: names.index(NAME) + 1])


def _projection(message: Any) -> tuple[FieldPath, ...] | None:
    if not message.HasField("select") or not message.select.fields:
        return None
    found = (field_paths.parse(field.field_path) for field in message.select.fields)
    return tuple(path for path in found if path != NAME)


def _bounds(parent: str, message: Any, orders: tuple[Order, ...]) -> tuple[bytes, bytes]:
    low, high = b"", b""
    if message.HasField("start_at"):
        low = _cursor(parent, message.start_at, orders)
    if message.HasField("end_at"):
        high = _cursor(parent, message.end_at, orders)
        high = high or b"\0"
    return low, high


def _cursor(parent: str, cursor: Any, orders: tuple[Order, ...]) -> bytes:
    if len(cursor.values) > len(orders):
        raise invalid("Cursor has too many values.")
    position = b""
    for value, order in zip(cursor.values, orders, strict=False):
        encoded = _cursor_key(value) if order.path == NAME else values.encode(value)
        position += values.descending(encoded) if order.descending else encoded
    return position if cursor.before else position + AFTER


def _cursor_key(value: Any) -> bytes:
    if value.WhichOneof("value_type") != "reference_value":
        raise invalid("Cursor value for __name__ must be a reference.")
    return paths.reference(value.reference_value) + values.END
