"""The order of a query's results: what the query says, and what follows from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from local.kernel.refusals import invalid
from local.services.firestore import fields as field_paths
from local.services.firestore import filters, values
from local.services.firestore.fields import NAME, FieldPath
from local.services.firestore.messages import StructuredQuery

DESCENDING = StructuredQuery.Direction.DESCENDING


@dataclass(frozen=True)
class Order:
    """One field results are ordered by."""

    path: FieldPath
    descending: bool


def position(orders: tuple[Order, ...], fields: Any, key: bytes) -> bytes | None:
    """Where a document stands; None: it lacks a field it would be ordered by."""
    parts = []
    for order in orders:
        if order.path == NAME:
            encoded = key + values.END
        else:
            value = field_paths.get(fields, order.path)
            if value is None:
                return None
            encoded = values.encode(value)
        parts.append(values.descending(encoded) if order.descending else encoded)
    return b"".join(parts)


def parse(messages: Iterable[Any]) -> tuple[Order, ...]:
    """What Order messages say. Raises Status."""
    found = tuple(
        Order(field_paths.parse_queried(order.field.field_path), order.direction == DESCENDING)
        for order in messages
    )
    named = [order.path for order in found]
    for path in named:
        if named.count(path) > 1:
            raise invalid(f"order by clause cannot contain duplicate fields {'.'.join(path)}")
    if NAME in named[:-1]:
        raise invalid("order by clause cannot contain more fields after the key")
    return found


def completed(named: Sequence[Order], wanted: filters.Filter | None) -> tuple[Order, ...]:
    """With the fields of inequalities, and with the name at the end. Raises Status."""
    last = named[-1].descending if named else False
    fields = [order for order in named if order.path != NAME]
    unequal = {c.path for c in filters.conditions(wanted) if c.operator in filters.INEQUALITIES}
    implied = sorted(unequal - {order.path for order in fields} - {NAME})
    if implied and len(fields) < len(named):
        raise invalid("order by clause cannot contain more fields after the key")
    return (*fields, *(Order(path, last) for path in implied), Order(NAME, last))
