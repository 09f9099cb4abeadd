"""Transactions: what they have read, the locks they hold, and when they are over.

A read-write transaction locks what it reads, so others who want to read it in a transaction, or to
write it, wait. A reader waits until the holder has been idle for a moment, then reads without the
lock; a writer waits longer and is then ABORTED. Whatever the locks did, a commit goes through only
if everything the transaction has read is still as it was: no update is lost.
"""

import asyncio
import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from local.kernel.refusals import invalid
from local.services.firestore.documents import Documents
from local.services.firestore.locks import Locks, Owner
from local.services.firestore.paths import Path
from local.services.firestore.refusals import contention
from local.services.firestore.stored import Change

LIFETIME_US = 270 * 1_000_000
IDLE_US = 60 * 1_000_000
"""A transaction is over so long after its beginning, or after its last request."""
READ_PATIENCE = 1.0
WRITE_PATIENCE = 5.0
"""Seconds of the lock holder's idleness after which a reader or a writer stops waiting."""


class ReadSet(Protocol):
    """A query a transaction has run."""

    def is_touched_by(self, change: Change) -> bool:
        """Whether a change could alter its results."""


@dataclass(eq=False, slots=True)
class Transaction:
    """One transaction. `at`: read-only, as of this time."""

    id: bytes
    database: str
    began: int
    used: int
    at: int | None = None
    is_optimistic: bool = False
    owner: Owner = field(default_factory=lambda: Owner(is_transaction=True))
    reads: dict[Path, int] = field(default_factory=dict)
    queries: list[ReadSet] = field(default_factory=list)
    is_doomed: bool = False
    """Somebody changed the results of a query of it."""


class Transactions:
    """The transactions that are open, and the locks of everybody."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._open: dict[bytes, Transaction] = {}
        self._closed: dict[bytes, None] = {}
        self._numbers = itertools.count(1)
        self._tag = os.urandom(8)
        self.locks = Locks()
        documents.watchers.append(self._watch)

    def begin(self, database: str, options: Any) -> Transaction:
        """Open a transaction from TransactionOptions. Raises Status."""
        self._drop_expired()
        now = self._documents.now()
        identity = self._tag + next(self._numbers).to_bytes(8, "big")
        transaction = Transaction(identity, database, now, now)
        if options.HasField("read_only"):
            transaction.at = self._read_time(options.read_only)
        elif options.read_write.retry_transaction:
            self._known(options.read_write.retry_transaction)
        transaction.is_optimistic = options.read_write.concurrency_mode == 1
        transaction.owner.active_at = asyncio.get_running_loop().time()
        self._open[identity] = transaction
        return transaction

    def find(self, identity: bytes, database: str) -> Transaction:
        """The open transaction with this id. Raises Status."""
        transaction = self._open.get(identity)
        if transaction is None or transaction.database != database:
            self._known(identity)
            raise invalid("The referenced transaction has expired or is no longer valid.")
        now = self._documents.now()
        if self._is_expired(transaction, now):
            self.close(transaction)
            raise invalid("The referenced transaction has expired or is no longer valid.")
        transaction.used = now
        return transaction

    def roll_back(self, identity: bytes, database: str) -> None:
        """Close a transaction; one that is closed already is no error. Raises Status."""
        transaction = self._open.get(identity)
        if transaction is None or transaction.database != database:
            self._known(identity)
            return
        self.close(transaction)

    def close(self, transaction: Transaction) -> None:
        """End a transaction: its locks are free."""
        self._open.pop(transaction.id, None)
        self._closed[transaction.id] = None
        if len(self._closed) > 10_000:
            del self._closed[next(iter(self._closed))]
        self.locks.release_all(transaction.owner)

    @contextlib.contextmanager
    def in_use(self, transaction: Transaction | None) -> Iterator[None]:
        """A request of the transaction is in progress: it is not idle."""
        if transaction is None:
            yield
            return
        owner = transaction.owner
        owner.busy += 1
        try:
            yield
        finally:
            owner.busy -= 1
            owner.active_at = asyncio.get_running_loop().time()
            if transaction.id not in self._open:
                self.locks.release_all(owner)

    async def lock_to_read(self, transaction: Transaction, keys: Sequence[bytes]) -> None:
        """Lock documents about to be read, as far as that is possible."""
        if transaction.at is not None or transaction.is_optimistic:
            return
        for key in keys:
            self._evict_expired(key)
            await self.locks.acquire(transaction.owner, key, READ_PATIENCE)

    async def lock_to_write(self, owner: Owner, keys: Sequence[bytes]) -> None:
        """Lock documents about to be written. Raises Status (ABORTED)."""
        for key in sorted(keys):
            self._evict_expired(key)
            if not await self.locks.acquire(owner, key, WRITE_PATIENCE):
                raise contention()

    def is_blocked(self, owner: Owner | None, keys: list[bytes]) -> bool:
        """Whether writing these has to wait."""
        return not self.locks.are_free(owner, keys)

    def _watch(self, changes: Sequence[Change], now: int) -> None:
        for transaction in self._open.values():
            if transaction.queries and not transaction.is_doomed:
                transaction.is_doomed = any(
                    query.is_touched_by(change)
                    for query in transaction.queries
                    for change in changes
                )

    def _read_time(self, options: Any) -> int:
        if not options.HasField("read_time"):
            return self._documents.read_time()
        return self._documents.checked_read_time(options.read_time)

    def _known(self, identity: bytes) -> None:
        if identity not in self._open and identity not in self._closed:
            raise invalid("Invalid transaction.")

    def _is_expired(self, transaction: Transaction, now: int) -> bool:
        idle = 0 if transaction.owner.busy else now - transaction.used
        return now - transaction.began > LIFETIME_US or idle > IDLE_US

    def _drop_expired(self) -> None:
        now = self._documents.now()
        for transaction in list(itertools.islice(self._open.values(), 8)):
            if self._is_expired(transaction, now):
                self.close(transaction)

    def _evict_expired(self, key: bytes) -> None:
        holder = self.locks.holder(key)
        if holder is None or not holder.is_transaction or not self._open:
            return
        now = self._documents.now()
        for transaction in list(self._open.values()):
            if transaction.owner is holder and self._is_expired(transaction, now):
                self.close(transaction)
