"""The answers to RunQuery and RunAggregationQuery, message by message."""

from collections.abc import AsyncIterator, Set
from typing import Any

from local.kernel import moments
from local.services.firestore import aggregations, paths, queries
from local.services.firestore.explain import Explanation
from local.services.firestore.fields import FieldPath
from local.services.firestore.messages import RunAggregationQueryResponse, RunQueryResponse
from local.services.firestore.queries import Query
from local.services.firestore.reads import Reads, View


class Results:
    """Answers queries."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def run_query(self, request: Any) -> AsyncIterator[Any]:
        """The results of a query, one a message; the last says that it is. Raises Status."""
        query = queries.parse(request.parent, request.structured_query)
        explanation = _explanation(request, query)
        if explanation and not explanation.is_analyzed:
            return _one(RunQueryResponse(explain_metrics=explanation.metrics()))
        view = self._reads.view(request, paths.parent(request.parent)[0])
        return self._documents(view, query, explanation)

    async def run_aggregation_query(self, request: Any) -> AsyncIterator[Any]:
        """One message: the aggregations over a query. Raises Status."""
        structured = request.structured_aggregation_query
        wanted = aggregations.parse(structured.aggregations)
        query = queries.parse(request.parent, structured.structured_query, wanted.paths)
        explanation = _explanation(request, query, wanted.paths)
        if explanation and not explanation.is_analyzed:
            yield RunAggregationQueryResponse(explain_metrics=explanation.metrics())
            return
        view = self._reads.view(request, paths.parent(request.parent)[0])
        await self._reads.aggregate(view, query, wanted)
        response = RunAggregationQueryResponse(transaction=view.new_id)
        for alias, aggregator in wanted.by_alias.items():
            response.result.aggregate_fields[alias].CopyFrom(aggregator.result())
        moments.put(response.read_time, view.at)
        if explanation:
            explanation.results = 1
            response.explain_metrics.CopyFrom(explanation.metrics())
        yield response

    async def _documents(
        self, view: View, query: Query, explanation: Explanation | None
    ) -> AsyncIterator[Any]:
        """A message for every result, or one without any; before them the transaction's."""
        if view.new_id:
            yield RunQueryResponse(transaction=view.new_id)
        seen, last = 0, None
        async for match in self._reads.query(view, query):
            seen += 1
            if seen <= query.offset:
                continue
            is_first = seen == query.offset + 1
            if last is not None:
                yield last
            last = RunQueryResponse(skipped_results=query.offset if is_first else 0)
            last.document.CopyFrom(query.project(match.document()))
            moments.put(last.read_time, view.at)
            if explanation:
                explanation.results, explanation.reads = seen - query.offset, seen
        if last is None:
            last = RunQueryResponse(skipped_results=seen)
            moments.put(last.read_time, view.at)
        last.done = True
        if explanation:
            last.explain_metrics.CopyFrom(explanation.metrics())
        yield last


async def _one(message: Any) -> AsyncIterator[Any]:
    yield message


def _explanation(
    request: Any, query: Query, aggregated: Set[FieldPath] = frozenset()
) -> Explanation | None:
    if not request.HasField("explain_options"):
        return None
    return Explanation(query, request.explain_options.analyze, aggregated)
