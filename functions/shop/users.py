"""Users: what their sign-up said, their firsts, and how they are written to."""

from typing import Any, Literal, get_args

from common.cloud import firestore
from common.cloud.firestore import Create, Merge, Snapshot, Write
from common.errors import NotYetError
from common.idempotency import Outcome, Work
from common.messaging.recipients import Recipient
from common.triggers.events import Event

Mark = Literal["first_login_at", "first_feature_at"]
"""The field of a user's document that says when something happened for the first time."""
OPT_IN = "digest_opt_in"


def path(user_id: str) -> str:
    """Where a user's document is."""
    return f"users/{firestore.document_id(user_id)}"


def recipient(user_id: str) -> Recipient:
    """How a user is written to."""
    found = firestore.read(path(user_id))
    return Recipient(
        user_id=user_id,
        is_known=found.exists,
        address=found.data.get("email"),
        name=found.data.get("name"),
        zone=found.data.get("timezone"),
        is_unsubscribed=bool(found.data.get("unsubscribed")),
    )


def signed_up(event: Event, work: Work) -> list[Write]:
    """The user's document; the rest of the payload is kept, and nothing else in it is touched.

    The marks of the firsts are not the payload's to set. A sign-up that does not say whether the
    digest is wanted changes nothing of that; for a new user it is off.
    """
    kept = {name: value for name, value in event.payload.items() if name not in get_args(Mark)}
    asked = kept.pop(OPT_IN, None)
    fields: dict[str, Any] = {
        **firestore.storable_fields(kept),
        "user_id": event.user_id,
        "signed_up_at": event.occurred_at or work.now,
    }
    if asked not in (None, ""):
        return [Merge(path=path(event.user_id), fields={**fields, OPT_IN: asked})]
    found = firestore.read(path(event.user_id))
    if not found.exists:
        return [Create(path=found.path, fields={**fields, OPT_IN: False})]
    default = [] if OPT_IN in found.data else [found.write({OPT_IN: False})]
    return [*default, Merge(path=found.path, fields=fields)]


def require(user_id: str) -> Snapshot:
    """The user. Raises NotYetError while the sign-up has not been processed."""
    found = firestore.read(path(user_id))
    if not found.data.get("email"):  # a first login may have made the document
        raise NotYetError(f"the sign-up of user {user_id} has not been processed yet")
    return found


def wants_digest(user_id: str) -> bool:
    """Whether the user is there and still wants the weekly digest."""
    return bool(firestore.read(path(user_id)).data.get(OPT_IN))


def set_first(event: Event, work: Work, mark: Mark) -> Write | None:
    """Set the mark; None: it is set already, so there is nothing to do."""
    found = firestore.read(path(event.user_id))
    if found.data.get(mark):
        return None
    return found.write({"user_id": event.user_id, mark: work.now})


def skip_if_set(event: Event, mark: Mark) -> Outcome | None:
    """The fast path: the mark is set, so the event is `skipped`; None: the handler runs."""
    found = firestore.read(path(event.user_id))
    return Outcome(result="skipped") if found.data.get(mark) else None
