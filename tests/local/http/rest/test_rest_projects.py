"""Projects, services, accounts, secrets and Cloud Run over REST, as the platform's clients ask."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.cli.client import Refused
from local.testing import LocalCloud, local_cloud

VALUE = base64.b64encode(b"hidden").decode()
MAIN = """
import functions_framework

@functions_framework.http
def hello(request):
    return "hello"
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with local_cloud() as made:
        yield made


@pytest.fixture
def project(cloud: LocalCloud) -> str:
    return f"/v1/projects/{cloud.project}"


def test_a_service_is_off_until_it_is_enabled(cloud: LocalCloud, project: str) -> None:
    name = f"{project}/services/run.googleapis.com"
    assert cloud.request("GET", name)["state"] == "DISABLED"
    assert cloud.request("POST", f"{name}:enable", {})["done"] is True
    assert cloud.request("GET", name)["state"] == "ENABLED"


def test_some_services_are_on_from_the_start(cloud: LocalCloud, project: str) -> None:
    assert cloud.request("GET", f"{project}/services/logging.googleapis.com")["state"] == "ENABLED"


def test_one_unknown_service_and_none_is_enabled(cloud: LocalCloud, project: str) -> None:
    both = {"serviceIds": ["eventarc.googleapis.com", "frob.googleapis.com"]}
    with pytest.raises(Refused, match=r"service\(s\): frob\.googleapis\.com") as refused:
        cloud.request("POST", f"{project}/services:batchEnable", both)
    assert refused.value.code == 403
    assert (
        cloud.request("GET", f"{project}/services/eventarc.googleapis.com")["state"] == "DISABLED"
    )


def test_an_account_is_found_without_its_project(cloud: LocalCloud, project: str) -> None:
    body = {"accountId": "worker", "serviceAccount": {"displayName": "W"}}
    made = cloud.request("POST", f"{project}/serviceAccounts", body)
    found = cloud.request("GET", f"/v1/projects/-/serviceAccounts/{made['email']}")
    assert found == made
    assert cloud.request("GET", f"{project}/serviceAccounts")["accounts"] == [made]


@pytest.mark.parametrize(
    ("field", "text"), [("displayName", "x" * 101), ("description", "x" * 257)]
)
def test_what_is_said_of_an_account_is_short(
    cloud: LocalCloud, project: str, field: str, text: str
) -> None:
    body = {"accountId": "talkative", "serviceAccount": {field: text}}
    with pytest.raises(Refused, match=f"{field} of a service account"):
        cloud.request("POST", f"{project}/serviceAccounts", body)


def test_only_what_can_be_said_of_an_account_is_changed(cloud: LocalCloud, project: str) -> None:
    made = cloud.request("POST", f"{project}/serviceAccounts", {"accountId": "changed"})
    change = {"serviceAccount": {"email": "x"}, "updateMask": "email"}
    with pytest.raises(Refused, match="can be updated"):
        cloud.request("PATCH", f"/v1/{made['name']}", change)


def test_a_secret_is_given_away_by_access_alone(cloud: LocalCloud, project: str) -> None:
    body: dict[str, Any] = {"replication": {"automatic": {}}}
    made = cloud.request("POST", f"{project}/secrets", body, secretId="key")
    added = cloud.request("POST", f"{project}/secrets/key:addVersion", {"payload": {"data": VALUE}})
    assert added["name"] == f"{made['name']}/versions/1"
    assert VALUE not in str([made, added, cloud.request("GET", f"{project}/secrets/key/versions")])
    answer = cloud.request("GET", f"{project}/secrets/key/versions/latest:access")
    assert answer["payload"]["data"] == VALUE


def test_a_value_that_did_not_arrive_as_sent_is_refused(cloud: LocalCloud, project: str) -> None:
    path = f"{project}/secrets/key:addVersion"
    with pytest.raises(Refused, match="checksum"):
        cloud.request("POST", path, {"payload": {"data": VALUE, "dataCrc32c": "1"}})


@pytest.mark.parametrize("payload", [{}, {"data": ""}, {"data": "no base64"}])
def test_a_version_needs_a_value(cloud: LocalCloud, project: str, payload: dict[str, str]) -> None:
    with pytest.raises(Refused, match=r"Payload|not found"):
        cloud.request("POST", f"{project}/secrets/key:addVersion", {"payload": payload})


def test_a_service_of_cloud_run_is_found_in_its_namespace(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    url = cloud.deploy(tmp_path, "hello")
    path = f"/apis/serving.knative.dev/v1/namespaces/{cloud.project}/services"
    (listed,) = cloud.request("GET", path)["items"]
    assert listed == cloud.request("GET", f"{path}/hello")
    assert (listed["metadata"]["name"], listed["status"]["url"]) == ("hello", url)
    with pytest.raises(Refused, match="'nothing' of kind 'SERVICE' does not exist"):
        cloud.request("GET", f"{path}/nothing")


def test_a_function_shows_when_it_was_made_and_changed(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    cloud.deploy(tmp_path, "hello", entry_point="hello")
    name = f"/v2/projects/{cloud.project}/locations/{cloud.region}/functions/hello"
    before = cloud.request("GET", name)
    cloud.request("PATCH", name, {"labels": {"a": "b"}}, updateMask="labels")
    after = cloud.request("GET", name)
    assert after["createTime"] == before["createTime"] <= before["updateTime"] < after["updateTime"]
