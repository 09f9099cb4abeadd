"""Users: what their sign-up said, their firsts, and how they are written to."""

from typing import Literal, get_args
from zoneinfo import ZoneInfo

from common.cloud import firestore
from common.cloud.documents import DocumentKind
from common.cloud.firestore import Snapshot, Write
from common.idempotency import Work
from common.messaging.recipients import Recipient
from common.people import marks
from common.process import settings
from common.process.times import zone_of
from common.triggers.events import Event

Mark = Literal["first_login_at", "first_feature_at"]
"""The field of a user's document that says when something happened for the first time."""
USER = DocumentKind(name="user", collection="users")
OPT_IN = "digest_opt_in"
SIGN_UP = "signed_up_by"
"""The field with the event whose sign-up was the first."""
OURS = (*get_args(Mark), "signed_up_at", SIGN_UP, "user_id")
"""The fields that no payload sets."""


def path(user_id: str) -> str:
    """Where a user's document is."""
    return USER.path(user_id)


def recipient(user_id: str, to: str | None = None) -> Recipient:
    """How a user is written to, at this address if it is given; one read tells."""
    known = marks.read(users=[user_id], addresses=[to] if to else [], others=[path(user_id)])
    (found,) = known.others
    # Who has signed up with the address of somebody else, who is erased, is written to there.
    asked = known.marks[:1] if to == found.data.get("email") else known.marks
    return Recipient(
        user_id=user_id,
        is_known=found.exists,
        address=found.data.get("email"),
        name=found.data.get("name"),
        zone=found.data.get("timezone"),
        is_unsubscribed=bool(found.data.get("unsubscribed")),
        is_erased=any(mark.exists for mark in asked),
    )


def read(user_id: str) -> Snapshot:
    """The document of a user."""
    return firestore.read(path(user_id))


def is_first_sign_up(user: Snapshot, event: Event) -> bool:
    """Whether no other sign-up of this user was processed before.

    The first is the one whose commit has set `signed_up_at`; it is still the first when it comes
    again, or goes on after a crash.
    """
    return "signed_up_at" not in user.data or user.data.get(SIGN_UP) == event.event_id


def lifted(event: Event) -> list[Write]:
    """The marks of an erasure that a sign-up lifts, if it was first published after it.

    Raises NothingToDoError for a user who was erased after that.
    """
    times = (event.occurred_at, event.origin.published_at)
    known = [time for time in times if time is not None]
    # It cannot have happened later than it was published, whatever it says.
    since = min(known) if known and event.replay_of is None else None
    return marks.lift(event.user_id, event.payload["email"], since)


def sign_up(user: Snapshot, event: Event, work: Work) -> Write:
    """The user's document; the rest of the payload is kept, and nothing else in it is touched.

    What the bundle itself keeps there is not the payload's to set. A sign-up that does not say
    whether the digest is wanted changes nothing of that; for a new user it is off.
    """
    kept = {name: value for name, value in event.payload.items() if name not in OURS}
    asked = kept.pop(OPT_IN, None)
    wanted = user.data.get(OPT_IN, False) if asked in (None, "") else asked
    fields = {**firestore.storable_fields(kept), "user_id": event.user_id, OPT_IN: wanted}
    if is_first_sign_up(user, event):
        fields |= {"signed_up_at": event.occurred_at or work.now, SIGN_UP: event.event_id}
    return user.write(fields)


def digest_zone(user_id: str) -> ZoneInfo | None:
    """The time zone (or the default one) of a user who wants the weekly digest; None: of nobody."""
    found = firestore.read(path(user_id)).data
    if not found.get(OPT_IN):
        return None
    return zone_of(str(found.get("timezone") or "")) or settings.current().default_timezone


def set_first(event: Event, work: Work, mark: Mark) -> list[Write]:
    """Set the mark; no writes: it is set already, so there is nothing to do.

    Raises NothingToDoError for a user who is erased.
    """
    known = marks.read(users=[event.user_id], others=[path(event.user_id)])
    (found,) = known.others
    if found.data.get(mark):
        return []
    return [*known.unless_erased(), found.write({"user_id": event.user_id, mark: work.now})]
