"""A claim that is held: every further write of its record is fenced, and recovers itself.

After any error of a write the record is read, and decides:

    found                         │ so
    ──────────────────────────────┼──────────────────────────────────────────────────────────
    the write_id of this write    │ it was applied, its reply lost
    the write_id of our last one  │ it was not: a refusal means an effect's own precondition
                                  │ failed (EffectConflictError); else the same write again
    an earlier write_id of ours   │ that one came late: the record says what holds now
    another owner, or no record   │ LostClaimError
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from common import logs
from common.claims import Record, State
from common.documents import Write
from common.errors import EffectConflictError, LostClaimError, RefusedError, TransientError
from common.records import Store, record_id

ROUNDS = 8
"""How often a write is tried against a store that keeps failing."""


def token() -> str:
    """A fresh random name for an owner or a write."""
    return secrets.token_hex(8)


class Claim:
    """A held claim. Its writes are serialised, because a shutdown releases from another thread."""

    def __init__(
        self,
        store: Store,
        record: Record,
        fence: datetime,
        *,
        renewed_at: float,
        monotonic: Callable[[], float],
    ) -> None:
        self.record = record
        self.fence = fence
        """The server time of the last write; the next one replaces exactly that."""
        self.renewed_at = renewed_at
        """Local monotonic time before the last write was sent; the lease ends no sooner."""
        self._id = record_id(record.scope, record.key)
        self._store = store
        self._monotonic = monotonic
        self._issued: set[str] = set()
        self._lock = threading.RLock()

    def write(self, change: Record, effects: Sequence[Write] = ()) -> None:
        """Replace the record, together with the effects, and renew the lease.

        Raises LostClaimError, EffectConflictError (redo the effects from their reads),
        PermanentError (it can never be stored), or TransientError (not known to be applied).
        """
        with self._lock:
            if self.record.state is not State.CLAIMED:
                raise LostClaimError("the claim was given back")
            change = replace(change, write_id=token())
            self._issued.add(change.write_id)
            for _ in range(ROUNDS):
                if self._is_written(change, effects):
                    return
            raise TransientError("the store keeps failing")

    def is_over(self) -> bool:
        """Whether the lease may be over, so that somebody else may hold the work."""
        return self._monotonic() - self.renewed_at >= self.record.lease_seconds

    def _is_written(self, change: Record, effects: Sequence[Write]) -> bool:
        started = self._monotonic()
        try:
            self.fence = self._store.replace(change, self.fence, effects)
            self.record = change
        except RefusedError:
            if not self._is_applied(change):
                raise EffectConflictError from None
        except TransientError as error:
            logs.warning("uncertain", str(error))
            if not self._is_applied(change):
                return False
        self.renewed_at = started
        return True

    def _is_applied(self, change: Record) -> bool:
        found = self._store.read(self._id)
        if found is None or found.record.owner != self.record.owner:
            raise LostClaimError
        self.fence = found.update_time
        if found.record.write_id == self.record.write_id:
            return False
        if found.record.write_id not in self._issued:
            raise LostClaimError
        self.record = replace(found.record, key=self.record.key)
        if found.record.write_id == change.write_id:
            return True
        if found.record.state is State.WAITING:
            raise LostClaimError
        raise EffectConflictError
