"""Reads: as of which moment, in which transaction, and of what."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from local.services.firestore.aggregations import Aggregations
from local.services.firestore.documents import Documents
from local.services.firestore.paths import Path
from local.services.firestore.queries import Query
from local.services.firestore.scans import Match, Scans
from local.services.firestore.stored import Stored
from local.services.firestore.transactions import Transaction, Transactions

MAX_QUERY_TRIES = 5
"""Runs of a transaction's query until its results are locked before anybody changes them."""


@dataclass
class View:
    """The moment and the transaction of one request's reads."""

    at: int
    """The time its reads are as of; in a read-write transaction, that of its last read."""
    transaction: Transaction | None = None
    is_new: bool = False
    """The request itself began the transaction, and its answer says so."""

    @property
    def new_id(self) -> bytes:
        """The id of a transaction that this request began, to answer with."""
        return self.transaction.id if self.transaction and self.is_new else b""


class Reads:
    """Reading documents and queries."""

    def __init__(self, documents: Documents, scans: Scans, transactions: Transactions) -> None:
        self._documents = documents
        self._scans = scans
        self._transactions = transactions

    def view(self, request: Any, database: str) -> View:
        """The view a request's consistency selector asks for. Raises Status."""
        kind = request.WhichOneof("consistency_selector")
        if kind == "read_time":
            return View(self._documents.checked_read_time(request.read_time))
        if kind == "transaction":
            return self._in(self._transactions.find(request.transaction, database), is_new=False)
        if kind == "new_transaction":
            begun = self._transactions.begin(database, request.new_transaction)
            return self._in(begun, is_new=True)
        return View(self._documents.read_time())

    async def get(self, view: View, wanted: Sequence[Path]) -> list[Stored | None]:
        """Documents, None where there is none."""
        transaction = view.transaction
        if transaction is None or transaction.at is not None:
            return [self._documents.get(path, view.at) for path in wanted]
        with self._transactions.in_use(transaction):
            await self._transactions.lock_to_read(transaction, [path.key for path in wanted])
            view.at = self._documents.read_time()
            found = [self._documents.get(path) for path in wanted]
            for path, stored in zip(wanted, found, strict=True):
                transaction.reads.setdefault(path, stored.updated if stored else 0)
            return found

    def query(self, view: View, query: Query) -> AsyncIterator[Match]:
        """A query's matches, before offset and limit."""
        transaction = view.transaction
        if transaction is None or transaction.at is not None:
            return self._scans.run(query, view.at)
        return self._locking(view, transaction, query)

    async def aggregate(self, view: View, query: Query, wanted: Aggregations) -> None:
        """Take a query's results, after offset and up to the limit, into account."""
        if wanted.counts_only and query.is_whole and self._is_free(view):
            wanted.add_many(query.cut(self._documents.count(query.scope)))
            return
        skipped = 0
        async for match in self.query(view, query):
            if skipped < query.offset:
                skipped += 1
            else:
                wanted.add(match.document().fields)

    def _is_free(self, view: View) -> bool:
        return view.transaction is None and self._documents.is_present(view.at)

    async def _locking(
        self, view: View, transaction: Transaction, query: Query
    ) -> AsyncIterator[Match]:
        with self._transactions.in_use(transaction):
            for match in await self._locked(view, transaction, query):
                yield match

    async def _locked(self, view: View, transaction: Transaction, query: Query) -> list[Match]:
        was_doomed = transaction.is_doomed
        transaction.queries.append(query)
        found: list[Match] = []
        for _ in range(MAX_QUERY_TRIES):
            transaction.is_doomed = was_doomed
            view.at = self._documents.read_time()
            found = [match async for match in self._scans.run(query, view.at)]
            keys = sorted(match.stored.key for match in found)
            await self._transactions.lock_to_read(transaction, keys)
            if was_doomed or not transaction.is_doomed:
                break
        return found

    def _in(self, transaction: Transaction, *, is_new: bool) -> View:
        at = self._documents.read_time() if transaction.at is None else transaction.at
        return View(at, transaction, is_new)
