"""What a process does that declares a function, and one that must not start."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from common.triggers import entry
from tests.common.wire import ENVIRONMENT

ROOT = Path(__file__).parents[3]
DECLARE = "from common.triggers import entry; entry.http(print)"


def python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A process that runs this, with nothing but `environ` in its environment."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_wrong_setting_ends_the_process_of_a_function_with_one_sentence() -> None:
    ended = python(DECLARE, **ENVIRONMENT, FUNCTION_TARGET="consumer", MAX_ATTEMPTS="some")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "MAX_ATTEMPTS is 'some', but must be a whole number, 1 to 9999.\n"


def test_a_right_one_starts() -> None:
    ended = python(DECLARE, **ENVIRONMENT, FUNCTION_TARGET="consumer")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(("environ", "prepared"), [({"FUNCTION_TARGET": "consumer"}, 1), ({}, 0)])
def test_only_the_process_of_a_function_is_prepared(environ: dict[str, str], prepared: int) -> None:
    """What libraries log becomes JSON, and the main thread can be woken for a shutdown."""
    look = "import logging, signal; print(len(logging.getLogger().handlers), "
    look += "callable(signal.getsignal(signal.SIGURG)))"
    ended = python(f"{DECLARE}; {look}", **ENVIRONMENT, **environ)
    assert (ended.stdout, ended.stderr) == (f"{prepared} {bool(prepared)}\n", "")


def test_any_other_process_is_left_as_it_is() -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    try:
        entry._prepare.__wrapped__()
        assert root.handlers == before
    finally:
        root.handlers = before
