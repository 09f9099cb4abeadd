"""A claim that is held: every further write of its record is fenced, and recovers itself.

After any error of a write the record is read, and decides:

    found                          │ so
    ───────────────────────────────┼─────────────────────────────────────────────────────────
    a write_id of this commit      │ it was applied, its reply lost
    the write_id it was to replace │ it was not: a refusal means that an effect's own
                                   │ precondition failed (EffectConflictError); else: again
    an earlier write_id of ours    │ that one came late. Still claimed: this commit again, on top
                                   │ of it; given back: LostClaimError; else SettledError
    another owner, or no record    │ LostClaimError

A claim that was lost stays lost: whatever its handler tries next raises LostClaimError too.
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from common.cloud.firestore import Create, Update, Write
from common.errors import (
    EffectConflictError,
    LostClaimError,
    RefusedError,
    SettledError,
    TransientError,
)
from common.idempotency.record import Record, State
from common.idempotency.store import Store, check_size, record_id
from common.process import logs

MAX_TRIES = 8
"""How often a write is tried, at most, against a store that keeps failing."""
RENEW_BELOW = 1 / 3
"""The part of a lease that must be left for an outside effect to begin."""

Draft = Callable[[Record], tuple[Record, Sequence[Write]]]
"""From the record as it is now to the record as it shall be, and the effects that go with it."""


def token() -> str:
    """A fresh random name for an owner or a write."""
    return secrets.token_hex(8)


class Claim:
    """A held claim. Its commits are serialised, because a shutdown releases from another thread."""

    def __init__(
        self,
        store: Store,
        record: Record,
        fence: datetime,
        *,
        renewed_at: float,
        remaining: Callable[[], float],
        monotonic: Callable[[], float],
        tokens: Callable[[], str],
    ) -> None:
        self.record = record
        self.fence = fence
        """The server time of the last write; the next one replaces exactly that."""
        self.remaining = remaining
        """Seconds left of the delivery's budget."""
        self.lock = threading.RLock()
        self._renewed_at = renewed_at
        """Local monotonic time before the last write was sent; the lease ends no sooner."""
        self._id = record_id(record.scope, record.key)
        self._store = store
        self._monotonic = monotonic
        self._tokens = tokens
        self._issued = {record.write_id}
        self._is_lost = False
        self._is_certain = True
        """The last commit ended with an answer, or with a look at the record."""

    def commit(self, draft: Draft) -> None:
        """Replace the record, together with the effects, and renew the lease.

        Raises LostClaimError, SettledError, EffectConflictError (redo the effects from their
        reads), PermanentError (it can never be stored), or TransientError (perhaps applied).
        """
        with self.lock:
            self.ensure_held()
            sent = self._monotonic()
            mine: set[str] = set()
            for tried in range(MAX_TRIES):
                if tried and self.remaining() <= 0:
                    break
                if self._is_committed(draft, mine):
                    self._renewed_at = sent
                    return
            raise TransientError("the store keeps failing")

    def ensure_held(self) -> None:
        """Raises LostClaimError if it is known to be lost, or was given back."""
        if self._is_lost or self.record.state is not State.CLAIMED:
            raise LostClaimError

    def ensure_leased(self, renewal: Draft) -> None:
        """Commit the renewal if little is left of the lease, or the last commit ended in doubt.

        Raises what `commit` raises.
        """
        with self.lock:
            self.ensure_held()
            left = self._renewed_at + self.record.lease_seconds - self._monotonic()
            if left < self.record.lease_seconds * RENEW_BELOW or not self._is_certain:
                self.commit(renewal)

    def _is_committed(self, draft: Draft, mine: set[str]) -> bool:
        record, effects = draft(self.record)
        record = replace(record, write_id=self._tokens())
        check_size(record)
        mine.add(record.write_id)
        self._issued.add(record.write_id)
        self._is_certain = False
        try:
            self.fence = self._store.replace(record, self.fence, effects)
        except RefusedError:
            found = self._read_back(mine)
            if found == "unchanged" and has_preconditions(effects):
                raise EffectConflictError from None
            return found == "applied"
        except TransientError as error:
            logs.warning("uncertain", str(error))
            return self._read_back(mine) == "applied"
        self.record = record
        self._is_certain = True
        return True

    def _read_back(self, mine: set[str]) -> Literal["applied", "unchanged", "rebased"]:
        found = self._store.read(self._id)
        if found is None or found.record is None or found.record.owner != self.record.owner:
            self._is_lost = True
            raise LostClaimError
        self.fence = found.update_time
        self._is_certain = True
        if found.record.write_id == self.record.write_id:
            return "unchanged"
        return self._adopt(found.record, mine)

    def _adopt(self, record: Record, mine: set[str]) -> Literal["applied", "rebased"]:
        if record.write_id not in self._issued:
            self._is_lost = True
            raise LostClaimError
        self.record = replace(record, key=self.record.key)
        if record.write_id in mine:
            return "applied"
        if record.state is State.CLAIMED:
            return "rebased"
        raise LostClaimError if record.state is State.WAITING else SettledError


def has_preconditions(effects: Sequence[Write]) -> bool:
    """Whether one of them can be refused."""
    return any(isinstance(effect, Create | Update) for effect in effects)
