"""The REST side: Google's paths and shapes, answered by the same services as gRPC."""

import base64
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests

from local.cli.client import Refused
from local.testing import LocalCloud, local_cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with local_cloud() as made:
        yield made


@pytest.fixture
def location(cloud: LocalCloud) -> Any:
    return f"projects/{cloud.project}/locations/europe-west1"


@pytest.fixture
def project(cloud: LocalCloud) -> Any:
    return f"projects/{cloud.project}"


def get(cloud: LocalCloud, path: Any) -> Any:
    with urllib.request.urlopen(cloud.url + path) as response:
        return response.read().decode()


def test_a_queue_is_created_changed_paused_and_resumed(cloud: LocalCloud, location: str) -> None:
    name = f"{location}/queues/changing"
    limits = {"rateLimits": {"maxConcurrentDispatches": 7}}
    cloud.request("POST", f"/v2/{location}/queues", {"name": name, **limits})
    assert cloud.request("GET", f"/v2/{name}")["rateLimits"]["maxConcurrentDispatches"] == 7
    change = {"rateLimits": {"maxDispatchesPerSecond": 5}}
    mask = "rateLimits.maxDispatchesPerSecond"
    changed = cloud.request("PATCH", f"/v2/{name}", change, updateMask=mask)
    assert changed["rateLimits"]["maxDispatchesPerSecond"] == 5
    assert changed["rateLimits"]["maxConcurrentDispatches"] == 7
    assert cloud.request("POST", f"/v2/{name}:pause", {})["state"] == "PAUSED"
    assert cloud.request("POST", f"/v2/{name}:resume", {})["state"] == "RUNNING"
    assert name in [q["name"] for q in cloud.request("GET", f"/v2/{location}/queues")["queues"]]


def test_a_mask_may_be_written_in_either_case(cloud: LocalCloud, location: str) -> None:
    name = f"{location}/queues/cased"
    cloud.request("POST", f"/v2/{location}/queues", {"name": name})
    change = {"retryConfig": {"maxAttempts": 4}}
    mask = "retry_config.max_attempts"
    changed = cloud.request("PATCH", f"/v2/{name}", change, updateMask=mask)
    assert changed["retryConfig"]["maxAttempts"] == 4


def test_a_task_is_created_seen_over_grpc_and_deleted(cloud: LocalCloud, location: str) -> None:
    queue = f"{location}/queues/tasks"
    cloud.request("POST", f"/v2/{location}/queues", {"name": queue})
    cloud.request("POST", f"/v2/{queue}:pause", {})
    body = base64.b64encode(b"hello").decode()
    task = {"httpRequest": {"url": "http://127.0.0.1:9/", "body": body}}
    name = cloud.request("POST", f"/v2/{queue}/tasks", {"task": task})["name"]
    assert cloud.tasks().get_task(name=name).http_request.url == "http://127.0.0.1:9/"
    seen = cloud.request("GET", f"/v2/{name}", responseView="FULL")
    assert seen["httpRequest"]["body"] == body
    cloud.request("DELETE", f"/v2/{name}")
    assert cloud.request("GET", f"/v2/{queue}/tasks") == {}


def test_a_message_is_published_pulled_and_acknowledged(cloud: LocalCloud, project: str) -> None:
    topic, subscription = f"{project}/topics/plain", f"{project}/subscriptions/plain"
    cloud.request("PUT", f"/v1/{topic}", {})
    cloud.request("PUT", f"/v1/{subscription}", {"topic": topic})
    message = {"data": base64.b64encode(b"{}").decode(), "attributes": {"a": "b"}}
    (sent,) = cloud.request("POST", f"/v1/{topic}:publish", {"messages": [message]})["messageIds"]
    pulled = cloud.request("POST", f"/v1/{subscription}:pull", {"maxMessages": 1})
    (received,) = pulled["receivedMessages"]
    assert received["message"]["messageId"] == sent
    assert received["message"]["attributes"] == {"a": "b"}
    acknowledged = {"ackIds": [received["ackId"]]}
    assert cloud.request("POST", f"/v1/{subscription}:acknowledge", acknowledged) == {}


def test_a_subscription_is_changed_by_mask(cloud: LocalCloud, project: str) -> None:
    topic, subscription = f"{project}/topics/masked", f"{project}/subscriptions/masked"
    cloud.request("PUT", f"/v1/{topic}", {})
    cloud.request("PUT", f"/v1/{subscription}", {"topic": topic})
    body = {"subscription": {"ackDeadlineSeconds": 600}, "updateMask": "ackDeadlineSeconds"}
    assert cloud.request("PATCH", f"/v1/{subscription}", body)["ackDeadlineSeconds"] == 600


