"""Turns one tick into one task per user.

Trigger: Cloud Scheduler, HTTP with an OIDC token; and tasks of its own that go on with a run.
Does: one task for each user of the campaign's audience, by shards; `reminder` handles them.
Repeats: none has an effect; a run is the campaign and the tick's time, a message one per period.
Gives up: an unknown campaign at once, others after MAX_ATTEMPTS; both are in `dead_letters`.
"""

from flask import Request

from common.idempotency import Answer, Call
from common.scheduling import calls
from common.triggers import entry, http
from common.triggers.http import Reply
from functions.shop.campaigns import CAMPAIGNS


@entry.http
def fanout(request: Request) -> Reply:
    """Handle one tick, shard or tally."""
    return http.serve(request, "fanout", start)


def start(call: Call) -> Answer:
    """Enqueue the tasks of a campaign, or those of the sweep of reminders."""
    return calls.tick(call, CAMPAIGNS)
