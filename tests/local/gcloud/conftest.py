"""What the tests of the mini gcloud share: a cloud, and a way to run one command against it."""

import json

import pytest

from local.gcloud.main import main
from local.testing import local_cloud

REGION = "europe-west1"
NEEDED = (
    *("artifactregistry", "cloudfunctions", "cloudscheduler", "cloudtasks", "eventarc"),
    *("firestore", "iam", "pubsub", "run", "secretmanager"),
)


class Gcloud:
    """Runs commands in this process; `run` returns what was printed, `fail` why it was refused."""

    def __init__(self, cloud, capsys):
        self.cloud = cloud
        self._capsys = capsys

    def run(self, *words):
        code = main([*words])
        printed = self._capsys.readouterr()
        assert code == 0, printed.err
        return printed.out.rstrip("\n")

    def fail(self, *words, code=None):
        """What is printed; `code` is the exit code, if it has to be a certain one."""
        ended = main([*words])
        printed = self._capsys.readouterr()
        assert ended != 0, printed.out
        assert code in (None, ended), printed.err
        return printed.err.rstrip("\n")

    def read(self, *words):
        """What is printed as JSON."""
        return json.loads(self.run(*words, "--format=json"))


@pytest.fixture(scope="module")
def cloud():
    """A running cloud, shared by a module's tests; each uses names of its own."""
    with local_cloud() as made:
        names = [f"{name}.googleapis.com" for name in NEEDED]
        path = f"/v1/projects/{made.project}/services:batchEnable"
        made.request("POST", path, {"serviceIds": names})
        yield made


@pytest.fixture
def gcloud(cloud, monkeypatch, capsys):
    """gcloud for that cloud."""
    monkeypatch.setenv("LOCAL_URL", cloud.url)
    return Gcloud(cloud, capsys)
