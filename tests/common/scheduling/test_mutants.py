"""Every mistake is caught by a test that is named with it."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.errors import BundleError
from common.triggers import boundary
from tests.common.cloud import test_requests
from tests.common.memory_cloud import cloud_in_memory
from tests.common.mutants import Mutant
from tests.common.scheduling import test_campaigns, test_reminders, test_sweep
from tests.common.scheduling.mutants import MUTANTS

MODULES = (test_requests, test_reminders, test_sweep, test_campaigns)
CAUGHT = (AssertionError, BundleError, LookupError, ValueError, pytest.fail.Exception)
"""How a test fails because of a mistake; a mistake that is no sound code fails otherwise."""
UNSOUND = (AttributeError, ImportError, NameError)

Test = Callable[..., None]


def _name(mutant: Mutant) -> str:
    return mutant.name


@pytest.fixture(autouse=True)
def unsound_code_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The boundary makes an answer of any error."""
    failed = boundary._failed

    def fail(error: Exception) -> boundary.Ending:
        if isinstance(error, UNSOUND):
            raise error
        return failed(error)

    monkeypatch.setattr(boundary, "_failed", fail)


@pytest.mark.parametrize("mutant", MUTANTS, ids=_name)
def test_every_mistake_is_caught(mutant: Mutant) -> None:
    test = _test(mutant.caught_by)
    with mutant.made(), pytest.raises(CAUGHT):
        for arguments in _arguments(test):
            _run(test, arguments)


@pytest.mark.parametrize("name", sorted({mutant.caught_by for mutant in MUTANTS}))
def test_without_a_mistake_nothing_is_caught(name: str) -> None:
    test = _test(name)
    for arguments in _arguments(test):
        _run(test, arguments)


def test_a_mistake_that_cannot_be_made_is_an_error() -> None:
    stale = Mutant("stale", boundary, "attend", "no such text", "", "")
    with pytest.raises(AssertionError, match="'no such text' is not once in attend"):
        stale.made().__enter__()


def _test(name: str) -> Test:
    (found,) = [vars(it)[name] for it in MODULES if _defines(it, name)]
    test: Test = found
    return test


def _defines(module: Any, name: str) -> bool:
    return name in vars(module) and vars(module)[name].__module__ == module.__name__


def _arguments(test: Test) -> Iterator[dict[str, Any]]:
    """What the test is parametrized with."""
    marks = [it for it in getattr(test, "pytestmark", ()) if it.name == "parametrize"]
    if not marks:
        yield {}
        return
    (mark,) = marks
    names, values = mark.args
    for value in values:
        yield {names: value} if isinstance(names, str) else dict(zip(names, value, strict=True))


def _run(test: Test, arguments: dict[str, Any]) -> None:
    with cloud_in_memory() as cloud, pytest.MonkeyPatch.context() as monkeypatch:
        given = {"cloud": cloud, "monkeypatch": monkeypatch, **arguments}
        needed = {name: given[name] for name in inspect.signature(test).parameters}
        if test.__module__ != test_requests.__name__:
            return test(**needed)
    with pytest.MonkeyPatch.context() as monkeypatch, test_requests.clients():
        test(**{**needed, **({"monkeypatch": monkeypatch} if "monkeypatch" in needed else {})})
