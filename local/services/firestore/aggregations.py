"""count, sum and avg over the results of a query, one document at a time."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

from local.kernel.refusals import invalid
from local.services.firestore import fields as field_paths
from local.services.firestore.fields import FieldPath
from local.services.firestore.messages import Value
from local.services.firestore.paths import is_reserved
from local.services.firestore.transforms import MAX_INTEGER, MIN_INTEGER

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
        """Count one document."""
        self.add_many(1)

    def add_many(self, count: int) -> None:
        """Count that many documents."""
        self.seen += count
        if self.up_to is not None:
            self.seen = min(self.seen, self.up_to)

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


@dataclass
class Aggregations:
    """The aggregations of one query, by alias."""

    by_alias: dict[str, Aggregator]
    paths: set[FieldPath]
    """Documents that lack one of these count for none of them."""

    @property
    def counts_only(self) -> bool:
        """Whether it does not matter what is in the documents."""
        return all(isinstance(aggregator, Count) for aggregator in self.by_alias.values())

    def add_many(self, count: int) -> None:
        """Take so many documents into account, where `counts_only`."""
        for aggregator in self.by_alias.values():
            if isinstance(aggregator, Count):
                aggregator.add_many(count)

    def add(self, fields: Any) -> None:
        """Take a document's fields into account."""
        if all(field_paths.get(fields, path) is not None for path in self.paths):
            for aggregator in self.by_alias.values():
                aggregator.add(fields)


def parse(messages: Any) -> Aggregations:
    """From Aggregation messages. Raises Status."""
    if not messages:
        raise invalid("Aggregations can not be empty.")
    if len(messages) > MAX_AGGREGATIONS:
        raise invalid(f"The maximum number of aggregations is {MAX_AGGREGATIONS}.")
    found: dict[str, Aggregator] = {}
    unnamed = 0
    for message in messages:
        alias = message.alias
        if not alias:
            unnamed += 1
            alias = f"field_{unnamed}"
        if alias in found:
            raise invalid(f"Aggregation aliases contain duplicate alias: {alias}.")
        if is_reserved(alias):
            raise invalid(f'The property.name "{alias}" is reserved.')
        found[alias] = _aggregator(message)
    aggregators = found.values()
    paths = {a.path for a in aggregators if isinstance(a, Sum)}
    return Aggregations(found, paths | {a.sum.path for a in aggregators if isinstance(a, Average)})


def _aggregator(message: Any) -> Aggregator:
    kind = message.WhichOneof("operator")
    if kind == "count":
        up_to = message.count.up_to.value if message.count.HasField("up_to") else None
        if up_to is not None and up_to <= 0:
            raise invalid("up_to must be greater than zero.")
        return Count(up_to)
    if kind == "sum":
        return Sum(_path(message.sum))
    if kind == "avg":
        return Average(Sum(_path(message.avg)))
    raise invalid("Operator field in Aggregation is not set.")


def _path(message: Any) -> FieldPath:
    path = field_paths.parse_queried(message.field.field_path)
    if path == field_paths.NAME:
        raise invalid("Aggregations are not supported for the property: __key__")
    return path
