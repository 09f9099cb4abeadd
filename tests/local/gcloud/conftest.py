"""What the tests of the mini gcloud share: a cloud, and a way to run one command against it."""

from collections.abc import Iterator

import pytest

from local.testing import LocalCloud, local_cloud
from tests.local.gcloud.gcloud_command import Gcloud

REGION = "europe-west1"
NEEDED = (
    *("artifactregistry", "cloudfunctions", "cloudscheduler", "cloudtasks", "eventarc"),
    *("firestore", "iam", "pubsub", "run", "secretmanager"),
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    """A running cloud, shared by a module's tests; each uses names of its own."""
    with local_cloud() as made:
        names = [f"{name}.googleapis.com" for name in NEEDED]
        path = f"/v1/projects/{made.project}/services:batchEnable"
        made.request("POST", path, {"serviceIds": names})
        yield made


@pytest.fixture
def gcloud(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Gcloud:
    """gcloud for that cloud."""
    monkeypatch.setenv("LOCAL_URL", cloud.url)
    return Gcloud(cloud, capsys)
