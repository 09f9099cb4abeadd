"""What the organization does not let this project do, as far as whoever runs this may read it.

Asked before an environment's first resource; a policy that cannot be read is found out by Google.

    constraint ──▶ its effective policy ──▶ enforced, or does not allow one of ours ──▶ refused
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deployment.gcloud.calls import Failed
from deployment.kinds import accounts, functions
from deployment.plan.changes import Change
from deployment.plan.deployment import Deployment
from deployment.table.target import BUILDS

READ = ("resource-manager", "org-policies", "describe")
"""Needs no service but Resource Manager; the values are those of the project and all above it."""
PLAIN = "is:"
"""May stand before a value; any other word before a colon is a group of values."""
RUN_INGRESS = {
    "all": "all",
    "internal-only": "internal",
    "internal-and-gclb": "internal-and-cloud-load-balancing",
}
Policy = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """One that would stop a deployment; source: the list of organization policy constraints."""

    name: str
    what: str
    """What cannot be done."""
    values: Callable[[Deployment], set[str]] = lambda it: set()
    """What must be allowed, where the constraint is a list; else it must not be enforced."""


CONSTRAINTS = (
    Constraint(
        name="iam.disableServiceAccountCreation",
        what="each function runs as an account of its own, and none can be made",
    ),
    Constraint(
        name="cloudfunctions.restrictAllowedGenerations",
        what="functions are made as 2nd gen",
        values=lambda it: {"2ndGen"},
    ),
    Constraint(
        name="cloudfunctions.allowedIngressSettings",
        what="`ingress` of a function",
        values=lambda it: {_function_ingress(row) for row in _ingresses(it)},
    ),
    Constraint(
        name="run.allowedIngress",
        what="`ingress` of a function",
        values=lambda it: {RUN_INGRESS[row] for row in _ingresses(it)},
    ),
    Constraint(
        name="cloudscheduler.allowedTargetTypes",
        what="schedules call functions by HTTP",
        values=lambda it: {"HTTP"} if it.target.bundle.schedules else set(),
    ),
    Constraint(
        name="gcp.resourceLocations",
        what="everything is made in the region",
        values=lambda it: {it.target.region},
    ),
)


def plan(it: Deployment) -> list[Change]:
    """Changes nothing; refuses what a policy that can be read would refuse."""
    if accounts.notes(it, BUILDS) or it.target.environment.is_local:
        return []
    policies = it.world.each(lambda each: _policy(it, each.name), CONSTRAINTS)
    for constraint, policy in zip(CONSTRAINTS, policies, strict=True):
        wanted = constraint.values(it)
        if reason := _reason(policy, wanted):
            it.refuse(
                f"the organization's policy {constraint.name} {reason} in project "
                f"{it.target.project}, but {constraint.what}: ask whoever keeps the policies for "
                f"an exception, or deploy into another project"
            )
    return []


def _policy(it: Deployment, name: str) -> Policy:
    """The policy in effect; empty where it cannot be read."""
    try:
        return it.world.one(*READ, name, "--effective") or {}
    except Failed:
        return {}


def _reason(policy: Policy, wanted: set[str]) -> str:
    """Why the policy is in the way; empty: it is not, or that cannot be told."""
    if policy.get("booleanPolicy", {}).get("enforced"):
        return "is enforced"
    rules = policy.get("listPolicy", {})
    if rules.get("allValues") == "DENY":
        refused = wanted
    else:
        allowed, denied = (_values(rules, key) for key in ("allowedValues", "deniedValues"))
        has_groups = any(":" in value for value in allowed)
        refused = (wanted - allowed if allowed and not has_groups else set()) | (wanted & denied)
    return f"does not allow {', '.join(sorted(refused))}" if refused else ""


def _values(rules: Policy, key: str) -> set[str]:
    return {str(value).removeprefix(PLAIN) for value in rules.get(key, [])}


def _ingresses(it: Deployment) -> set[str]:
    return {row.ingress for row in it.target.bundle.functions.values()}


def _function_ingress(word: str) -> str:
    return next(name for name, flag in functions.INGRESS.items() if flag == word)
