"""The benchmarks can be run: what they import exists, and they say what they measure."""

import importlib
from pathlib import Path

import pytest

PROGRAMS = sorted(
    path.stem
    for path in Path(__file__).parent.glob("*.py")
    if path.name not in (Path(__file__).name, "__main__.py") and '"__main__"' in path.read_text()
)


def test_there_are_programs() -> None:
    assert {"events", "local_firestore", "local_tasks"} <= set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_says_what_it_measures(name: str) -> None:
    assert importlib.import_module(f"tests.bench.{name}").__doc__