def test_a_job_is_created_changed_paused_and_deleted(cloud: LocalCloud, location: str) -> None:
    name = f"{location}/jobs/digest"
    job = {"name": name, "schedule": "0 8 * * 1", "httpTarget": {"uri": "http://127.0.0.1:9/"}}
    created = cloud.request("POST", f"/v1/{location}/jobs", job)
    assert created["state"] == "ENABLED"
    change = {"schedule": "0 9 * * 1"}
    changed = cloud.request("PATCH", f"/v1/{name}", change, updateMask="schedule")
    assert changed["schedule"] == "0 9 * * 1"
    assert cloud.request("POST", f"/v1/{name}:pause", {})["state"] == "PAUSED"
    assert [j["name"] for j in cloud.request("GET", f"/v1/{location}/jobs")["jobs"]] == [name]
    assert cloud.request("DELETE", f"/v1/{name}") == {}


def test_a_database_is_there_once_it_is_made(cloud: LocalCloud, project: str) -> None:
    path = f"/v1/{project}/databases"
    with pytest.raises(Refused, match="does not exist"):
        cloud.request("GET", f"{path}/second")
    cloud.request("POST", path, {"locationId": "eur3"}, databaseId="second")
    assert cloud.request("GET", f"{path}/second")["locationId"] == "eur3"


def test_a_database_of_the_enterprise_edition_is_refused(cloud: LocalCloud, project: str) -> None:
    body = {"locationId": "eur3", "databaseEdition": "ENTERPRISE"}
    with pytest.raises(Refused, match="enterprise edition are not served here"):
        cloud.request("POST", f"/v1/{project}/databases", body, databaseId="third")


def test_a_ttl_policy_is_set_shown_and_taken_away(cloud: LocalCloud, project: str) -> None:
    name = f"{project}/databases/(default)/collectionGroups/idempotency/fields/expire_at"
    done = cloud.request("PATCH", f"/v1/{name}", {"ttlConfig": {}}, updateMask="ttlConfig")
    assert done["done"]
    assert cloud.request("GET", f"/v1/{name}")["ttlConfig"]["state"] == "ACTIVE"
    exemption: dict[str, Any] = {"indexConfig": {"indexes": []}}
    cloud.request("PATCH", f"/v1/{name}", exemption, updateMask="indexConfig")
    assert set(cloud.request("GET", f"/v1/{name}")) == {"name", "ttlConfig", "indexConfig"}
    cloud.request("PATCH", f"/v1/{name}", {}, updateMask="ttlConfig")
    assert "ttlConfig" not in cloud.request("GET", f"/v1/{name}")


def test_a_ttl_policy_is_carried_out(cloud: LocalCloud, project: str) -> None:
    name = f"{project}/databases/(default)/collectionGroups/passing/fields/expire_at"
    cloud.request("PATCH", f"/v1/{name}", {"ttlConfig": {}}, updateMask="ttlConfig")
    document = cloud.firestore().document("passing/one")
    document.set({"expire_at": cloud.now()})
    cloud.advance("3d")
    assert not document.get().exists


def test_what_a_deployment_remembers_is_kept_under_any_name(cloud: LocalCloud) -> None:
    path = "/local/v1/resources/accounts/projects/p/serviceAccounts/a@p.iam"
    cloud.request("PUT", path, {"email": "a@p.iam"})
    assert cloud.request("GET", path) == {"email": "a@p.iam"}
    listed = cloud.request("GET", "/local/v1/resources/accounts")["resources"]
    assert listed == {"projects/p/serviceAccounts/a@p.iam": {"email": "a@p.iam"}}
    cloud.request("DELETE", path)
    with pytest.raises(Refused):
        cloud.request("GET", path)


@pytest.mark.parametrize(
    ("verb", "path", "body", "code", "status"),
    [
        ("GET", "/v2/projects/p/locations/l/queues/none", None, 404, "NOT_FOUND"),
        ("GET", "/v2/projects/p/locations/l/functions/none", None, 404, "NOT_FOUND"),
        ("GET", "/v1/projects/p/topics/none", None, 404, "NOT_FOUND"),
        ("GET", "/v1/projects/p/locations/l/jobs/none", None, 404, "NOT_FOUND"),
        ("GET", "/v9/nothing", None, 404, "NOT_FOUND"),
        ("POST", "/v2/projects/p/locations/l/queues", {"names": 1}, 400, "INVALID_ARGUMENT"),
        ("POST", "/v2/projects/p/locations/l/queues", [], 400, "INVALID_ARGUMENT"),
        ("POST", "/local/v1/advance", {}, 400, "INVALID_ARGUMENT"),
        ("POST", "/local/v1/advance", {"seconds": "x"}, 400, "INVALID_ARGUMENT"),
        ("POST", "/local/v1/advance", {"seconds": -1}, 400, "INVALID_ARGUMENT"),
        ("POST", "/local/v1/tick", [], 400, "INVALID_ARGUMENT"),
        ("POST", "/local/v1/tick", {"job": "j", "at": "2026-01-01"}, 400, "INVALID_ARGUMENT"),
    ],
)
def test_refusals_have_googles_shape(
    cloud: LocalCloud, verb: str, path: str, body: Any, code: int, status: str
) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(cloud.url + path, data, method=verb)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as answer:
        error = json.load(answer)["error"]
    assert (answer.code, error["code"], error["status"]) == (code, code, status)
    assert error["message"]


