"""What a process does that declares a function, and one that must not start."""

import os
import subprocess
import sys
from pathlib import Path

from tests.common.wire import ENVIRONMENT

ROOT = Path(__file__).parents[3]
DECLARE = "from common.triggers import entry; entry.http(print)"


def declare(**environ: str) -> subprocess.CompletedProcess[str]:
    """A process that declares a function, with nothing but `environ` in its environment."""
    path = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        [sys.executable, "-c", DECLARE],
        cwd=ROOT,
        env={**path, **environ},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_wrong_setting_ends_the_process_of_a_function_with_one_sentence() -> None:
    ended = declare(**ENVIRONMENT, FUNCTION_TARGET="consumer", MAX_ATTEMPTS="some")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "MAX_ATTEMPTS is 'some', but must be a whole number, 1 to 9999.\n"


def test_a_right_one_starts() -> None:
    ended = declare(**ENVIRONMENT, FUNCTION_TARGET="consumer")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_importing_one_elsewhere_needs_no_environment() -> None:
    ended = declare()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
