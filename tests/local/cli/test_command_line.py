"""`python -m local …` as a user types it, against a cloud in a process of its own."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from local.__main__ import main
from local.cli import commands
from local.cli.client import request
from local.kernel.state import Folder

PROJECT = Path(__file__).parents[3]


def local(
    folder: Path, *arguments: str, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, which saves starting one; what it answered."""
    code, stdout, stderr = 0, io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.callback(os.umask, os.umask(0o022))  # `up` sets one of its own
        stack.enter_context(patch.dict(os.environ, {"LOCAL_STATE": str(folder), **environ}))
        stack.enter_context(patch.object(sys, "argv", ["local", *arguments]))
        stack.enter_context(patch.object(sys, "stdin", io.StringIO(stdin)))
        stack.enter_context(contextlib.redirect_stdout(stdout))
        stack.enter_context(contextlib.redirect_stderr(stderr))
        try:
            code = main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cloud in the foreground of a process of its own; the folder it keeps its state in."""
    folder = tmp_path_factory.mktemp("here") / "cloud"
    cloud = started(folder, FIRESTORE_EMULATOR_HOST="elsewhere:1")
    with cloud as process:
        (folder.parent / "printed").write_text("".join(cloud.printed))
        yield folder
        local(folder, "down")
        assert process.wait(10) == 0


class started:
    """`python -m local up` until its addresses are there."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.environ = {**os.environ, "LOCAL_STATE": str(folder), "LOCAL_PORT": "0", **environ}

    def __enter__(self) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local", "up"],
            cwd=PROJECT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout
        self.printed: list[str] = []
        for line in self.process.stdout:
            self.printed.append(line)
            if line.startswith("local cloud: http"):
                break
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout
        self.process.stdout.close()


def deploy(up: Path, source: Path, name: str, topic: str) -> None:
    """Deploy the function `name` of a source folder, fed by a topic."""
    env = Folder(up).read_env()
    project = env["GOOGLE_CLOUD_PROJECT"]
    body = {
        "buildConfig": {"source": {"localPath": str(source)}},
        "eventTrigger": {"pubsubTopic": f"projects/{project}/topics/{topic}"},
    }
    path = f"/v2/projects/{project}/locations/local/functions?functionId={name}"
    assert request(env["LOCAL_URL"], "POST", path, body)["response"]["state"] == "ACTIVE"


