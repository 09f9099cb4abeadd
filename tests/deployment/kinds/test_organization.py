"""Organization policies that would stop a deployment are told before the first change."""

from typing import Any

import pytest

from deployment.errors import RefusedError
from deployment.kinds.organization import CONSTRAINTS
from tests.deployment.conftest import Shell

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "no accounts": (
        "iam.disableServiceAccountCreation",
        {"booleanPolicy": {"enforced": True}},
        "iam.disableServiceAccountCreation is enforced in project my-project, but each function",
    ),
    "another ingress": (
        "cloudfunctions.allowedIngressSettings",
        {"listPolicy": {"allowedValues": ["ALLOW_INTERNAL_AND_GCLB"]}},
        "cloudfunctions.allowedIngressSettings does not allow ALLOW_INTERNAL_ONLY in project",
    ),
    "another ingress of Cloud Run": (
        "run.allowedIngress",
        {"listPolicy": {"allowedValues": ["is:internal-and-cloud-load-balancing"]}},
        "run.allowedIngress does not allow internal in project",
    ),
    "another region": (
        "gcp.resourceLocations",
        {"listPolicy": {"allowedValues": ["us-east1"]}},
        "gcp.resourceLocations does not allow europe-west1",
    ),
    "1st gen alone": (
        "cloudfunctions.restrictAllowedGenerations",
        {"listPolicy": {"deniedValues": ["2ndGen"]}},
        "restrictAllowedGenerations does not allow 2ndGen",
    ),
    "no schedules": (
        "cloudscheduler.allowedTargetTypes",
        {"listPolicy": {"allValues": "DENY"}},
        "cloudscheduler.allowedTargetTypes does not allow HTTP",
    ),
}
ALLOWED: dict[str, tuple[str, dict[str, Any]]] = {
    "a group of regions": (
        "gcp.resourceLocations",
        {"listPolicy": {"allowedValues": ["in:europe-locations"]}},
    ),
    "this region": ("gcp.resourceLocations", {"listPolicy": {"allowedValues": ["europe-west1"]}}),
    "not enforced": ("iam.disableServiceAccountCreation", {"booleanPolicy": {}}),
    "everything": ("run.allowedIngress", {"listPolicy": {"allValues": "ALLOW"}}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_policy_that_is_in_the_way_is_told_before_the_first_change(
    shell: Shell, what: str
) -> None:
    name, policy, text = REFUSED[what]
    shell.project.services.add("cloudresourcemanager")
    shell.project.org_policies[name] = policy
    with pytest.raises(RefusedError, match=text):
        shell.apply()
    assert shell.project.changes == []


@pytest.mark.parametrize("what", ALLOWED)
def test_a_policy_that_lets_us_is_no_refusal(shell: Shell, what: str) -> None:
    name, policy = ALLOWED[what]
    shell.project.org_policies[name] = policy
    assert shell.plan().refusals == []


def test_a_policy_that_may_not_be_read_stops_nothing(shell: Shell) -> None:
    shell.project.refuse = lambda words: (
        "ERROR: (gcloud.resource-manager.org-policies.describe) PERMISSION_DENIED: you may not"
        if "org-policies" in words
        else None
    )
    shell.apply()
    assert shell.lines() == []


def test_what_is_deployed_does_not_ask_again(deployed: Shell) -> None:
    deployed.plan()
    assert not [words for words in deployed.project.calls if "org-policies" in words]


def test_each_constraint_is_tried() -> None:
    assert {name for name, _, _ in REFUSED.values()} == {each.name for each in CONSTRAINTS}
