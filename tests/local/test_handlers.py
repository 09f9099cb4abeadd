"""Handlers of somebody else's: a folder with a main.py, deployed as it is."""

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.services.functions import sources
from local.testing import LocalCloud, Refused, local_cloud

PROJECT = Path(__file__).parents[2]
HANDLERS = """
import base64

import functions_framework


@functions_framework.cloud_event
def resized(event):
    text = base64.b64decode(event.data["message"]["data"]).decode()
    print(f"resized {text}\\n", end="", flush=True)


@functions_framework.http
def sweep(request):
    print("swept\\n", end="", flush=True)
    return "ok"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("elsewhere") / "handlers"
    made.mkdir()
    (made / "main.py").write_text(HANDLERS)
    (made / "requirements.txt").write_text("functions-framework==3.10.2\n")
    return made


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with local_cloud(reload=True) as made:
        yield made


@pytest.mark.slow
def test_they_are_deployed_with_a_topic_a_queue_and_a_schedule_by_gcloud(
    cloud: LocalCloud, folder: Path, until: Callable[..., None]
) -> None:
    """By the commands of Google's own gcloud, which local/bin/gcloud understands."""

    def gcloud(*words: str) -> None:
        path = os.pathsep.join(
            [str(PROJECT / "local/bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        )
        subprocess.run(
            ["gcloud", *words, f"--project={cloud.project}", "--quiet"],
            env={**os.environ, "PATH": path, "LOCAL_URL": cloud.url},
            check=True,
        )

    region, http = "--region=europe-west1", ("--gen2", "--runtime=python311")
    services = ("pubsub", "cloudfunctions", "cloudtasks", "cloudscheduler")
    gcloud("services", "enable", *(f"{name}.googleapis.com" for name in services))
    gcloud("pubsub", "topics", "create", "pictures")
    deploy = ("functions", "deploy")
    gcloud(*deploy, "resized", *http, region, f"--source={folder}", "--trigger-topic=pictures")
    gcloud(*deploy, "sweep", *http, region, f"--source={folder}", "--trigger-http")
    gcloud("tasks", "queues", "create", "sweeps", "--location=europe-west1")
    gcloud(
        *("scheduler", "jobs", "create", "http", "hourly", "--location=europe-west1"),
        *("--schedule=0 * * * *", f"--uri={cloud.env['SWEEP_URL']}", "--time-zone=Etc/UTC"),
        "--oidc-service-account-email=a@b.iam.gserviceaccount.com",
    )
    cloud.publisher().publish(cloud.topic("pictures"), b"cat.png").result(10)
    queue = f"projects/{cloud.project}/locations/europe-west1/queues/sweeps"
    task = {"http_request": {"url": cloud.env["SWEEP_URL"]}}
    cloud.tasks().create_task(parent=queue, task=task)
    cloud.advance("2h")
    until(lambda: cloud.log("resized") == ["resized cat.png"])
    until(lambda: cloud.log("sweep") == ["swept"] * 3)


def test_they_run_on_the_python_of_their_own_environment(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "handlers"
    shutil.copytree(folder, own)
    assert sources.python(own) == sys.executable
    (own / ".venv/bin").mkdir(parents=True)
    (own / ".venv/bin/python").symlink_to(sys.executable)
    assert sources.python(own) == str(own / ".venv/bin/python")
    assert [path.name for path in sources.files(own)] == ["main.py", "requirements.txt"]


def test_an_edit_is_there_when_it_is_saved(
    cloud: LocalCloud, tmp_path: Path, until: Callable[..., None]
) -> None:
    hello = (
        "import functions_framework\n@functions_framework.http\n"
        "def hello(request):\n    return '{}'"
    )
    (tmp_path / "main.py").write_text(hello.format("one"))
    cloud.deploy(tmp_path, "hello")
    assert cloud.call("hello").text == "one"
    (tmp_path / "main.py").write_text(hello.format("two"))

    def answers(text: str) -> bool:
        try:
            return cloud.call("hello").text == text
        except OSError:  # it starts anew
            return False

    until(lambda: answers("two"))


def test_advance_says_whose_time_stands_still(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import time\n\nimport functions_framework\n\n\n@functions_framework.http\n"
        "def stamped(request):\n    return str(time.time())  # now\n"
    )
    cloud.deploy(tmp_path, "stamped")
    with pytest.warns(UserWarning, match=r"stamped reads the clock of this machine \(main.py:8\)"):
        cloud.advance("1h")
    cloud.undeploy("stamped")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cloud.advance("1h")


def test_a_file_is_looked_at_again_when_it_was_edited(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    for moment, text in enumerate(("x = 1\n", "x = time.time()\n", "x = 2\n")):
        main.write_text(text)
        os.utime(main, (moment, moment))
        found = sources.clock_of_the_machine(tmp_path)
        assert found == ("main.py:1" if "time" in text else None)


def test_the_bundle_takes_its_time_from_the_cloud() -> None:
    assert sources.clock_of_the_machine(PROJECT) is None
    names = {path.relative_to(PROJECT).parts[0] for path in sources.files(PROJECT)}
    assert names == {"main.py", "requirements.txt", "common", "functions"}


def test_a_state_is_written_to_a_file_and_gone_on_with(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "state"
    with local_cloud() as one:
        one.deploy(folder, "sweep")
        one.queue("q")
        one.firestore().document("a/b").set({"x": 1})
        one.advance("10d")
        one.export(file)
        before = one.now()
    assert file.stat().st_mode & 0o077 == 0
    with local_cloud() as other:
        url = other.url
        other.replace(file)
        assert other.firestore().document("a/b").get().get("x") == 1
        assert other.now() >= before
        assert other.call("sweep").text == "ok"
        assert [row["name"] for row in other.status()["queues"]] == ["q"]
        assert other.env["LOCAL_URL"] == url


def test_what_is_no_state_is_refused_and_changes_nothing(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no state" * 1000)
    cloud.firestore().document("a/b").set({})
    with pytest.raises(Refused, match="is no exported state"):
        cloud.replace(tmp_path / "text")
    with pytest.raises(Refused, match=r"cannot read .*: No such file"):
        cloud.replace(tmp_path / "nothing")
    with pytest.raises(Refused, match="cannot write"):
        cloud.export(tmp_path / "no" / "folder")
    assert cloud.firestore().document("a/b").get().exists
