"""A message as the effect of a step: sent outside, recorded with the step's mark.

                       the answer is lost
    composed ──sent──▶ ──────────────────▶ kept ──sent again, unchanged──▶ recorded, forgotten
                │                           │
                └─ a yes ─▶ recorded        └─ the provider knows the key ─▶ recorded, forgotten

Before each try the reader is looked up again: who has left meanwhile is skipped.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from common.cloud.firestore import Merge, Write
from common.errors import KeyKnownError, NotYetError, UnavailableError, UnknownOutcomeError
from common.idempotency import Outcome, Work
from common.messaging import kept, messages, transports
from common.messaging.kept import Kept
from common.messaging.messages import Message, Sent
from common.messaging.recipients import Recipient
from common.messaging.transports import Outgoing
from common.process import settings

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
    is skipped then. It raises what `messages.send` raises; and where the handler says `hold`,
    UnknownOutcomeError for what may have been sent, once the provider has forgotten its key.
    """

    def effect(key: str) -> Outcome:
        earlier = kept.read(key) if work.attempt > 1 else None
        recipient = message.mailing.recipients(user_id, to)
        if messages.reason_to_skip(message, recipient, to) is not None:
            messages.send(message, recipient, context, key=key, now=work.now, to=to)
            return Outcome(result="skipped", writes=_forgotten(key, earlier))
        outgoing = earlier.message if earlier else None
        if outgoing is None:
            outgoing = _composed(message, recipient, context, key, work, to)
        sent = _sent(outgoing, work, earlier)
        record = {**sent.document(), "cause": work.key, "expire_at": work.now + RETENTION}
        return Outcome(
            result="sent",
            writes=[Merge(path=f"{COLLECTION}/{key}", fields=record), *_forgotten(key, earlier)],
            is_repeatable=sent.transport != "smtp",
        )

    return effect


def _composed(
    message: Message,
    recipient: Recipient,
    context: Mapping[str, Any],
    key: str,
    work: Work,
    to: str | None,
) -> Outgoing:
    if not (to or recipient.address):
        raise NotYetError(f"no address of user {recipient.user_id} is known yet")
    return messages.compose(message, recipient, context, key=key, now=work.now, to=to)


def _sent(outgoing: Outgoing, work: Work, earlier: Kept | None) -> Sent:
    first = earlier.since if earlier else work.now
    is_known = work.now - first < transports.key_memory(settings.current())
    if earlier and work.is_held and not is_known:
        raise UnknownOutcomeError("the provider has forgotten the key of what may have been sent")
    try:
        return messages.deliver(outgoing)
    except KeyKnownError:
        if work.attempt == 1:
            raise  # not ours: nothing of this work was sent before
        return messages.accepted(outgoing)
    except UnavailableError as error:
        if error.outcome_unknown:
            error.is_repeatable = is_known
            kept.keep(outgoing, work.now)
        raise


def _forgotten(key: str, earlier: Kept | None) -> tuple[Write, ...]:
    return (kept.forget(key),) if earlier else ()
