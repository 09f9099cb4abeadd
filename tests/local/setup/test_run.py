"""`./deploy.sh local`: up in the foreground until Ctrl-C, and sentences for everything else."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if not key.startswith("LOCAL_")},
    "LOCAL_VENV": sys.prefix,
    "LOCAL_PORT": "0",
}


def run(*words: Any, **environment: Any) -> Any:
    return subprocess.run(
        [ROOT / "deploy.sh", "local", *words],
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_lists_the_verbs() -> None:
    done = run("--help")
    assert done.returncode == 0
    for verb in ("--demo", "publish", "tick", "advance", "idle", "faults", "status", "down"):
        assert f"./deploy.sh local {verb}" in done.stdout


def test_a_verb_without_a_cloud_is_one_sentence_and_sets_nothing_up(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    done = run("status", LOCAL_STATE=str(tmp_path), LOCAL_VENV=str(venv))
    assert done.returncode == 1
    sentence = f"no local cloud is running in {tmp_path}; ./deploy.sh local starts one"
    assert done.stderr == f"./deploy.sh local: {sentence}\n"
    assert not venv.exists()


def test_an_unknown_verb_is_refused() -> None:
    done = run("frob")
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr == "./deploy.sh local: there is no frob; see ./deploy.sh local --help\n"


def test_a_wrong_option_is_one_sentence(tmp_path: Path) -> None:
    for words in (("--frob",), ("--demo", "--frob")):
        done = run(*words, LOCAL_STATE=str(tmp_path))
        assert (done.returncode, done.stdout) == (64, "")
        [sentence] = done.stderr.splitlines()
        assert sentence.startswith("./deploy.sh local")


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port), LOCAL_STATE=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"port {port} (HTTP) is taken; LOCAL_PORT=0 or --port chooses others\n"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cloud brought up by the script, and the lines it printed until it was ready."""
    state = tmp_path_factory.mktemp("state")
    with subprocess.Popen(
        [ROOT / "deploy.sh", "local"],
        env={**ENVIRONMENT, "LOCAL_STATE": str(state), "CART_REMINDER_DELAY": "5"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's `&` ignores it
    ) as process:
        assert process.stdout
        printed: list[str] = []
        while not printed or not printed[-1].startswith("SCHEDULER_SERVICE_ACCOUNT="):
            printed.append(process.stdout.readline())
            assert printed[-1], f"it ended before it was ready: {printed}"
        yield process, state, dict(line.strip().partition("=")[::2] for line in printed)
        if process.poll() is None:
            process.terminate()


@pytest.mark.slow
def test_it_prints_ready_and_the_addresses_at_which_functions_answer(up: Any) -> None:
    _, _, printed = up
    assert "ready" in printed
    answer = requests.get(f"{printed['REMINDER_URL']}/health", timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


@pytest.mark.slow
def test_the_callers_settings_reach_the_functions(up: Any) -> None:
    _, _, printed = up
    functions = requests.get(
        f"{printed['LOCAL_URL']}/v2/projects/local-project/locations/europe-west1/functions",
        timeout=10,
    ).json()["functions"]
    delays = [f["serviceConfig"]["environmentVariables"]["CART_REMINDER_DELAY"] for f in functions]
    assert delays == ["5"] * 3


@pytest.mark.slow
def test_an_interrupt_ends_it_and_everything_it_started(up: Any) -> None:
    process, state, printed = up
    process.send_signal(signal.SIGINT)  # to the script alone: it has to end the cloud itself
    assert process.wait(timeout=30) == 0
    assert not (state / "env").exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{printed['REMINDER_URL']}/health", timeout=10)
