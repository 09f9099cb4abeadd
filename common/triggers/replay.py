"""Replays: a delivery that names a dead letter is let through only for the work of that letter.

what the delivery names         │ so the delivery
────────────────────────────────┼────────────────────────────────────────────────────────
no dead letter that there is    │ is refused, before anything happens
one of another work or function │ is refused, before anything happens
one that has been replayed      │ is a duplicate
one whose payload was cut, and  │ is refused: only whoever has the whole payload can replay it
the delivery brings none        │
else, with no payload           │ is done with the letter's own payload
else, with a payload            │ is done with that payload: where it is another one, the correction
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from common.cloud import firestore
from common.errors import NothingToDoError, ReplayRefusedError
from common.idempotency import dead_letters
from common.idempotency.waits import MAX_ERROR

NOT_OF_THE_KEY = ("key_reused", "replay_refused")
"""The reasons of letters of inputs that were refused under a key that belongs to other work."""
_ID = re.compile(r"[\w.~:%-]{1,500}", re.ASCII)
"""What an id of a dead letter looks like; anything else might be a path."""


class Letter(Struct, frozen=True, kw_only=True):
    """A dead letter that is to be replayed."""

    letter_id: str
    fields: Mapping[str, Any]

    @property
    def payload(self) -> bytes:
        """What was received. Raises ReplayRefusedError if not all of that was kept."""
        if self.fields.get("payload_truncated"):
            raise ReplayRefusedError(f"of dead letter {self.letter_id} the payload was cut")
        kept = self.fields.get("payload")
        return kept if isinstance(kept, bytes) else str(kept or "").encode()

    def require_work(self, key: str | None) -> None:
        """Raises ReplayRefusedError unless this may be the letter of the work with this key.

        A letter of which no key and no event could be read may be that of any work.
        """
        if self.fields.get("reason") in NOT_OF_THE_KEY:
            raise ReplayRefusedError(
                f"dead letter {self.letter_id} is of no work: its key is another's"
            )
        known = self.fields.get("key") or self.fields.get("event_id")
        if known is not None and (key is None or known != key[:MAX_ERROR]):
            raise ReplayRefusedError(f"dead letter {self.letter_id} is not of {key!r:.200}")

    def require_input(self, body: bytes) -> None:
        """Raises ReplayRefusedError unless this may be the letter of a call with this body.

        The body of a task names its work; only one that could not be read can be corrected.
        """
        self.require_work(self.fields.get("key"))
        if self.fields.get("key") and not _is_same_json(body, self.payload):
            raise ReplayRefusedError(
                f"dead letter {self.letter_id} is not of a call with this body"
            )

    def require_open(self) -> None:
        """Raises NothingToDoError (`duplicate`) if the letter has been replayed already."""
        if self.fields.get("state") == "replayed":
            raise NothingToDoError("duplicate", f"dead letter {self.letter_id} was replayed before")


def find(letter_id: str, function: str) -> Letter:
    """The dead letter that a delivery to this function names.

    Raises ReplayRefusedError if the function has no such letter, TransientError when that cannot be
    read now.
    """
    if not _ID.fullmatch(letter_id) or letter_id.strip(".") == "":
        raise ReplayRefusedError(f"{letter_id!r:.100} is no id of a dead letter")
    found = firestore.read(dead_letters.path_of(letter_id))
    if not found.exists:
        raise ReplayRefusedError(f"there is no dead letter {letter_id!r:.100}")
    if found.data.get("source") != function:
        source = found.data.get("source")
        raise ReplayRefusedError(f"dead letter {letter_id} is of {source!r:.50}, not of {function}")
    return Letter(letter_id=letter_id, fields=found.data)


def _is_same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except (ValueError, RecursionError):
        return one == other
