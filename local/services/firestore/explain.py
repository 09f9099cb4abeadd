"""What a query tells of itself when it is asked to explain: the index it goes along, its costs."""

import time
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from local.services.firestore import filters
from local.services.firestore.fields import FieldPath
from local.services.firestore.messages import ExplainMetrics
from local.services.firestore.queries import Query


@dataclass
class Explanation:
    """A query's explanation under way."""

    query: Query
    is_analyzed: bool
    """Whether the query is run, too."""
    aggregated: Set[FieldPath] = frozenset()
    """The fields of which it takes the sum or the mean: the index holds them, too."""
    results: int = 0
    """Sent so far."""
    reads: int = 0
    """Documents looked at for them that a bill would have."""
    _began: float = field(default_factory=time.monotonic)

    def metrics(self) -> Any:
        """The ExplainMetrics message."""
        message = ExplainMetrics()
        scope = "Collection" if self.query.scope.collection else "Collection group"
        index = {"query_scope": scope, "properties": self._properties()}
        message.plan_summary.indexes_used.add().update(index)
        if self.is_analyzed:
            stats = message.execution_stats
            stats.results_returned = self.results
            stats.read_operations = max(self.reads, 1)
            stats.execution_duration.FromNanoseconds(int((time.monotonic() - self._began) * 1e9))
            stats.debug_stats.update(self._debug(stats.read_operations))
        return message

    def _debug(self, billed: int) -> Mapping[str, Any]:
        return {
            "documents_scanned": str(self.reads),
            "index_entries_scanned": str(self.reads),
            "billing_details": {
                "documents_billable": str(self.reads),
                "index_entries_billable": "0",
                "min_query_cost": str(billed - self.reads),
                "small_ops": "0",
            },
        }

    def _properties(self) -> str:
        equal, ordered = self._equal(), {order.path for order in self.query.orders}
        *orders, name = [
            f"{'.'.join(order.path)} {'DESC' if order.descending else 'ASC'}"
            for order in self.query.orders
        ]
        summed = _ascending(self.aggregated - equal - ordered)
        return f"({', '.join([*_ascending(equal), *orders, *summed, name])})"

    def _equal(self) -> set[FieldPath]:
        """The fields that the index begins with: those of equalities, and of IN, which is several
        of them."""
        ordered = {order.path for order in self.query.orders}
        several = {c.path for c in filters.required(self.query.filter) if c.operator == "IN"}
        return {*self.query.equal, *several} - ordered


def _ascending(paths: Set[FieldPath]) -> list[str]:
    return [f"{'.'.join(path)} ASC" for path in sorted(paths)]
