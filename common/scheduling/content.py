"""What a reminder is scheduled with: for whom, what, when. Refused here if it cannot be."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from common.cloud import firestore
from common.errors import PermanentError, ResultNotStorableError
from common.idempotency.fingerprint import fingerprint, to_json

MAX_PAYLOAD = 400_000
"""Bytes of a payload as JSON: a record may hold two, the second in a mark; a document 1 MiB."""
MAX_SUBJECT = 2048
"""Bytes: as many as an id of an event or of a user may have."""


class Content(Struct, frozen=True, kw_only=True):
    """What is scheduled: for whom, what, and when."""

    user_id: str
    payload: Mapping[str, Any]
    """As Firestore can hold it."""
    due_at: datetime
    what: str
    """A digest of user and payload, as they were given."""
    when: str
    """The time as it was given: two calls that say `after` the same are the same."""
    cause: str | None = None
    """The key of the work that has asked for it; None: an application."""

    def is_same(self, other: "Content") -> bool:
        """Whether both say the same, as given."""
        return (self.what, self.when) == (other.what, other.when)

    def fields(self) -> dict[str, Any]:
        """Its part of a record or of a mark."""
        return {
            "user_id": self.user_id,
            "payload": self.payload,
            "due_at": self.due_at,
            "what": self.what,
            "when": self.when,
            "cause": self.cause,
        }


def content(
    *,
    user_id: str,
    payload: Mapping[str, Any] | None,
    at: datetime | None,
    after: timedelta | None,
    now: datetime,
    cause: str | None = None,
) -> Content:
    """What a call of `schedule` says. Raises PermanentError for what cannot be scheduled."""
    given = dict(payload or {})
    due, when = time_given(at, after, now)
    if not user_id:
        raise PermanentError("a reminder is for nobody: user_id is empty")
    try:
        size = len(to_json(given))
    except ResultNotStorableError as error:
        raise PermanentError(f"a reminder's payload is not JSON: {error}") from error
    if size > MAX_PAYLOAD:
        raise PermanentError(f"a reminder's payload has {size} bytes, more than {MAX_PAYLOAD}")
    return Content(
        user_id=user_id,
        payload=firestore.storable_fields(given),
        due_at=due,
        what=fingerprint({"user_id": user_id, "payload": given}),
        when=when,
        cause=cause,
    )


def time_said(at: datetime | None, after: timedelta | None) -> str:
    """How a call names a time: what two calls have in common that say the same.

    Raises PermanentError unless there is one of both, and `at` an aware time.
    """
    if (at is None) == (after is None):
        raise PermanentError("a reminder is due `at` a time or `after` a while: one of both")
    if after is not None:
        return f"after {after.total_seconds()} s"
    assert at is not None
    if at.utcoffset() is None:
        raise PermanentError(f"a reminder is due at {at}, a time without a zone")
    return at.astimezone(UTC).isoformat()


def time_given(at: datetime | None, after: timedelta | None, now: datetime) -> tuple[datetime, str]:
    """The time that a call names by `at` or by `after`, and how it names the time.

    Raises PermanentError as `time_said`, and for a time behind the year 9999.
    """
    said = time_said(at, after)
    try:
        return (at.astimezone(UTC) if at else now + (after or timedelta())), said
    except OverflowError as error:
        raise PermanentError(f"a reminder is due {said}: {error}") from error


def check_subject(subject: str) -> str:
    """The subject. Raises PermanentError for one that cannot name a reminder."""
    if not subject or len(subject.encode()) > MAX_SUBJECT:
        raise PermanentError(f"a reminder's subject is {subject!r:.100}: empty, or too long")
    return subject
