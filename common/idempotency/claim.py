"""A claim that is held: every further write of its record is fenced, and recovers by itself.

After any error of a write the record is read back, and decides:

    found                          │ so
    ───────────────────────────────┼─────────────────────────────────────────────────────────
    a write_id of this commit      │ the write was applied, and its reply lost
    the write_id it was to replace │ the write was not applied: a refusal means that an effect's
                                   │ own precondition failed (EffectConflictError); else: again
    an earlier write_id of ours    │ that write came late. Still claimed: this commit again, on top
                                   │ of it; given back: LostClaimError; else SettledError
    another owner, or no record    │ LostClaimError

A claim that was lost stays lost: whatever its handler tries next raises LostClaimError too.

A mark may wait in the claim until something is written: it travels with the next commit, whichever
that is (a later step's, the completion, a failure, a release).

A claim may also wait itself (`fence` is None), on a delivery that is surely the first: its first
commit creates the record, with whatever travels. Whatever keeps that from happening is left to the
ordinary way, with the claim first (ClaimFirstError); what is created has this delivery's token.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from msgspec.structs import replace

from common.errors import (
    ClaimFirstError,
    EffectConflictError,
    LostClaimError,
    PermanentError,
    RefusedError,
    SettledError,
    TransientError,
)
from common.idempotency.change import Change, Mark, applied, has_preconditions
from common.idempotency.record import Record, State, record_id
from common.idempotency.store import Store
from common.process import logs

MAX_TRIES = 8
"""How often a write is tried, at most, against a store that keeps failing."""
RENEW_BELOW = 1 / 3
"""The part of a lease that must be left when an outside effect begins; below, it is renewed."""


def token() -> str:
    """A fresh random name for an owner or a write: 16 hexadecimal digits."""
    return secrets.token_hex(8)


class Claim:
    """A held claim. Its commits are serialised, because a shutdown releases from another thread."""

    def __init__(
        self,
        store: Store,
        record: Record,
        fence: datetime | None,
        *,
        renewed_at: float,
        deadline: float,
        monotonic: Callable[[], float],
        tokens: Callable[[], str],
    ) -> None:
        """`renewed_at` and `deadline` are seconds on the clock `monotonic`: before the claim was
        sent, and when the delivery's budget ends."""
        self.record = record
        """The record as it was last written, or read back."""
        self.fence = fence
        """The server's time of the last write, which the next replaces; None: not written yet."""
        self.begun = set(record.begun)
        """The effects that are under way, or were in an attempt that vanished; see `Record`."""
        self.lock = threading.RLock()
        """Held while a commit is under way."""
        self._travelling: dict[str, Mark] = {}
        self._renewed_at = renewed_at
        """Local monotonic time before the last write was sent; the lease ends no sooner."""
        self._deadline = deadline
        self._id = record_id(record.scope, record.key)
        self._store = store
        self._monotonic = monotonic
        self._tokens = tokens
        self._issued = {record.write_id}
        self._is_lost = False
        self._is_too_late = False
        """The claim waited, and could not be had."""
        self._is_certain = True
        """The last commit ended with an answer, or with a look at the record."""

    def remaining(self) -> float:
        """Seconds left of the delivery's budget; negative when the budget is used up."""
        return self._deadline - self._monotonic()

    @property
    def is_written(self) -> bool:
        """Whether there is a record; False: the claim waits for the first thing that needs it."""
        return self.fence is not None

    @property
    def travels(self) -> Mapping[str, Mark]:
        """The marks that the next commit takes along."""
        return self._travelling

    def server_time(self) -> datetime:
        """The server's time: that of the last write, or of a read where nothing is written yet."""
        return self.fence or self._store.time(self._id)

    def give_up(self) -> None:
        """Begin nothing any more, because the process ends. For a claim that is not written yet."""
        self._is_lost = True

    def result_of(self, step: str) -> str | None:
        """The mark of a finished step: JSON text, or WRITTEN. None: the step is not finished."""
        if step in self._travelling:
            return self._travelling[step].result
        return self.record.steps.get(step)

    def has_finished_steps(self) -> bool:
        """Whether any step is finished."""
        return bool(self.record.steps or self._travelling)

    def carry(self, step: str, mark: Mark) -> None:
        """The step is finished; its mark travels with the next commit."""
        with self.lock:
            self._travelling[step] = mark

    def commit(self, change: Change, *, with_travelling: bool = True) -> None:
        """Write the changed record, together with the change's Firestore writes; renew the lease.

        The marks that travel are written too (unless `with_travelling` says otherwise). Raises
        LostClaimError, SettledError, EffectConflictError (compute the writes again from what they
        read), PermanentError (never storable), or TransientError (perhaps applied).
        """
        with self.lock:
            self._ensure_held()
            if with_travelling:
                change = replace(change, marks={**self._travelling, **change.marks})
            change = replace(change, begun=frozenset(self.begun))
            sent = self._monotonic()
            if self.fence is None:
                self.fence = self._created(change)
                self._renewed_at = sent
                return
            mine: set[str] = set()
            for tried in range(MAX_TRIES):
                if tried and self.remaining() <= 0:
                    break
                if self._is_committed(change, mine):
                    self._renewed_at = sent
                    return
            raise TransientError("the store keeps failing")

    def ensure_ready(self) -> None:
        """Make sure that an effect may begin: the claim is held and written, and there is time.

        Renews the lease if little of it is left, if the last commit ended in doubt, or if what is
        under way has to be noted. Raises TransientError when the budget is used up, LostClaimError,
        and what `commit` raises.
        """
        with self.lock:
            if self.remaining() <= 0:
                raise TransientError("the handler's budget is used up")
            self._ensure_held()
            left = self._renewed_at + self.record.lease_seconds - self._monotonic()
            is_short = left < self.record.lease_seconds * RENEW_BELOW or not self._is_certain
            if is_short or not self.is_written or self.record.begun != self.begun:
                self.commit(Change())

    def _ensure_held(self) -> None:
        if self._is_too_late:
            raise ClaimFirstError
        if self._is_lost or self.record.state is not State.CLAIMED:
            raise LostClaimError

    def _created(self, change: Change) -> datetime:
        record, effects = applied(change, self.record)
        try:
            time = self._store.create(record, effects)
        except (RefusedError, TransientError, PermanentError) as error:
            self._is_too_late = True
            raise ClaimFirstError from error
        logs.info("claimed", "attempt 1 begins", attempt=1)
        self.record = replace(record, first_seen=time)
        return time

    def _is_committed(self, change: Change, mine: set[str]) -> bool:
        assert self.fence is not None
        record, effects = applied(change, self.record)
        record = replace(record, write_id=self._tokens())
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
