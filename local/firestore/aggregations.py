"""count, sum and avg over the results of a query, one document at a time."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

from local.firestore import fields as field_paths
from local.firestore.fields import FieldPath
from local.firestore.messages import Value
from local.firestore.refusals import invalid
from local.firestore.transforms import MAX_INTEGER, MIN_INTEGER

MAX_AGGREGATIONS = 5


class Aggregator(Protocol):
    """One aggregation under way."""

    def add(self, fields: Any) -> None:
        """Take a document's fields into account."""

    def result(self) -> Any:
        """The Value of what was added."""


@dataclass
class Count:
    """How many documents, up to a number."""

    up_to: int | None
    seen: int = 0

    def add(self, fields: Any) -> None:
        """Count one."""
        if self.up_to is None or self.seen < self.up_to:
            self.seen += 1

    def result(self) -> Any:
        """An integer."""
        return Value(integer_value=self.seen)


@dataclass
class Sum:
    """The sum of the numbers in a field."""

    path: FieldPath
    integers: int = 0
    doubles: float = 0.0
    has_doubles: bool = False
    seen: int = 0

    def add(self, fields: Any) -> None:
        """Add the field, if it is a number."""
        value = field_paths.get(fields, self.path)
        kind = value.WhichOneof("value_type") if value is not None else None
        if kind == "integer_value":
            self.integers += value.integer_value
            self.seen += 1
        elif kind == "double_value":
            self.doubles += value.double_value
            self.has_doubles = True
            self.seen += 1

    def result(self) -> Any:
        """An integer where all were and their sum is one; else a double."""
        if not self.has_doubles and MIN_INTEGER <= self.integers <= MAX_INTEGER:
            return Value(integer_value=self.integers)
        return Value(double_value=self.total())

    def total(self) -> float:
        """The sum as a double."""
        return float(self.integers) + self.doubles if self.has_doubles else float(self.integers)


@dataclass
class Average:
    """The mean of the numbers in a field."""

    sum: Sum

    def add(self, fields: Any) -> None:
        """Add the field, if it is a number."""
        self.sum.add(fields)

    def result(self) -> Any:
        """A double, or null where there was no number."""
        if not self.sum.seen:
            return Value(null_value=0)
        total = self.sum.total()
        return Value(double_value=total / self.sum.seen if math.isfinite(total) else total)


def parse(messages: Any) -> dict[str, Aggregator]:
    """Aggregators by alias, from Aggregation messages. Raises Status."""
    if not 1 <= len(messages) <= MAX_AGGREGATIONS:
        raise invalid("The number of aggregations must be between 1 and 5.")
    found: dict[str, Aggregator] = {}
    unnamed = 0
    for message in messages:
        alias = message.alias
        if not alias:
            unnamed += 1
            alias = f"field_{unnamed}"
        if alias in found:
            raise invalid(f"Duplicate aggregation alias '{alias}'.")
        found[alias] = _aggregator(message)
    return found


def _aggregator(message: Any) -> Aggregator:
    kind = message.WhichOneof("operator")
    if kind == "count":
        up_to = message.count.up_to.value if message.count.HasField("up_to") else None
        if up_to is not None and up_to <= 0:
            raise invalid("up_to must be greater than zero.")
        return Count(up_to)
    if kind == "sum":
        return Sum(field_paths.parse(message.sum.field.field_path))
    if kind == "avg":
        return Average(Sum(field_paths.parse(message.avg.field.field_path)))
    raise invalid("Aggregation operator must be specified.")
