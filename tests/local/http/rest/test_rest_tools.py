"""What tools ask for besides: operations, locations, policies, snapshots, lists of every place."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.cli.client import Refused
from local.testing import LocalCloud, local_cloud

FUNCTION = """
import functions_framework


@functions_framework.cloud_event
def consumer(event):
    pass


@functions_framework.http
def hello(request):
    return "hello"
"""
POLICY = {"bindings": [{"role": "roles/pubsub.publisher", "members": ["user:ada@example.com"]}]}


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with local_cloud() as made:
        yield made


@pytest.fixture
def project(cloud: LocalCloud) -> Any:
    return f"projects/{cloud.project}"


@pytest.fixture
def topic(cloud: LocalCloud) -> Any:
    return cloud.topic("events")


@pytest.fixture
def subscription(
    cloud: LocalCloud, project: str, topic: str, request: pytest.FixtureRequest
) -> Any:
    name = f"{project}/subscriptions/{request.node.name}"
    cloud.request("PUT", f"/v1/{name}", {"topic": topic})
    return name


def test_the_operation_of_a_change_is_found_in_its_database(
    cloud: LocalCloud, project: str
) -> None:
    database = f"{project}/databases/(default)"
    field = f"{database}/collectionGroups/messages/fields/expire_at"
    done = cloud.request("PATCH", f"/v1/{field}", {"ttlConfig": {}}, updateMask="ttlConfig")
    assert done["name"].startswith(f"{database}/operations/")
    assert cloud.request("GET", f"/v1/{done['name']}") == done


def test_locations_with_jobs_are_listed(cloud: LocalCloud, project: str) -> None:
    cloud.job("digest", "0 8 * * 1", "http://127.0.0.1:9/")
    listed = cloud.request("GET", f"/v1/{project}/locations")["locations"]
    assert listed == [{"name": f"{project}/locations/local", "locationId": "local"}]


def test_a_policy_is_remembered_of_what_exists(
    cloud: LocalCloud, topic: str, subscription: str
) -> None:
    for name in (topic, subscription):
        fresh = {"etag": "ACAB", "version": 1}
        assert cloud.request("GET", f"/v1/{name}:getIamPolicy") == fresh
        cloud.request("POST", f"/v1/{name}:setIamPolicy", {"policy": POLICY})
        kept = cloud.request("GET", f"/v1/{name}:getIamPolicy")
        assert kept["bindings"] == POLICY["bindings"]
    asked = {"permissions": ["pubsub.topics.publish"]}
    assert cloud.request("POST", f"/v1/{topic}:testIamPermissions", asked) == asked


@pytest.mark.parametrize("name", ["topics/missing", "subscriptions/missing"])
def test_what_does_not_exist_has_no_policy(cloud: LocalCloud, project: str, name: str) -> None:
    with pytest.raises(Refused) as refused:
        cloud.request("GET", f"/v1/{project}/{name}:getIamPolicy")
    assert refused.value.code == 404


def test_a_subscription_seeks_past_what_it_holds(
    cloud: LocalCloud, topic: str, subscription: str
) -> None:
    message = {"data": base64.b64encode(b"{}").decode()}
    cloud.request("POST", f"/v1/{topic}:publish", {"messages": [message]})
    cloud.request("POST", f"/v1/{subscription}:seek", {"time": cloud.now().isoformat()})
    pulled = {"maxMessages": 1, "returnImmediately": True}
    assert cloud.request("POST", f"/v1/{subscription}:pull", pulled) == {}


def test_a_subscription_is_detached(cloud: LocalCloud, subscription: str) -> None:
    cloud.request("POST", f"/v1/{subscription}:detach")
    assert cloud.request("GET", f"/v1/{subscription}")["detached"] is True


def test_there_are_no_snapshots(cloud: LocalCloud, project: str, topic: str) -> None:
    assert cloud.request("GET", f"/v1/{project}/snapshots") == {}
    assert cloud.request("GET", f"/v1/{topic}/snapshots") == {}


def test_functions_and_triggers_of_every_location_are_listed(
    cloud: LocalCloud, project: str, topic: str, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(FUNCTION)
    cloud.deploy(tmp_path, "consumer", topic="events")
    cloud.deploy(tmp_path, "hello")
    anywhere = f"{project}/locations/-"
    functions = cloud.request("GET", f"/v2/{anywhere}/functions")["functions"]
    assert [f["name"].rpartition("/")[2] for f in functions] == ["consumer", "hello"]
    (trigger,) = cloud.request("GET", f"/v1/{anywhere}/triggers")["triggers"]
    assert trigger["transport"]["pubsub"]["topic"] == topic
    elsewhere = f"{project}/locations/nowhere"
    assert cloud.request("GET", f"/v2/{elsewhere}/functions") == {"functions": []}


def test_what_waits_in_a_subscription_is_a_time_series(
    cloud: LocalCloud, project: str, topic: str, subscription: str
) -> None:
    cloud.publish({"a": 1}, {"a": 2}, topic=topic)
    asked = {
        "filter": 'metric.type = "pubsub.googleapis.com/subscription/num_undelivered_messages"',
        "interval.startTime": "2026-11-27T08:00:00Z",
        "interval.endTime": "2026-11-27T08:15:00Z",
    }
    found = cloud.request("GET", f"/v3/{project}/timeSeries", **asked)["timeSeries"]
    ours = [it for it in found if it["resource"]["labels"]["subscription_id"] in subscription]
    assert [it["points"][0]["value"] for it in ours] == [{"int64Value": "2"}]


def test_a_time_series_without_its_time_is_refused(cloud: LocalCloud, project: str) -> None:
    with pytest.raises(Refused, match="interval"):
        cloud.request("GET", f"/v3/{project}/timeSeries", filter='metric.type="x"')
