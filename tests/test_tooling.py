"""What the tools around the repository run: one command, which runs everything."""

import os
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


def read(name: str) -> Any:
    """A file in YAML."""
    return yaml.safe_load((ROOT / name).read_text())


def test_the_continuous_integration_runs_the_one_command_and_no_other() -> None:
    (job,) = read(".github/workflows/ci.yml")["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_continuous_integration_runs_on_push_and_pull_request() -> None:
    workflow = read(".github/workflows/ci.yml")
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML 1.1 reads `on` as true


def test_the_continuous_integration_begins_with_the_oldest_python_that_is_supported() -> None:
    (job,) = read(".github/workflows/ci.yml")["jobs"].values()
    pythons = job["strategy"]["matrix"]["python"]
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert pythons == ["3.11", "3.12", "3.13"]
    assert tools["mypy"]["python_version"] == pythons[0]
    assert tools["ruff"]["target-version"] == f"py{pythons[0].replace('.', '')}"


def test_a_commit_is_checked_by_the_tests_own_linters() -> None:
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    (hook,) = repository["hooks"]
    assert (repository["repo"], hook["entry"]) == ("local", "tests/run --check")


def test_every_script_is_checked_by_shellcheck() -> None:
    first = b"#!/usr/bin/env bash"
    folders = ("local", "tests", ".ci", "deployment", "operations")
    files = [ROOT / "deploy.sh", *(p for name in folders for p in (ROOT / name).rglob("*"))]
    scripts = {
        str(p.relative_to(ROOT)) for p in files if p.is_file() and p.read_bytes().startswith(first)
    }
    line = next(li for li in (ROOT / "tests/run").read_text().splitlines() if '/shellcheck"' in li)
    assert scripts <= set(line.split())