@pytest.fixture(scope="module")
def consumer(up: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A function that prints every event it gets, fed by the topic `events`."""
    source = tmp_path_factory.mktemp("source")
    source.joinpath("main.py").write_text(
        "import base64, functions_framework\n"
        "@functions_framework.cloud_event\n"
        "def consumer(event):\n"
        "    data = base64.b64decode(event.data['message'].get('data', ''))\n"
        "    print(data.decode() + '\\n', end='')\n"
    )
    deploy(up, source, "consumer", "events")
    return up / "logs" / "consumer.log"


@pytest.fixture
def waiting(up: Path, tmp_path: Path) -> Iterator[Path]:
    """A file; until it is there, a function fed by the topic `waiting` does not end."""
    gate = tmp_path / "gate"
    tmp_path.joinpath("main.py").write_text(
        "import functions_framework, os, time\n"
        "@functions_framework.cloud_event\n"
        "def waiting(event):\n"
        f"    while not os.path.exists({str(gate)!r}):\n"
        "        time.sleep(0.02)\n"
    )
    deploy(up, tmp_path, "waiting", "waiting")
    yield gate
    url, project = (Folder(up).read_env()[key] for key in ("LOCAL_URL", "GOOGLE_CLOUD_PROJECT"))
    request(url, "DELETE", f"/v2/projects/{project}/locations/local/functions/waiting")


def test_the_addresses_are_in_a_file_while_it_runs(up: Path, consumer: Path) -> None:
    env = Folder(up).read_env()
    assert list(env) == [
        "GOOGLE_CLOUD_PROJECT",
        "FIRESTORE_EMULATOR_HOST",
        "PUBSUB_EMULATOR_HOST",
        "CLOUD_TASKS_EMULATOR_HOST",
        "LOCAL_URL",
        "CONSUMER_URL",
    ]


def test_a_second_cloud_in_the_same_folder_is_refused(up: Path) -> None:
    answer = local(up, "up", LOCAL_PORT="0")
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"a local cloud is running in {up} already (process ")


@pytest.mark.parametrize(
    ("argument", "stdin", "received"),
    [
        ('{"n": 1}', "", ['{"n": 1}']),
        ("-", '{"n": 2}\n\n{"n": 3}\n', ['{"n": 2}', '{"n": 3}']),
        ("-", '[{"n": 4}, 5]', ['{"n": 4}', "5"]),
        ('"not an object: é"', "", ['"not an object: é"']),
        ("7.50", "", ["7.5"]),
    ],
)
def test_any_json_value_is_published_as_it_is(
    up: Path,
    consumer: Path,
    until: Callable[..., None],
    argument: str,
    stdin: str,
    received: list[Any],
) -> None:
    answer = local(up, "publish", argument, stdin=stdin)
    assert answer.returncode == 0
    assert answer.stdout.startswith(f"published {len(received)} event")
    local(up, "idle")
    until(lambda: sorted(consumer.read_text().splitlines()[-len(received) :]) == sorted(received))


def test_a_file_of_events_is_published(
    up: Path, consumer: Path, tmp_path: Path, until: Callable[..., None]
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"from": "a file"}\n')
    assert local(up, "publish", str(file)).returncode == 0
    until(lambda: "a file" in consumer.read_text())


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("nothing.json", "publish: neither a file nor JSON: 'nothing.json'"),
        ('{"a": 1', "publish: not JSON: '{\"a\": 1'"),
        ("", "publish: not JSON: ''"),
        ("NaN", "publish: neither a file nor JSON: 'NaN'"),
    ],
)
def test_what_is_not_json_is_the_users_error(up: Path, argument: str, sentence: str) -> None:
    answer = local(up, "publish", argument)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith(sentence)


def test_a_line_that_is_not_json_is_named(up: Path) -> None:
    answer = local(up, "publish", "-", stdin='{"n": 1}\n{"n": \n')
    assert answer.stderr.startswith("publish: line 2 is not JSON")


def test_attributes_and_topic_of_what_is_published(up: Path) -> None:
    options = ("--topic", "others", "--attribute", "replay_of=x", "--attribute", "n=1=2")
    url, project = (Folder(up).read_env()[key] for key in ("LOCAL_URL", "GOOGLE_CLOUD_PROJECT"))
    topic, name = f"projects/{project}/topics/others", f"projects/{project}/subscriptions/others"
    request(url, "PUT", f"/v1/{topic}", {})
    request(url, "PUT", f"/v1/{name}", {"topic": topic})
    answer = local(up, "publish", "-", *options, "--json", stdin='{"n": 1}\n{"n": 2}\n')
    told = json.loads(answer.stdout)
    pulled = request(url, "POST", f"/v1/{name}:pull", {"maxMessages": 5})["receivedMessages"]
    assert (told["topic"], len(told["message_ids"])) == (topic, 2)
    assert [one["message"]["attributes"] for one in pulled] == [{"replay_of": "x", "n": "1=2"}] * 2


def test_a_long_way_is_told_on_standard_error_alone(up: Path, waiting: Path) -> None:
    local(up, "publish", "{}", "--topic", "waiting")
    command = [sys.executable, "-m", "local", "advance", "12h", "--json"]
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**os.environ, "LOCAL_STATE": str(up)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        first = process.stderr.readline()
        waiting.touch()
        stdout, _ = process.communicate(timeout=60)
    assert re.fullmatch(r"[A-Z][a-z]{2} \d\d:\d\d … .+ of 12 h\n", first)
    assert list(json.loads(stdout)) == ["now"]


def test_advance_moves_the_clock(up: Path) -> None:
    before = json.loads(local(up, "status", "--json").stdout)["clock"]["ahead_seconds"]
    assert local(up, "advance", "1d12h").returncode == 0
    after = json.loads(local(up, "status", "--json").stdout)["clock"]["ahead_seconds"]
    assert after - before == pytest.approx(36 * 3600, abs=2)


@pytest.mark.parametrize(
    "arguments",
    [
        ("advance", "2 hours"),
        ("tick", "j", "--at", "noon"),
        ("publish", "{}", "--attribute", "key"),
        ("frob",),
        ("status", "--frob"),
        ("up", "--port", "70000"),
        ("up", "--firestore", "nowhere"),
        ("faults",),
        ("faults", "off", "--errors", "1"),
        (),
    ],
)
def test_wrong_usage_is_one_sentence_and_exits_with_64(up: Path, arguments: Any) -> None:
    answer = local(up, *arguments)
    assert (answer.returncode, answer.stdout) == (64, "")
    [sentence] = answer.stderr.splitlines()
    assert sentence.startswith("./deploy.sh local")
    assert sentence.endswith(" --help")


def test_each_verb_says_what_it_does_and_how_it_is_called(tmp_path: Path) -> None:
    for verb in commands.VERBS:
        text = " ".join(local(tmp_path, verb.__name__, "--help").stdout.split())
        assert text.startswith(f"usage: ./deploy.sh local {verb.__name__} ")
        assert (verb.__doc__ or "nothing") in text


def test_tick_of_a_job_that_is_not_there_says_so(up: Path) -> None:
    answer = local(up, "tick", "weekly-digest", "--at", "2026-11-23T08:00:00Z")
    assert answer.returncode == 1
    assert answer.stderr == "no job is named weekly-digest; there are no jobs\n"


def test_faults_are_set_and_taken_back(up: Path) -> None:
    arguments = ("--seed", "7", "--duplicates", "0.3", "--crashes", "0.1", "--latency", "20ms")
    rule = ("--rule", "Firestore.Commit:errors=0.2,code=ABORTED")
    assert local(up, "faults", *arguments, *rule).returncode == 0
    plan = json.loads(local(up, "status", "--json").stdout)["faults"]["plan"]
    assert (plan["seed"], plan["duplicates"], plan["latency"]) == (7, 0.3, 0.02)
    assert plan["rules"][0]["code"] == "ABORTED"
    assert local(up, "faults", "off").stdout == "faults: off\n"
    assert json.loads(local(up, "status", "--json").stdout)["faults"]["plan"] == {}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--errors", "2"), "a rate is from 0 to 1, not 2.0"),
        (("--errors", "1", "--code", "NO"), "NO is not a gRPC error code"),
        (("--rule", "Firestor:errors=1"), "a rule for Firestor: the services are Firestore, "),
    ],
)
def test_faults_that_make_no_sense_are_refused(up: Path, arguments: Any, sentence: str) -> None:
    answer = local(up, "faults", *arguments)
    assert answer.returncode == 1
    assert answer.stderr.startswith(sentence)


def test_status_shows_functions(up: Path, consumer: Path) -> None:
    url = Folder(up).read_env()["CONSUMER_URL"]
    assert f"  consumer  ready  {url}  events\n" in local(up, "status").stdout


def test_commands_start_in_no_time(up: Path) -> None:
    """Without loading aiohttp, gRPC or any Google library."""
    code = "import sys, local.__main__; print([m for m in sys.modules if m in %r])"
    heavy = ("aiohttp", "grpc", "google.protobuf", "asyncio")
    answer = subprocess.run(
        [sys.executable, "-c", code % (heavy,)], cwd=PROJECT, capture_output=True, text=True
    )
    assert answer.stdout == "[]\n"


@pytest.mark.parametrize("command", ["status", "idle", "down", "publish"])
def test_nothing_running_is_said(tmp_path: Path, command: str) -> None:
    arguments = ("{}",) if command == "publish" else ()
    answer = local(tmp_path, command, *arguments)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == f"no local cloud is running in {tmp_path}\n"


def test_inherited_emulator_addresses_are_ignored_with_one_line(up: Path) -> None:
    printed = (up.parent / "printed").read_text().splitlines()
    assert next(line for line in printed if "elsewhere:1" in line).startswith("ignored:")
    assert "elsewhere" not in Folder(up).env.read_text()


def test_a_port_that_is_taken_is_said(up: Path, tmp_path: Path) -> None:
    port = Folder(up).read_env()["LOCAL_URL"].rpartition(":")[2]
    answer = local(tmp_path, "up", "--port", port)
    assert answer.returncode == 1
    assert answer.stderr == f"port {port} (HTTP) is taken; LOCAL_PORT=0 or --port chooses others\n"


def test_a_gateway_port_that_is_taken_is_said_too(up: Path, tmp_path: Path) -> None:
    port = int(Folder(up).read_env()["PUBSUB_EMULATOR_HOST"].rpartition(":")[2])
    answer = local(tmp_path, "up", "--port", str(port - 1))
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"port {port} (gRPC) is taken")


def test_a_state_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    answer = local(tmp_path / "file" / "state", "up", LOCAL_PORT="0")
    assert (answer.returncode, answer.stdout) == (1, "")
    folder = tmp_path / "file" / "state"
    assert answer.stderr == f"cannot keep the state in {folder}: Not a directory\n"


def test_a_state_that_is_no_database_is_said_and_stays(tmp_path: Path) -> None:
    (tmp_path / "cloud.sqlite").write_text("no database, but long enough to be looked at" * 40)
    answer = local(tmp_path, "up", LOCAL_PORT="0")
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"cannot use the state in {tmp_path}/cloud.sqlite: ")
    assert "long enough" in (tmp_path / "cloud.sqlite").read_text()


def test_what_it_keeps_is_readable_by_its_owner_alone(up: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o077 for path in (up, *up.iterdir())}
    assert {"cloud", "cloud.sqlite", "env", "lock", "logs"} <= set(modes)
    assert set(modes.values()) == {0}


def test_a_port_of_the_environment_that_is_none_is_said(tmp_path: Path) -> None:
    answer = local(tmp_path, "up", LOCAL_PORT="http")
    assert answer.returncode == 64
    assert answer.stderr == "LOCAL_PORT: 'http' is not a port number (0: any free ones)\n"


def test_down_ends_the_cloud_and_its_functions(up: Path) -> None:
    """The last of the tests: the cloud is theirs, too."""
    assert local(up, "down").returncode == 0
    assert local(up, "status").returncode == 1
    assert not Folder(up).env.exists()
