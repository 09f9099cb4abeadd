"""gcloud itself: whether it is new enough."""

import re

from deployment.gcloud.calls import Failed
from deployment.plan.changes import Change
from deployment.plan.deployment import Deployment

OLDEST = 528
"""The oldest gcloud that this was tried with."""


def plan(it: Deployment) -> list[Change]:
    """Changes nothing; refuses a gcloud that is too old."""
    found = version(it)
    number = re.match(r"\d+", found)
    if number and int(number[0]) < OLDEST:
        it.refuse(f"gcloud is {found}, older than {OLDEST}: gcloud components update")
    return []


def version(it: Deployment) -> str:
    """Like `528.0.0`; empty for a gcloud that does not say."""
    try:
        return str((it.world.one("version") or {}).get("Google Cloud SDK", ""))
    except Failed as failed:
        if failed.failure.has_no_command:
            return ""
        raise
