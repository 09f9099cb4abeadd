"""What a process does that declares a function, and one that must not start."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.process import logs, settings, shutdown
from common.triggers import entry
from tests.common.wire import ENVIRONMENT

ROOT = Path(__file__).parents[3]
DECLARE = "from common.triggers import entry; entry.http(print)"


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """How this process was prepared to run a function."""
    made: list[str] = []
    monkeypatch.setattr(logs, "install", lambda: made.append("logs"))
    monkeypatch.setattr(shutdown, "prepare", lambda: made.append("shutdown"))
    entry._prepare.cache_clear()
    yield made
    entry._prepare.cache_clear()


@pytest.mark.parametrize("declare", [entry.http, entry.cloud_event])
def test_the_process_of_a_function_is_prepared_once(
    prepared: list[str], declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "is_function", lambda: True)
    declare(print)
    declare(print)
    assert prepared == ["logs", "shutdown"]


@pytest.mark.parametrize("declare", [entry.http, entry.cloud_event])
def test_any_other_process_is_left_as_it_is(prepared: list[str], declare: Any) -> None:
    declare(print)
    assert prepared == []


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
