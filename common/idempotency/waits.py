"""What is owed: why something waits, since when, and when it is tried again; pure, no I/O.

raised              │ reason       │ waits                            │ is given up
────────────────────┼──────────────┼──────────────────────────────────┼───────────────────────────
PermanentError      │              │                                  │ at once
UnavailableError    │ unavailable  │ its `retry_after`, else longer   │ `outage`, after
                    │              │ and longer, up to LONGEST_PAUSE  │ `Patience.outage`
NotYetError         │ not_yet      │ longer and longer                │ `waited_too_long`, after
                    │              │                                  │ `Patience.not_yet`
anything else       │ transient    │ longer and longer                │ `attempts_used_up`, the
                    │              │                                  │ `Patience.attempts`th time

Each reason has a clock and a count of its own, which another reason clears. What changes between
reasons for ever is given up too: after twice `Patience.outage`.
"""

import hashlib
import re
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from common.errors import NotYetError, PermanentError, UnavailableError, UnknownOutcomeError

Reason = Literal["unavailable", "not_yet", "transient"]

NOT_YET = timedelta(hours=12)
"""How long work may wait for something that has not happened yet."""
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 1800.0
"""Seconds between two tries."""
LONGEST_RETRY_AFTER = 86_400.0
"""Seconds that somebody outside may ask us to wait."""
SPREAD = 0.25
"""The part of a pause by which those of equals differ."""
MAX_VANISHED = 12
"""How many attempts in a row may vanish before the work is given up."""
MAX_ERROR = 2000
"""Characters of an error's text that are kept."""


class Patience(Struct, frozen=True, kw_only=True):
    """How long each reason is waited for."""

    attempts: int
    """How often work may fail by itself."""
    outage: timedelta = timedelta(days=7)
    """How long somebody outside may be unavailable."""
    not_yet: timedelta = NOT_YET


class Owed(Struct, frozen=True, kw_only=True):
    """An effect, or the work as a whole, that could not be done yet."""

    reason: Reason
    first: datetime
    """When something was owed first, for whatever reason."""
    since: datetime
    """When the present reason was given first; another reason in between starts it again."""
    tries: int
    """How often the present reason was given in a row."""
    until: datetime
    """When it is tried again."""
    error: str
    unknown_since: datetime | None = None
    """When it was first tried without our learning whether it happened; None: it did not."""


class Dead(Struct, frozen=True, kw_only=True):
    """An effect, or the work as a whole, that was given up; its dead letter says the same."""

    reason: str
    """One word, as the dead letter names it."""
    error: str
    unknown_since: datetime | None = None
    """See `Owed`."""


def judge(
    error: BaseException, before: Owed | None, *, now: datetime, patience: Patience, name: str
) -> Owed | Dead:
    """What becomes of something that failed with this error, and was owed `before` that.

    `now` is the server's time. `name` tells it from its equals, whose pauses are spread.
    """
    unknown = _unknown_since(error, before, now)
    if isinstance(error, PermanentError):
        return Dead(reason=word(error), error=describe(error), unknown_since=unknown)
    reason = reason_of(error)
    since, tries = (before.since, before.tries) if before and before.reason == reason else (now, 0)
    first = before.first if before else now
    if given_up := _given_up(reason, now, first, since, tries + 1, patience):
        text = _waited(given_up, patience, error)
        return Dead(reason=given_up, error=text, unknown_since=unknown)
    return Owed(
        reason=reason,
        first=first,
        since=since,
        tries=tries + 1,
        until=now + timedelta(seconds=_pause(error, tries, name)),
        error=describe(error),
        unknown_since=unknown,
    )


def vanished_pause(vanished: int, lease: float, outage: timedelta) -> float:
    """Seconds after its last write at which work may run again of which so many attempts vanished.

    The first time the lease is enough. All the pauses together outlast `outage`: a database that
    takes claims and no endings must not bury work.
    """
    if vanished <= 1:
        return lease
    # Eleven pauses; the first six grow from minutes to hours, also from a lease of half a minute.
    longest = max(outage.total_seconds() / (MAX_VANISHED - 7), lease)
    return lease + float(min(lease * 4 ** (vanished - 1), longest))


def spread(seconds: float, name: str) -> float:
    """A pause that differs from those of others by up to SPREAD of it, and never shorter."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32
    return seconds * (1 + SPREAD * share)


def reason_of(error: BaseException) -> Reason:
    """Why something waits that failed with this error, which is not a PermanentError."""
    match error:
        case UnavailableError():
            return "unavailable"
        case NotYetError():
            return "not_yet"
    return "transient"


def word(error: PermanentError) -> str:
    """The word that a dead letter names for an error: KeyReusedError is `key_reused`."""
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def describe(error: BaseException) -> str:
    """An error as a record keeps it: its type and its text, cut to MAX_ERROR characters."""
    return f"{type(error).__name__}: {error}"[:MAX_ERROR]


def _given_up(
    reason: Reason,
    now: datetime,
    first: datetime,
    since: datetime,
    tries: int,
    patience: Patience,
) -> str | None:
    match reason:
        case "unavailable":
            is_over, name = now - since > patience.outage, "outage"
        case "not_yet":
            is_over, name = now - since > patience.not_yet, "waited_too_long"
        case "transient":
            is_over, name = tries >= patience.attempts, "attempts_used_up"
    return name if is_over or now - first > 2 * patience.outage else None


def _waited(given_up: str, patience: Patience, error: BaseException) -> str:
    waited = {"outage": patience.outage, "waited_too_long": patience.not_yet}.get(given_up)
    return describe(error) if waited is None else f"waited {waited} for this: {error}"[:MAX_ERROR]


def _pause(error: BaseException, tries: int, name: str) -> float:
    if isinstance(error, UnavailableError) and error.retry_after is not None:
        seconds = min(max(error.retry_after, 1.0), LONGEST_RETRY_AFTER)
    else:
        seconds = float(min(FIRST_PAUSE * 2 ** min(tries, 20), LONGEST_PAUSE))
    return spread(seconds, f"{name} {tries}")


def _unknown_since(error: BaseException, before: Owed | None, now: datetime) -> datetime | None:
    if before and before.unknown_since:
        return before.unknown_since
    is_clean = isinstance(error, UnavailableError) and not error.outcome_unknown
    is_unknown = isinstance(error, UnavailableError | UnknownOutcomeError) and not is_clean
    return now if is_unknown else None
