"""The CPU quota of the region, as Google has it: asked before an environment's first resource."""

from deployment.gcloud.calls import Failed
from deployment.kinds import accounts
from deployment.plan.changes import Change
from deployment.plan.deployment import Deployment
from deployment.table import checks
from deployment.table.target import BUILDS

QUOTA = "CpuAllocPerProjectRegion"
"""In thousandths of a vCPU, by region."""
READ = ("beta", "quotas", "info", "describe", QUOTA, "--service=run.googleapis.com")


def plan(it: Deployment) -> list[Change]:
    """Changes nothing; refuses a table that asks for more than four fifths of the quota.

    Where gcloud does not say how much it is, the table's `cpu_quota` alone counts.
    """
    if accounts.notes(it, BUILDS) or it.target.environment.is_local:
        return []
    given, asked = _given(it), checks.asked(it.target)
    if given is not None and asked > given * checks.SHARE:
        it.refuse(
            f"region {it.target.region} gives this project {given:g} vCPU, and the environments in "
            f"it ask for {asked}, more than 80 %: ask Google for a larger quota of {QUOTA}, or for "
            f"fewer instances in functions/bundle.toml"
        )
    return []


def _given(it: Deployment) -> float | None:
    """vCPU; None: gcloud has no command for it, whoever runs this may not ask, or the like.

    An advice that cannot be had stops nothing.
    """
    try:
        found = it.world.one(*READ) or {}
    except Failed:
        return None
    values = [
        float(info["details"]["value"]) / 1000
        for info in found.get("dimensionsInfos", [])
        if it.target.region in info.get("applicableLocations", ())
        and "value" in info.get("details", {})
    ]
    return min(values, default=None)
