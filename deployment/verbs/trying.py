"""`apply --check`: whether the functions start under exactly what is uploaded with them.

    requirements.txt, with its hashes ──▶ a fresh virtual environment ─┐
    the files that would be uploaded  ──▶ a folder of their own       ─┴──▶ each function starts

Secrets are left out: their values are read from nowhere. A function that does not start ends the
command before anything is changed, with what it said.
"""

import shutil
import subprocess
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path

from deployment.errors import DeploymentError
from deployment.kinds import variables
from deployment.table import source
from deployment.verbs.applying import Work

START = """
import os
from functions_framework import create_app

create_app(os.environ["FUNCTION_TARGET"])
"""
INSTALL = ("-m", "pip", "--disable-pip-version-check", "--quiet", "install")
INSTALLING, STARTING = 600, 120
"""Seconds."""


def check(work: Work, python: str = "") -> None:
    """Start each function; `python` instead of one in a fresh virtual environment.

    Raises DeploymentError for the first that does not start.
    """
    it, root = work.deployment(), work.target.root
    with tempfile.TemporaryDirectory() as folder:
        work.progress("… check: the functions are started under their pinned requirements")
        code = _copied(root, Path(folder) / "source")
        made = python or _environment(root, Path(folder) / "python")
        for row in work.target.bundle.functions.values():
            _start(made, code, row.name, variables.of(it, row))
            work.progress(f"… check: {row.name} starts")


def _copied(root: Path, folder: Path) -> Path:
    for path in source.files(root):
        copy = folder / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return folder


def _environment(root: Path, folder: Path) -> str:
    """The Python of a new environment with the requirements, all of which are pinned."""
    try:
        venv.create(folder, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError as error:
        raise DeploymentError(f"this Python makes no virtual environments: {error}") from error
    python = str(folder / "bin" / "python")
    pinned = ("--require-hashes", "--no-deps", "-r", str(root / "requirements.txt"))
    _run([python, *INSTALL, *pinned], INSTALLING, "requirements.txt cannot be installed")
    return python


def _start(python: str, code: Path, function: str, settings: Mapping[str, str]) -> None:
    environment = {
        **settings,
        "FUNCTION_TARGET": function,
        "K_SERVICE": function,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    about = f"function {function} does not start"
    _run([python, "-c", START], STARTING, about, cwd=code, env=environment)


def _run(
    words: list[str],
    patience: float,
    about: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    try:
        done = subprocess.run(
            words, cwd=cwd, env=env, capture_output=True, text=True, timeout=patience
        )
    except subprocess.TimeoutExpired as error:
        raise DeploymentError(f"{about} within {patience:g} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing is said"]
        raise DeploymentError(f"{about}: {said[-1]}")
