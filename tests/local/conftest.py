"""What the tests of the running cloud share: functions to deploy, a wait with a deadline."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.testing import LocalCloud
from tests.local.counts import Counts

MAIN = '''
import os
import time

import functions_framework

_client = None


def counted(name):
    """Two calls to Firestore: a Commit, then a BatchGetDocuments."""
    from google.cloud import firestore  # here, because most functions start faster without

    global _client
    _client = _client or firestore.Client()
    document = _client.document("counts", name)
    document.set({"n": firestore.Increment(1)}, merge=True)
    document.get()


@functions_framework.cloud_event
def consumer(event):
    counted(event.data["message"]["messageId"])


@functions_framework.http
def target(request):
    counted(request.headers.get("X-CloudTasks-TaskName", "plain"))
    return "ok"


@functions_framework.http
def hello(request):
    print("asked\\n", end="")
    return "hello"


@functions_framework.http
def environment(request):
    return dict(os.environ)


@functions_framework.http
def gated(request):
    """Does not end before the file named by the body is there."""
    print("began\\n", end="")
    while not os.path.exists(request.get_data().decode()):
        time.sleep(0.01)
    print("ended\\n", end="")
    return "ok"


@functions_framework.http
def slow(request):
    print("began\\n", end="")
    time.sleep(float(request.get_data() or 0))
    return "ok"
'''


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory with functions that count in Firestore how often they were called."""
    return written(tmp_path / "source")


@pytest.fixture(scope="module")
def source_of_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for tests that share a cloud."""
    return written(tmp_path_factory.mktemp("shared") / "source")


def written(folder: Path) -> Path:
    folder.mkdir()
    (folder / "main.py").write_text(MAIN)
    return folder


@pytest.fixture
def counts() -> Counts:
    """Reads what those functions counted: name → number."""

    def read(cloud: LocalCloud) -> dict[str, int]:
        found = cloud.firestore().collection("counts").stream()
        return {document.id: document.get("n") for document in found}

    return read


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for what another process or thread does by itself."""

    def wait(true: Callable[[], object], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)

    return wait
