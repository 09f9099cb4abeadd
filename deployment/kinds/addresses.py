"""Where a function is: the address Cloud Run answers, and the one that it promises beforehand.

    answered   https://NAME-HASH-ew.a.run.app            known when the function is there
    learned    the same, from another service of the project and region: the hash is theirs too
    promised   https://NAME-NUMBER.REGION.run.app        known always; it leads there as well

A function is told its own address, and those of the functions whose tasks it makes. Whichever it
was told stays, so that it is not built a second time.
"""

import re

from deployment.gcloud.world import Json
from deployment.plan.deployment import Deployment
from deployment.table.target import variable

HASHED = re.compile(r"-[a-z0-9]+-[a-z]{2}\.a\.run\.app")


def variables(function: Json) -> dict[str, str]:
    """The environment variables of a function that is deployed."""
    found: dict[str, str] = function.get("serviceConfig", {}).get("environmentVariables") or {}
    return found


def answered(it: Deployment, row: str) -> str:
    """The address of a function that is there; else empty."""
    found = it.world.functions.get(it.target.name(row), {})
    return str(found.get("serviceConfig", {}).get("uri", ""))


def promised(it: Deployment, row: str) -> str:
    """The address that a function will have."""
    return f"https://{_service(it, row)}-{it.world.number}.{it.target.region}.run.app"


def learned(it: Deployment, row: str) -> str:
    """The address as the project's other services have theirs; empty while there are none."""
    for name, service in it.world.run_services.items():
        url = str(service.get("status", {}).get("url", ""))
        rest = url.removeprefix(f"https://{name}")
        if HASHED.fullmatch(rest):
            return f"https://{_service(it, row)}{rest}"
    return ""


def of(it: Deployment, row: str) -> str:
    """The address that this bundle uses for a function, and the audience of its tokens."""
    there = answered(it, row)
    told = variables(it.world.functions.get(it.target.name(row), {})).get(variable(row, "URL"), "")
    if there and told in (there, promised(it, row)):
        return told if not it.target.environment.is_local else there
    return there or learned(it, row) or promised(it, row)


def _service(it: Deployment, row: str) -> str:
    return it.target.name(row).replace("_", "-")
