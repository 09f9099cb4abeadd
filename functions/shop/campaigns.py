"""The campaigns of the shop, each declared once."""

from common.idempotency import Outcome, Work
from common.messaging.messages import ensure_open
from common.messaging.steps import sending
from common.process.tables import table
from common.scheduling.campaigns import At, Audience, Campaign, Edition, coming, week
from functions.shop import messages, orders, users

MONDAY = 0


def _send_digest(user_id: str, edition: Edition, work: Work) -> Outcome:
    """The seven days up to the Monday of the edition, however late the digest is."""
    zone = users.digest_zone(user_id)
    if zone is None:
        return Outcome(result="skipped")
    told = orders.within(user_id, edition.days_before(7, zone))
    context = {"orders": told.orders, "spending": told.spending}
    send = sending(messages.WEEKLY_DIGEST, work, user_id, context)
    return Outcome(result=work.effect("message", send))


WEEKLY_DIGEST = Campaign(
    name="weekly_digest",
    audience=Audience(collection="users", where={"digest_opt_in": True}),
    day=coming(MONDAY),
    at=At(hour=8),
    period=week,
    queue="digests",
    send=_send_digest,
    needs=ensure_open,
)

CAMPAIGNS = table(WEEKLY_DIGEST)
