"""The virtual environment is set up when it has to be, and only then."""

import os
import subprocess
from pathlib import Path

import pytest

from local.setup.venv import fingerprint, included

SCRIPT = Path(__file__).parents[3] / "local" / "venv.sh"
OLD = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def requirements(tmp_path):
    (tmp_path / "base.txt").write_text("# nothing\n")
    (tmp_path / "more.txt").write_text("-r base.txt\n")
    return tmp_path / "more.txt"


def run(file, **environment):
    command = [SCRIPT, file]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )


def test_requirements_include_those_they_name(requirements):
    assert included(requirements) == [requirements, requirements.parent / "base.txt"]


def test_a_change_in_an_included_file_is_a_change(requirements):
    before = fingerprint(Path("/v"), requirements)
    (requirements.parent / "base.txt").write_text("# something\n")
    assert fingerprint(Path("/v"), requirements) != before


def test_an_environment_is_made_once_and_serves_what_it_includes(requirements, tmp_path):
    home = tmp_path / "venv"
    first = run(requirements, LOCAL_VENV=str(home))
    assert (first.returncode, first.stdout) == (0, f"{home}/bin/python\n"), first.stderr
    assert first.stderr.startswith("setting up venv from ")
    for file in (requirements, tmp_path / "base.txt"):
        again = run(file, LOCAL_VENV=str(home))
        assert (again.stdout, again.stderr) == (first.stdout, "")


def test_without_a_new_enough_python_it_says_so(requirements, tmp_path):
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14", "python"):
        (tmp_path / name).write_text(OLD)
        (tmp_path / name).chmod(0o755)
    done = run(requirements, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 1
    assert done.stderr.startswith("No Python 3.11 or newer found on PATH")
