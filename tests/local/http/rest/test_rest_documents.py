"""One port answers both: gRPC, and plain HTTP in Google's paths; documents over REST."""

import base64
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from local.testing import LocalCloud, local_cloud
from tests.local.counts import Counts

PEOPLE = "projects/local-project/databases/(default)/documents/people"


@pytest.fixture(scope="module")
def running() -> Iterator[LocalCloud]:
    with local_cloud() as made:
        yield made


@pytest.fixture
def cloud(running: LocalCloud) -> Iterator[LocalCloud]:
    """A cloud without documents."""
    yield running
    wiped(running)


def wiped(cloud: LocalCloud) -> int:
    path = f"/emulator/v1/projects/{cloud.project}/databases/(default)/documents"
    return requests.delete(at(cloud, "FIRESTORE") + path, timeout=10).status_code


def at(cloud: LocalCloud, service: str) -> str:
    return f"http://{cloud.env[f'{service}_EMULATOR_HOST']}"


def post(cloud: LocalCloud, path: str, body: Any) -> Any:
    return requests.post(f"{at(cloud, 'FIRESTORE')}/v1/{path}", json=body, timeout=10).json()


def test_a_document_is_created_read_changed_listed_and_deleted(cloud: LocalCloud) -> None:
    name = {"fields": {"name": {"stringValue": "Ada"}}}
    made = post(cloud, f"{PEOPLE}?documentId=ada", name)
    url = f"{at(cloud, 'FIRESTORE')}/v1/{made['name']}"
    assert requests.get(url, timeout=10).json() == made
    age = {"fields": {"age": {"integerValue": "36"}}}
    changed = requests.patch(f"{url}?updateMask.fieldPaths=age", json=age, timeout=10).json()
    assert changed["fields"] == name["fields"] | age["fields"]
    listed = requests.get(f"{at(cloud, 'FIRESTORE')}/v1/{PEOPLE}", timeout=10).json()
    assert listed["documents"] == [changed]
    assert requests.delete(url, timeout=10).json() == {}
    assert requests.get(url, timeout=10).json()["error"]["status"] == "NOT_FOUND"


def test_commits_reads_and_queries_are_posted(cloud: LocalCloud) -> None:
    root = PEOPLE.removesuffix("/people")
    write = {"update": {"name": f"{PEOPLE}/ada", "fields": {"age": {"integerValue": "36"}}}}
    assert len(post(cloud, f"{root}:commit", {"writes": [write]})["writeResults"]) == 1
    wanted = {"documents": [f"{PEOPLE}/ada", f"{PEOPLE}/none"]}
    found = post(cloud, f"{root}:batchGet", wanted)
    assert [next(iter(answer)) for answer in found] == ["found", "missing"]
    query = {"structuredQuery": {"from": [{"collectionId": "people"}]}}
    assert [row["document"]["name"] for row in post(cloud, f"{root}:runQuery", query)] == [
        f"{PEOPLE}/ada"
    ]
    assert post(cloud, f"{root}:listCollectionIds", {}) == {"collectionIds": ["people"]}


def test_what_the_client_wrote_over_grpc_is_wiped_over_http_on_the_same_port(
    cloud: LocalCloud,
) -> None:
    db = cloud.firestore()
    for number in range(3):
        db.document(f"people/{number}/pets/{number}").set({})
    assert wiped(cloud) == 200
    assert list(db.collection_group("pets").stream()) == []
    assert list(db.collections()) == []


def test_a_topic_is_made_over_http_on_the_port_of_pub_sub(cloud: LocalCloud) -> None:
    url = f"{at(cloud, 'PUBSUB')}/v1/projects/{cloud.project}/topics/one"
    assert requests.put(url, json={}, timeout=10).json()["name"].endswith("/topics/one")
    assert requests.get(url, timeout=10).status_code == 200


def test_firebase_admin_enqueues_for_the_function_that_has_the_queues_name(
    cloud: LocalCloud, source: Path, counts: Counts
) -> None:
    """It posts plain HTTP, with no version in the path, and leaves the URL to the emulator."""
    cloud.deploy(source, "target")
    queue = cloud.queue("target")
    later, much_later = (
        (datetime.now(UTC) + timedelta(hours=hours)).isoformat() for hours in (1, 5)
    )
    request = {"url": "", "body": base64.b64encode(b"{}").decode()}
    task = {"name": f"{queue}/tasks/mine", "httpRequest": request, "scheduleTime": later}
    url = f"{at(cloud, 'CLOUD_TASKS')}/{queue}/tasks"
    answer = requests.post(url, json={"task": task}, timeout=10).json()
    # For Node, and older versions for Python, as of the platform; else as of Firebase's emulator.
    assert (answer["name"], answer["task"]["name"]) == (task["name"], f"/{task['name']}")
    cloud.advance("2h")
    assert counts(cloud) == {"mine": 1}
    # Not due yet, so that it is still there to be deleted.
    other = {**task, "name": f"{queue}/tasks/no", "scheduleTime": much_later}
    gone = requests.post(url, json={"task": other}, timeout=10)
    assert gone.status_code == 200
    deleted = requests.delete(f"{at(cloud, 'CLOUD_TASKS')}/{queue}/tasks/no", timeout=10)
    assert deleted.json() == {}


def test_firebase_admin_is_told_which_function_is_missing(cloud: LocalCloud) -> None:
    """Where no location is given, it means us-central1."""
    location = f"projects/{cloud.project}/locations/us-central1"
    url = f"{at(cloud, 'CLOUD_TASKS')}/{location}/queues/target/tasks"
    answer = requests.post(url, json={"task": {"httpRequest": {"url": ""}}}, timeout=10)
    assert answer.status_code == 404
    assert f"{location} has no function target" in answer.json()["error"]["message"]


def test_a_page_in_a_browser_is_refused_on_that_port_too(cloud: LocalCloud) -> None:
    url = f"{at(cloud, 'FIRESTORE')}/v1/{PEOPLE}"
    answer = requests.get(url, headers={"Origin": "https://evil.example"}, timeout=10)
    assert answer.status_code == 403


@pytest.mark.parametrize("first", [b"P", b"PR", b"\x16\x03\x01", b"PUTT\r\n\r\n"])
def test_a_connection_that_says_little_or_nonsense_holds_up_nobody(
    cloud: LocalCloud, first: bytes
) -> None:
    host, port = cloud.env["FIRESTORE_EMULATOR_HOST"].split(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(first)
        cloud.firestore().document("people/ada").set({})


def test_a_function_that_uses_firebase_admin_has_a_port_that_answers_both(
    cloud: LocalCloud, source: Path
) -> None:
    (source / "requirements.txt").write_text("firebase-admin==7.1.0\n")
    cloud.deploy(source, "environment")
    seen = cloud.call("environment").json()
    url = f"http://{seen['CLOUD_TASKS_EMULATOR_HOST']}/v2/projects/p/locations/l/queues"
    assert requests.get(url, timeout=10).json() == {}
    assert seen["FIRESTORE_EMULATOR_HOST"] != seen["CLOUD_TASKS_EMULATOR_HOST"]
