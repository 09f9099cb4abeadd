"""A message as a step's effect: sent outside, recorded with the step's mark."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.errors import NotYetError
from common.idempotency import Outcome, Work
from common.messaging import messages

COLLECTION = "messages"
RETENTION = timedelta(days=90)


def notify(
    work: Work,
    key: str,
    template: str,
    user_id: str,
    payload: Mapping[str, Any],
    context: Mapping[str, Any] | None = None,
) -> Outcome:
    """Send a message and return its record, as a step's effect; `key` is the step's.

    The result is `sent`, or `skipped` for a user who has opted out. Raises NotYetError while the
    user's address is not known, and what the delivery raises.
    """
    user = firestore.read(f"users/{firestore.document_id(user_id)}").data
    if not (payload.get("email") or user.get("email") or user.get("unsubscribed")):
        raise NotYetError(f"no address of user {user_id} is known yet")
    sent = messages.send(
        template=template,
        user=user,
        user_id=user_id,
        payload=payload,
        context=context or {},
        key=key,
        now=work.now,
    )
    if sent.state != "sent":
        return Outcome(result="skipped")
    record = {**sent.document(), "expire_at": work.now + RETENTION}
    return Outcome(result="sent", writes=[Merge(path=f"{COLLECTION}/{key}", fields=record)])
