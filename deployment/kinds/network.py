"""The private network that functions reach, through a connector that somebody else has made.

The environment names it, so all functions have it. Without it they reach what has an address in the
internet, and Google's services.
"""

from collections.abc import Mapping
from typing import Any

from deployment.plan.deployment import Deployment
from deployment.table.environments import EGRESS

EGRESSES = {"PRIVATE_RANGES_ONLY": "private-ranges-only", "ALL_TRAFFIC": "all"}


def wanted(it: Deployment) -> dict[str, str]:
    """By the flags of gcloud; the connector is empty where there shall be none."""
    row = it.target.environment
    egress = {"egress-settings": row.egress or EGRESS[0]} if row.connector else {}
    return {"vpc-connector": row.connector, **egress}


def found(service: Mapping[str, Any]) -> dict[str, str]:
    """The same, of a function's `serviceConfig`."""
    egress = str(service.get("vpcConnectorEgressSettings", ""))
    return {
        "vpc-connector": str(service.get("vpcConnector", "")),
        "egress-settings": EGRESSES.get(egress, egress),
    }


def flags(it: Deployment, service: Mapping[str, Any]) -> list[str]:
    """What a deployment says of it; `service` is what is there. gcloud keeps what is not said."""
    if it.target.environment.connector:
        return [f"--{key}={value}" for key, value in wanted(it).items()]
    return ["--clear-vpc-connector"] if found(service)["vpc-connector"] else []
