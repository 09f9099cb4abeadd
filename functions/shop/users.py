"""Users: what their sign-up said, and their firsts."""

from datetime import timedelta
from typing import Any, Literal, get_args

from common.cloud import firestore
from common.cloud.firestore import Merge, Snapshot
from common.errors import NotYetError
from common.idempotency import Outcome, Work
from common.scheduling import reminders
from common.triggers.events import Event

Mark = Literal["first_login_at", "first_feature_at"]


def path(user_id: str) -> str:
    """Where a user's document is."""
    return f"users/{firestore.document_id(user_id)}"


def signed_up(event: Event, work: Work) -> Merge:
    """The user's document; the rest of the payload is kept, and nothing else in it is touched.

    The marks of the firsts are not the payload's to set.
    """
    payload = {name: value for name, value in event.payload.items() if name not in get_args(Mark)}
    fields: dict[str, Any] = {
        **firestore.storable_fields(payload),
        "user_id": event.user_id,
        "digest_opt_in": event.payload.get("digest_opt_in") or False,
        "signed_up_at": event.occurred_at or work.now,
    }
    return Merge(path=path(event.user_id), fields=fields)


def require(user_id: str) -> Snapshot:
    """The user. Raises NotYetError while the sign-up has not been processed."""
    found = firestore.read(path(user_id))
    if not found.data.get("email"):  # a first login may have made the document
        raise NotYetError(f"the sign-up of user {user_id} has not been processed yet")
    return found


def wants_digest(user_id: str) -> bool:
    """Whether the user is there and still wants the weekly digest."""
    return bool(firestore.read(path(user_id)).data.get("digest_opt_in"))


def first(event: Event, work: Work, mark: Mark, day: int) -> Outcome:
    """Whoever sets the mark schedules the onboarding reminder of that day; others do nothing."""
    found = firestore.read(path(event.user_id))
    if found.data.get(mark):
        return Outcome(result="skipped")
    reminder = onboarding(event, work, day)
    fields = {"user_id": event.user_id, mark: work.now}
    return Outcome(result="scheduled", writes=[found.write(fields), reminder])


def later(event: Event, mark: Mark) -> Outcome | None:
    """All but the first have nothing to do, which one commit records; None: it may be the first."""
    found = firestore.read(path(event.user_id))
    return Outcome(result="skipped") if found.data.get(mark) else None


def onboarding(event: Event, work: Work, day: int) -> firestore.Write:
    """The onboarding reminder that is due so many days from now."""
    return reminders.schedule(
        work,
        f"onboarding_day_{day}",
        event.user_id,
        user_id=event.user_id,
        payload={},
        at=work.now + timedelta(days=day),
    )
