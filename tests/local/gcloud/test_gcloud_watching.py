"""Metrics, alert policies and notification channels; and where images go."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from local.testing import LocalCloud
from tests.local.gcloud.gcloud_command import Gcloud

Act = Callable[..., Any]
HERE = "--location=europe-west1"
MATCH = {"displayName": "logged", "conditionMatchedLog": {"filter": 'jsonPayload.action="x"'}}
LIMIT = {"notificationRateLimit": {"period": "3600s"}}
POLICY = {
    "displayName": "shop: dead letter",
    "combiner": "OR",
    "userLabels": {"app": "shop"},
    "conditions": [MATCH],
    "alertStrategy": LIMIT,
}


@pytest.fixture
def policies(gcloud: Gcloud, tmp_path: Path) -> Act:
    """Runs `gcloud monitoring policies VERB` with a policy in a file."""

    def run(verb: str, policy: dict[str, Any], *words: str, fails: bool = False) -> Any:
        (tmp_path / "policy.json").write_text(json.dumps(policy))
        file = f"--policy-from-file={tmp_path / 'policy.json'}"
        act = gcloud.fail if fails else gcloud.read
        return act("alpha", "monitoring", "policies", verb, *words, file)

    return run


def test_a_policy_is_made_listed_replaced_and_deleted(gcloud: Gcloud, policies: Act) -> None:
    made = policies("create", POLICY)
    assert {key: made[key] for key in ("displayName", "userLabels")} == {
        "displayName": "shop: dead letter",
        "userLabels": {"app": "shop"},
    }
    changed = policies("update", {**POLICY, "displayName": "other"}, made["name"])
    assert (changed["name"], changed["displayName"]) == (made["name"], "other")
    (listed,) = gcloud.read("monitoring", "policies", "list")
    assert listed == changed
    gcloud.run("monitoring", "policies", "delete", made["name"])
    assert gcloud.read("monitoring", "policies", "list") == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"alertStrategy": {}}, "notification_rate_limit must be set"),
        ({"conditions": [MATCH, MATCH]}, "must be the only one of its alert policy"),
        ({"conditions": []}, "alert_policy.conditions"),
        ({"combiner": "XOR"}, "alert_policy.combiner"),
        ({"displayName": ""}, "alert_policy.display_name"),
        ({"userLabels": {"App": "x"}}, "Label key 'App' is not valid"),
        ({"notificationChannels": ["projects/p/notificationChannels/1"]}, "does not exist"),
    ],
)
def test_a_policy_that_could_not_work_is_refused(
    policies: Act, change: dict[str, Any], text: str
) -> None:
    assert text in policies("create", {**POLICY, **change}, fails=True)


def test_a_threshold_compares_in_two_ways(policies: Act) -> None:
    threshold = {"filter": 'metric.type="m"', "comparison": "COMPARISON_GE"}
    condition = {"displayName": "late", "conditionThreshold": threshold}
    shown = policies(
        "create", {**POLICY, "conditions": [condition], "alertStrategy": {}}, fails=True
    )
    assert "COMPARISON_GT" in shown


def test_a_channel_is_made_and_found_by_its_label(gcloud: Gcloud) -> None:
    words = ("beta", "monitoring", "channels")
    address = "--channel-labels=email_address=a@example.com"
    made = gcloud.read(*words, "create", "--type=email", address, "--user-labels=app=shop")
    assert made["labels"] == {"email_address": "a@example.com"}
    found = gcloud.read(*words, "list", '--filter=user_labels.app="shop"')
    assert [channel["name"] for channel in found] == [made["name"]]
    assert gcloud.read(*words, "list", '--filter=user_labels.app="other"') == []
    assert "no notification channel type 'frob'" in gcloud.fail(*words, "create", "--type=frob")


def test_a_metric_is_made_changed_and_deleted(gcloud: Gcloud) -> None:
    words = ("logging", "metrics")
    gcloud.run(*words, "create", "m", "--description=mine", "--log-filter=severity>=ERROR")
    assert "is the subject of a conflict: Metric m already exists" in gcloud.fail(
        *words, "create", "m", "--description=mine", "--log-filter=x", code=1
    )
    gcloud.run(*words, "update", "m", "--description=yours")
    (metric,) = gcloud.read(*words, "list")
    assert (metric["description"], metric["filter"]) == ("yours", "severity>=ERROR")
    gcloud.run(*words, "delete", "m")
    assert "NOT_FOUND: Metric" in gcloud.fail(*words, "describe", "m", code=1)


def test_a_repository_is_made_listed_and_deleted(gcloud: Gcloud) -> None:
    words = ("artifacts", "repositories")
    flags = ("--repository-format=docker", "--description=shop", "--labels=app=shop")
    gcloud.run(*words, "create", "images", HERE, *flags)
    (listed,) = gcloud.read(*words, "list", HERE)
    assert (listed["format"], listed["labels"]) == ("DOCKER", {"app": "shop"})
    assert "ALREADY_EXISTS: the repository already exists" in gcloud.fail(
        *words, "create", "images", HERE, *flags, code=1
    )
    gcloud.run(*words, "delete", "images", HERE)
    assert "NOT_FOUND: Repository" in gcloud.fail(*words, "describe", "images", HERE, code=1)


PRINTS = """
import functions_framework

@functions_framework.http
def prints(request):
    print('{"severity": "ERROR", "action": "failed", "id": "%s"}' % request.args["id"], flush=True)
    return "ok"
"""


def test_what_a_function_printed_is_read_by_a_filter(
    cloud: LocalCloud, gcloud: Gcloud, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(PRINTS)
    url = cloud.deploy(tmp_path, "prints")
    for id_ in ("a", "b"):
        requests.get(url, params={"id": id_}, timeout=60)
    mine = 'resource.labels.service_name="prints" AND severity>=ERROR'
    newest, oldest = poll(lambda: gcloud.read("logging", "read", mine, "--freshness=10m"), 2)
    assert (newest["jsonPayload"]["id"], oldest["jsonPayload"]["id"]) == ("b", "a")
    [one] = gcloud.read("logging", "read", f'{mine} AND jsonPayload.id="a"', "--limit=1")
    assert one["resource"]["type"] == "cloud_run_revision"
    assert gcloud.read("logging", "read", f"{mine} AND severity>ERROR") == []


def test_a_filter_that_cannot_be_read_is_refused(gcloud: Gcloud) -> None:
    assert "INVALID_ARGUMENT: Unparseable filter" in gcloud.fail("logging", "read", "severity>=")


def poll(read: Callable[[], list[Any]], count: int) -> list[Any]:
    """What is read once there are so many."""
    deadline = time.monotonic() + 20
    while len(found := read()) < count:
        assert time.monotonic() < deadline, f"only {found}"
    return found
