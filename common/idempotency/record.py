"""The record of one piece of work. What a delivery may do about it: `common.idempotency.decision`.

The states are drawn in `common.idempotency.delivery`.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from common.idempotency.waits import Dead, Owed

OnUnknownOutcome = Literal["rerun", "hold"]
"""What becomes of an effect that may have happened: `rerun` repeats the effect, `hold` gives the
work up with a dead letter."""

WHOLE = ""
"""Stands for the work as a whole, where an effect has its name."""

WRITTEN = ""
"""The mark of a step that has no result, because the step consisted of Firestore writes alone."""


class State(StrEnum):
    """Where a record is in its life."""

    CLAIMED = "claimed"
    """A delivery holds the record; its attempt is running, or vanished without a word."""
    WAITING = "waiting"
    """Nobody holds the record; the next delivery may make an attempt."""
    DONE = "done"
    """The work is done, and its result is stored."""
    DEAD = "dead"
    """The work was given up; its dead letter says why."""


class Record(Struct, frozen=True, kw_only=True):
    """What is stored about one piece of work. All times are the server's.

    A record is never changed. `completed`, `waiting` and the other transitions return the record
    that takes its place.
    """

    scope: str
    """The function that does the work."""
    key: str
    """The business key, unique within the scope."""
    fingerprint: str
    """A digest of the work's identity; of several that were accepted, the newest: that is run."""
    accepted: tuple[str, ...] = ()
    """All the fingerprints that were accepted, the original first; empty: only the one above."""
    state: State = State.CLAIMED
    owner: str = ""
    """The token of the delivery that wrote the record last."""
    write_id: str = ""
    """Fresh in every write, so that no write is a no-op and every write can be recognised."""
    attempts: int = 1
    """How many attempts have begun, the present one included, whatever became of them."""
    vanished: int = 0
    """How many attempts in a row have ended without a word."""
    lease_seconds: float
    """How long the holder of the claim may write nothing before others take the claim over."""
    retention_seconds: float
    """How long the record is remembered after its last write."""
    steps: Mapping[str, str] = field(default_factory=dict)
    """The finished steps: name to the JSON text of the result, or to WRITTEN."""
    begun: frozenset[str] = frozenset()
    """Effects of which nobody knows whether they happened, because they were under way at the last
    write. Only those that must not happen twice are noted here."""
    owed: Mapping[str, Owed] = field(default_factory=dict)
    """What waits: effects by name, and WHOLE where the handler itself could not go on."""
    dead: Mapping[str, Dead] = field(default_factory=dict)
    """What was given up, by the same names; each has a dead letter of its own."""
    replays: Mapping[str, str] = field(default_factory=dict)
    """What is being replayed, by the same names, and the id of its dead letter; a letter of
    something else, such as an input that was refused, goes by its own id."""
    salts: Mapping[str, str] = field(default_factory=dict)
    """What makes the keys of corrected effects new ones, by the same names."""
    resume_at: datetime | None = None
    """The work is handed over: a record of its own has an alarm for this time."""
    result: str | None = None
    """JSON text of the result, once the work is done."""
    error: str | None = None
    """The last error, as text."""
    part_of: str | None = None
    """What the work is a part of, if it is counted."""
    first_seen: datetime | None = None
    """The time of the first claim; None until that time was read back."""
    user_id: str | None = None
    """The user whom the work is about, if it is about one."""
    about: tuple[str, ...] = ()
    """Other ids that the work is about, of an order for example: by them it is found."""

    def completed(self, result: str) -> "Record":
        """The work is done; `result` is JSON text."""
        return replace(
            self._ended(State.DONE), result=result, error=None, owed={}, dead={}, replays={}
        )

    def checkpointed(self, steps: Mapping[str, str]) -> "Record":
        """These steps and effects are finished too, and owed no longer."""
        owed = {name: it for name, it in self.owed.items() if name not in steps}
        return replace(self, steps={**self.steps, **steps}, owed=owed)

    def released(self) -> "Record":
        """The attempt was stopped from outside; whoever rings for the work goes on ringing."""
        return replace(self._ended(State.WAITING), resume_at=self.resume_at)

    def waiting(
        self,
        owed: Mapping[str, Owed],
        dead: Mapping[str, Dead],
        *,
        resume_at: datetime | None,
    ) -> "Record":
        """Something is owed, and perhaps something given up; nobody holds the work."""
        return replace(
            self._ended(State.WAITING),
            owed=owed,
            dead=dead,
            resume_at=resume_at,
            error=next((it.error for it in owed.values()), self.error),
            replays={
                name: letter
                for name, letter in self.replays.items()
                if name not in self.steps and name not in dead
            },
        )

    def dead_lettered(self, dead: Mapping[str, Dead]) -> "Record":
        """These are given up, and nothing is left to do."""
        error = next(it.error for it in dead.values())
        return replace(self._ended(State.DEAD), dead=dead, owed={}, replays={}, error=error)

    def _ended(self, state: State) -> "Record":
        return replace(self, state=state, vanished=0, resume_at=None)

    def letter_id(self, name: str) -> str:
        """The id of the dead letter of an effect, or of the work as a whole."""
        return letter_id(self.scope, self.key, name)

    def effect_key(self, name: str) -> str:
        """The idempotency key of an effect: the same in every attempt, until it is corrected."""
        key = effect_id(self.scope, self.key, name)
        salt = self.salts.get(name, self.salts.get(WHOLE, ""))
        return hashlib.sha256(f"{key}\0{salt}".encode()).hexdigest() if salt else key


def record_id(scope: str, key: str) -> str:
    """The id of the record of this work."""
    return hashlib.sha256(f"{scope}\0{key}".encode()).hexdigest()


def effect_id(scope: str, key: str, name: str) -> str:
    """An id that no other effect of any work has."""
    return hashlib.sha256(f"{scope}\0{key}\0{name}".encode()).hexdigest()


def letter_id(scope: str, key: str, name: str) -> str:
    """The id of the dead letter of an effect, or (WHOLE) of the work as a whole."""
    return record_id(scope, key) if name == WHOLE else effect_id(scope, key, name)
