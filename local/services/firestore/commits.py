"""Commits: waiting for the documents' locks, then everything at once."""

from typing import Any

from google.rpc import code_pb2, status_pb2

from local.kernel import moments
from local.kernel.refusals import invalid
from local.kernel.status import Status
from local.services.firestore import limits, mutations
from local.services.firestore.documents import Documents
from local.services.firestore.locks import Owner
from local.services.firestore.messages import BatchWriteResponse, CommitResponse, WriteResult
from local.services.firestore.mutations import Mutation
from local.services.firestore.refusals import contention
from local.services.firestore.transactions import Transaction, Transactions
from local.services.firestore.writes import Outcome


class Commits:
    """Writing documents."""

    def __init__(self, documents: Documents, transactions: Transactions) -> None:
        self._documents = documents
        self._transactions = transactions

    async def commit(self, request: Any, database: str) -> Any:
        """Answer a CommitRequest. Raises Status."""
        limits.check_request(request.ByteSize())
        given = mutations.parse(request.writes)
        if request.transaction:
            transaction = self._transactions.find(request.transaction, database)
            outcomes, time = await self._commit_transaction(transaction, given)
        else:
            outcomes, time = await self._commit(given)
        response = CommitResponse(write_results=[_result(outcome) for outcome in outcomes])
        moments.put(response.commit_time, time)
        return response

    async def apply(self, write: Any) -> Outcome:
        """Commit one write (a Write message) by itself. Raises Status."""
        outcomes, _ = await self._commit(mutations.parse([write]))
        return outcomes[0]

    async def batch(self, request: Any) -> Any:
        """Answer a BatchWriteRequest: each write by itself. Raises Status."""
        limits.check_request(request.ByteSize())
        given = [mutations.parse([write]) for write in request.writes]
        if len({mutation.path.key for (mutation,) in given}) < len(given):
            raise invalid("the same document cannot be written more than once in a single request")
        response = BatchWriteResponse()
        for mutation in given:
            result, status = await self._one_of_batch(mutation)
            response.write_results.append(result)
            response.status.append(status)
        return response

    async def _one_of_batch(self, given: list[Mutation]) -> tuple[Any, Any]:
        try:
            outcomes, _ = await self._commit(given)
        except Status as status:
            return WriteResult(), status.proto()
        return _result(outcomes[0]), status_pb2.Status(code=code_pb2.OK)

    async def _commit(self, given: list[Mutation]) -> tuple[list[Outcome], int]:
        keys = [mutation.path.key for mutation in given]
        if not self._transactions.is_blocked(None, keys):
            return self._documents.commit(given)
        owner = Owner(is_transaction=False, busy=1)
        try:
            await self._transactions.lock_to_write(owner, keys)
            return self._documents.commit(given)
        finally:
            self._transactions.locks.release_all(owner)

    async def _commit_transaction(
        self, transaction: Transaction, given: list[Mutation]
    ) -> tuple[list[Outcome], int]:
        if transaction.at is not None and given:
            raise invalid("Cannot modify entities in a read-only transaction.")
        try:
            with self._transactions.in_use(transaction):
                keys = [mutation.path.key for mutation in given]
                await self._transactions.lock_to_write(transaction.owner, keys)
                if transaction.is_doomed:
                    raise contention()
                return self._documents.commit(given, transaction.reads)
        finally:
            self._transactions.close(transaction)


def _result(outcome: Outcome) -> Any:
    """The WriteResult of a write that was committed."""
    result = WriteResult(transform_results=outcome.results)
    state = outcome.state
    if state.current is not None:
        moments.put(result.update_time, state.updated)
    return result
