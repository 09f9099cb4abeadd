"""Campaigns: one tick becomes one task per user, and one message per user and period.

    tick ──▶ run ──┬─▶ shard ──▶ page ──▶ one task for each user ──▶ reminder: sends
                   ├─▶ shard ──▶ …                     (a hundred tasks a call)
                   └─▶ tally: how many have got it by now

A run is a campaign and the scheduled time of its tick. A shard is a part of the audience, by ids.
Each keeps what it has done in a document of its own, so a killed one goes on where it was. The
message is claimed by campaign, period and user: whatever fires, a user gets one in a period.
"""

from common.scheduling.campaigns.campaign import Audience, Campaign, Edition
from common.scheduling.campaigns.periods import At, Window, coming, month, today, week
from common.scheduling.campaigns.runs import cancel, live
from common.scheduling.campaigns.sending import send_to_user
from common.scheduling.campaigns.ticking import start

__all__ = [
    "At",
    "Audience",
    "Campaign",
    "Edition",
    "Window",
    "cancel",
    "coming",
    "live",
    "month",
    "send_to_user",
    "start",
    "today",
    "week",
]
