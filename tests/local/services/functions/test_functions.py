"""Deployed functions: their processes, their environment, what becomes of them."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from local.cli.client import Refused as Answered
from local.services.functions import process as processes
from local.services.functions.process import GUARDED
from local.testing import LocalCloud, Refused, cloud, local_cloud

__all__ = ["cloud"]


def running(cloud: LocalCloud, name: Any) -> Any:
    """The master of a function's process group."""
    port = int(cloud.env[f"{name.upper()}_URL"].rpartition(":")[2])
    for process in psutil.process_iter(["cmdline"]):
        if f"--port={port}" in (process.info["cmdline"] or ()):
            parent = psutil.Process(process.pid).parent()
            return parent if str(GUARDED) in parent.cmdline() else process
    raise AssertionError(f"nothing serves {name}")


def function(cloud: LocalCloud, name: Any) -> Any:
    return cloud.request("GET", f"/v2/projects/{cloud.project}/locations/local/functions/{name}")


def test_the_environment_is_the_platforms_and_the_deployed_one_alone(
    cloud: LocalCloud, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://somewhere")
    cloud.deploy(source, "environment", env={"A": "b c"}, timeout=90, concurrency=3)
    seen = cloud.call("environment").json()
    assert seen["A"] == "b c"
    assert seen["GOOGLE_CLOUD_PROJECT"] == cloud.project
    assert (seen["K_SERVICE"], seen["FUNCTION_TARGET"]) == ("environment", "environment")
    assert (seen["CLOUD_RUN_TIMEOUT_SECONDS"], seen["THREADS"], seen["WORKERS"]) == ("90", "3", "1")
    assert seen["OIDC_ISSUER"] == cloud.url
    assert "SMTP_URL" not in seen


def test_a_function_has_a_port_of_its_own_for_the_services(cloud: LocalCloud, source: Path) -> None:
    cloud.deploy(source, "environment")
    seen = cloud.call("environment").json()["FIRESTORE_EMULATOR_HOST"]
    assert seen != cloud.env["FIRESTORE_EMULATOR_HOST"]


def test_deploying_writes_nothing_into_the_source(cloud: LocalCloud, source: Path) -> None:
    cloud.deploy(source, "hello")
    cloud.call("hello")
    assert os.listdir(source) == ["main.py"]


def test_the_current_directory_is_not_importable_by_itself(cloud: LocalCloud, source: Path) -> None:
    """Only the directory of main.py is, and installed packages come before it."""
    (source / "main.py").write_text(
        "import sys, functions_framework\n"
        "@functions_framework.http\n"
        "def paths(request):\n    return sys.path\n"
    )
    cloud.deploy(source, "paths")
    paths = cloud.call("paths").json()
    assert paths.index(str(source)) == len(paths) - 1


def test_requests_are_served_at_once_up_to_the_concurrency(
    cloud: LocalCloud, source: Path, tmp_path: Path, until: Callable[..., None]
) -> None:
    cloud.deploy(source, "gated", concurrency=2)
    queue, gate = cloud.queue("q"), tmp_path / "gate"
    for _ in range(3):
        request = {"url": cloud.env["GATED_URL"], "body": bytes(gate)}
        cloud.tasks().create_task(parent=queue, task={"http_request": request})
    until(lambda: cloud.log("gated") == ["began", "began"])
    gate.touch()
    cloud.idle()
    until(lambda: cloud.log("gated").count("ended") == 3)
    assert cloud.log("gated").index("ended") == 2


def test_a_function_that_does_not_start_is_failed_and_says_what_it_printed(
    cloud: LocalCloud, source: Path
) -> None:
    (source / "main.py").write_text("raise RuntimeError('no such setting: LIST_PRICE')")
    with pytest.raises(Refused, match="no such setting: LIST_PRICE"):
        cloud.deploy(source, "hello")
    assert function(cloud, "hello")["state"] == "FAILED"


def test_a_connection_that_is_lost_while_a_function_starts_does_not_fail_it(
    cloud: LocalCloud, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PROBE_PATIENCE", 0.1)
    lost = """import os, socket
with socket.create_server(("127.0.0.1", int(os.environ["PORT"]))) as listening:
    lost = listening.accept()
"""
    (source / "main.py").write_text(lost + (source / "main.py").read_text())
    cloud.deploy(source, "hello")
    assert cloud.call("hello").text == "hello"


def test_a_function_that_answers_nothing_is_failed_and_says_whether_it_worked(
    cloud: LocalCloud, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "START_TIMEOUT", 0.5)
    (source / "main.py").write_text("import time\ntime.sleep(60)")
    with pytest.raises(Refused, match=r"answered nothing for 0 s, and used 0\.\d s of CPU"):
        cloud.deploy(source, "hello")


def test_the_next_deployment_heals_a_failed_one(cloud: LocalCloud, source: Path) -> None:
    good = (source / "main.py").read_text()
    (source / "main.py").write_text("x =")
    with pytest.raises(Refused, match="SyntaxError"):
        cloud.deploy(source, "hello")
    (source / "main.py").write_text(good)
    cloud.deploy(source, "hello")
    assert cloud.call("hello").text == "hello"


def test_a_redeployed_function_keeps_its_address(cloud: LocalCloud, source: Path) -> None:
    assert cloud.deploy(source, "hello") == cloud.deploy(source, "hello", timeout=30)
    assert function(cloud, "hello")["serviceConfig"]["timeoutSeconds"] == 30


def test_a_redeployment_loses_no_delivery(
    cloud: LocalCloud, source: Path, until: Callable[..., None]
) -> None:
    """Neither the one being served nor the one behind it; later ones wait for the new process."""
    url, queue = cloud.deploy(source, "slow", concurrency=1), cloud.queue("q")
    for _ in range(2):
        task = {"http_request": {"url": url, "body": b"0.3"}}
        cloud.tasks().create_task(parent=queue, task=task)
    until(lambda: cloud.log("slow") == ["began"])
    cloud.deploy(source, "slow", concurrency=1)
    cloud.idle()
    assert cloud.status()["deliveries"]["tasks"] == 2


def test_changing_a_label_starts_nothing_anew(cloud: LocalCloud, source: Path) -> None:
    cloud.deploy(source, "hello")
    before = running(cloud, "hello").pid
    path = f"/v2/projects/{cloud.project}/locations/local/functions/hello"
    cloud.request("PATCH", path, {"labels": {"hash": "1"}}, updateMask="labels.hash")
    assert running(cloud, "hello").pid == before
    assert function(cloud, "hello")["labels"] == {"hash": "1"}


def test_a_process_that_dies_is_started_again(
    cloud: LocalCloud, source: Path, until: Callable[..., None]
) -> None:
    cloud.deploy(source, "hello")
    before = running(cloud, "hello").pid
    os.kill(before, signal.SIGKILL)
    until(lambda: any("ended with code -9" in line for line in cloud.log("hello")))
    cloud.idle()
    assert running(cloud, "hello").pid != before
    assert cloud.call("hello").text == "hello"


def test_an_undeployed_function_is_gone_and_not_fed(cloud: LocalCloud, source: Path) -> None:
    cloud.deploy(source, "consumer", topic="events")
    cloud.undeploy("consumer")
    with pytest.raises(Answered) as refused:
        function(cloud, "consumer")
    assert refused.value.code == 404
    assert "CONSUMER_URL" not in cloud.env
    assert cloud.status()["subscriptions"] == []


def test_a_topic_taken_away_feeds_no_longer(cloud: LocalCloud, source: Path) -> None:
    cloud.deploy(source, "consumer", topic="events")
    cloud.deploy(source, "consumer")
    assert cloud.status()["subscriptions"] == []


def test_the_trigger_of_an_event_driven_function_names_its_subscription(
    cloud: LocalCloud, source: Path
) -> None:
    cloud.deploy(source, "consumer", topic="events")
    name = function(cloud, "consumer")["eventTrigger"]["trigger"]
    transport = cloud.request("GET", f"/v1/{name}")["transport"]["pubsub"]
    assert transport["topic"] == f"projects/{cloud.project}/topics/events"
    found = cloud.request("GET", f"/v1/{transport['subscription']}")
    assert found["pushConfig"]["pushEndpoint"].startswith(cloud.env["CONSUMER_URL"])


def test_a_request_that_takes_longer_than_the_timeout_is_a_504(
    cloud: LocalCloud, source: Path, tmp_path: Path
) -> None:
    """The platform answers for the function, which goes on; a queue calls that a failure."""
    url, gate = cloud.deploy(source, "gated", timeout=1), tmp_path / "gate"
    queue = cloud.queue("q", retryConfig={"minBackoff": "3600s"})
    request = {"url": url, "body": bytes(gate)}
    name = cloud.tasks().create_task(parent=queue, task={"http_request": request}).name
    cloud.idle()
    last = cloud.tasks().get_task(name=name).last_attempt
    assert last.response_status.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert cloud.log("gated") == ["began"]
    gate.touch()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"timeout": 541, "topic": "events"}, "from 1 to 540, not 541"),
        ({"timeout": 3601}, "from 1 to 3600, not 3601"),
        ({"concurrency": 1001}, "from 1 to 1000, not 1001"),
    ],
)
def test_what_the_platform_refuses_is_refused(
    cloud: LocalCloud, source: Path, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        cloud.deploy(source, "hello", **options)


@pytest.mark.parametrize("name", ["abc", "Target", "-abcd", "a" * 64])
def test_a_name_the_platform_refuses_is_refused(cloud: LocalCloud, source: Path, name: str) -> None:
    with pytest.raises(Refused, match="is not a function's name"):
        cloud.deploy(source, name)


def test_nothing_is_left_running_when_the_cloud_ends(source: Path) -> None:
    with local_cloud() as made:
        made.deploy(source, "hello")
        master = running(made, "hello")
        group = [master, *master.children()]
    _, alive = psutil.wait_procs(group, timeout=5)
    assert alive == []
