"""Whether the services exist in the region: asked once, before an environment's first resource."""

from deployment.gcloud.world import by_id
from deployment.kinds import accounts
from deployment.plan.changes import Change
from deployment.plan.deployment import Deployment
from deployment.table.target import BUILDS

LISTS = {
    "Cloud Run functions": ("functions", "regions", "list", "--gen2"),
    "Cloud Tasks": ("tasks", "locations", "list"),
    "Cloud Scheduler": ("scheduler", "locations", "list"),
}


def plan(it: Deployment) -> list[Change]:
    """Changes nothing; refuses a region that lacks a service."""
    if accounts.notes(it, BUILDS) or it.target.environment.is_local:
        return []
    found = it.world.each(lambda words: it.world.listed(*words), LISTS.values())
    for service, there in zip(LISTS, found, strict=True):
        if there and it.target.region not in by_id(there):
            it.refuse(f"region {it.target.region} has no {service}: choose another one")
    return []
