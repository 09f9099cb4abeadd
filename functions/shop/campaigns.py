"""The campaigns of the shop, each declared once."""

from common.idempotency import Outcome, Work
from common.messaging.steps import sending
from common.process.tables import table
from common.scheduling import campaigns
from common.scheduling.campaigns import Audience, Campaign
from functions.shop import messages, orders, users


def _send_digest(user_id: str, work: Work) -> Outcome:
    """The user's week as it is now, not as it was when the task was made."""
    if not users.wants_digest(user_id):
        return Outcome(result="skipped")
    week = orders.week(user_id, until=work.now)
    context = {"orders": week.orders, "spending": week.spending}
    send = sending(messages.WEEKLY_DIGEST, work, user_id, context)
    return Outcome(result=work.last_step("message", send))


WEEKLY_DIGEST = Campaign(
    name="weekly_digest",
    audience=Audience(collection="users", where={"digest_opt_in": True}),
    period=campaigns.week,
    queue="digests",
    send=_send_digest,
)

CAMPAIGNS = table(WEEKLY_DIGEST)