def test_a_queue_that_exists_already_is_a_409(cloud: LocalCloud, location: str) -> None:
    body = {"name": f"{location}/queues/twice"}
    cloud.request("POST", f"/v2/{location}/queues", body)
    with pytest.raises(Refused) as refused:
        cloud.request("POST", f"/v2/{location}/queues", body)
    assert refused.value.code == 409


def test_a_body_that_is_not_json_is_refused(cloud: LocalCloud, location: str) -> None:
    request = urllib.request.Request(f"{cloud.url}/v2/{location}/queues", b"{", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        urllib.request.urlopen(request)
    refused.value.close()


@pytest.mark.parametrize("header", [("Origin", "https://evil.example"), ("Host", "evil.example")])
def test_web_pages_are_refused(cloud: LocalCloud, header: Any) -> None:
    request = urllib.request.Request(f"{cloud.url}/local/v1/status", headers=dict([header]))
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(request)
    refused.value.close()


def test_discovery_leads_to_the_keys(cloud: LocalCloud) -> None:
    found = json.loads(get(cloud, "/.well-known/openid-configuration"))
    assert found["issuer"] == cloud.url
    assert found["jwks_uri"].startswith(cloud.url)
    assert json.loads(get(cloud, "/jwks"))["keys"][0]["alg"] == "RS256"


def test_a_token_needs_a_name_and_an_audience(cloud: LocalCloud) -> None:
    assert get(cloud, "/token?email=a@b&audience=x").count(".") == 2
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        get(cloud, "/token?email=a@b")
    refused.value.close()


def test_a_function_gets_a_token_of_its_own_account_as_from_google(cloud: LocalCloud) -> None:
    """Google's own client library asks, from a process of its own: it reads the host at import."""
    program = """
import google.auth.transport.requests
from google.auth.compute_engine import _metadata
request = google.auth.transport.requests.Request()
identity = "instance/service-accounts/default/identity"
print(_metadata.get(request, identity, params={"audience": "https://stock.example"}))
"""
    host = f"{cloud.url.removeprefix('http://')}/metadata/run-reminder@p.iam.gserviceaccount.com"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "GCE_METADATA_HOST": host},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    claims = jwt.decode(found.stdout.strip(), options={"verify_signature": False})
    assert claims["email"] == "run-reminder@p.iam.gserviceaccount.com"
    assert (claims["aud"], claims["iss"]) == ("https://stock.example", cloud.url)


@pytest.mark.parametrize(
    ("flavor", "query", "code"), [("", "?audience=x", 403), ("Google", "", 400)]
)
def test_the_metadata_server_refuses_what_googles_does(
    cloud: LocalCloud, flavor: str, query: str, code: int
) -> None:
    path = "computeMetadata/v1/instance/service-accounts/default/identity"
    url = f"{cloud.url}/metadata/a@b/{path}{query}"
    assert requests.get(url, headers={"Metadata-Flavor": flavor}, timeout=10).status_code == code


def test_the_console_shows_what_there_is_and_escapes_it(cloud: LocalCloud, location: str) -> None:
    cloud.request("POST", f"/v2/{location}/queues", {"name": f"{location}/queues/shown"})
    document = cloud.firestore().document("dead_letters/x")
    document.set({"source": "consumer", "error": "<script>alert(1)</script>", "state": "open"})
    page = get(cloud, "/")
    assert "<td>shown</td>" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_status_counts_calls(cloud: LocalCloud) -> None:
    before = cloud.status()["calls"].get("Firestore.Commit", 0)
    cloud.firestore().document("a/b").set({})
    assert cloud.status()["calls"]["Firestore.Commit"] == before + 1


def test_status_counts_messages_and_dead_letters(cloud: LocalCloud) -> None:
    messages = cloud.firestore().collection("messages")
    for template in ("welcome", "welcome", "payment_retry"):
        messages.add({"template": template, "state": "sent"})
    cloud.firestore().document("dead_letters/y").set({"state": "replayed"})
    status = cloud.status()
    assert status["messages"] == {"payment_retry": 1, "welcome": 2}
    assert status["dead_letters"]["states"]["replayed"] == 1
