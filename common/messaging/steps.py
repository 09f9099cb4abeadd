"""A message as the effect of a step: sent outside, recorded with the step's mark."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from common.cloud.firestore import Merge
from common.errors import NotYetError
from common.idempotency import Outcome, Work
from common.messaging import messages
from common.messaging.messages import Message

COLLECTION = "messages"
RETENTION = timedelta(days=90)


def sending(
    message: Message,
    work: Work,
    user_id: str,
    context: Mapping[str, Any],
    *,
    to: str | None = None,
) -> Callable[[str], Outcome]:
    """The effect of a step that sends this message to this user.

    A handler says `work.step("message", sending(CHECKUP_DUE, work, user_id, payload))`. `context`
    is what the template sees, beside the user's name; `to` is an address that wins over the user's
    own. The step's result is `sent`, or `skipped` for a user who gets no such message. Of a
    transactional one, the step raises NotYetError while no address of the user is known; any other
    is skipped then. It raises what `messages.send` raises.
    """

    def effect(key: str) -> Outcome:
        recipient = message.mailing.recipients(user_id)
        is_sent = messages.reason_to_skip(message, recipient, to) is None
        if is_sent and not (to or recipient.address):
            raise NotYetError(f"no address of user {user_id} is known yet")
        sent = messages.send(message, recipient, context, key=key, now=work.now, to=to)
        if sent.state != "sent":
            return Outcome(result="skipped")
        record = {**sent.document(), "expire_at": work.now + RETENTION}
        return Outcome(result="sent", writes=[Merge(path=f"{COLLECTION}/{key}", fields=record)])

    return effect
