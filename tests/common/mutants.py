"""The real code with one mistake in it, made in memory; and the tests that notice.

A room's list of mistakes is in a `mutants.py` beside its tests: what somebody might write who edits
the code in a hurry. `tests/test_mutants.py` makes each of them and runs the tests that it names.
"""

import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from _pytest.assertion import util as assertion
from _pytest.runner import runtestprotocol

ROOT = Path(__file__).parents[2]
WITHOUT = ("terminal", "cacheprovider", "faulthandler", "xdist")
"""Plugins that belong to the session outside."""
OPTIONS = (
    f"--rootdir={ROOT}",
    "--override-ini=addopts=--strict-markers --import-mode=importlib",
    *(f"-pno:{plugin}" for plugin in WITHOUT),
)


@dataclass(frozen=True)
class Mutant:
    """One mistake: in the source of `where`, `right` is replaced by `wrong`."""

    name: str
    owner: Any
    """The module or class that `where` is an attribute of."""
    where: str
    right: str
    wrong: str

    @contextmanager
    def made(self) -> Iterator[None]:
        """The mistake is in the code inside the block, for all who hold the function already."""
        function = _function(getattr(self.owner, self.where))
        right, wrong = _body(function), _body(self._mutated(function))
        _put(function, wrong)
        try:
            yield
        finally:
            _put(function, right)

    def _mutated(self, function: Any) -> Any:
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.right) == 1, f"{self.right!r} is not once in {self.where}"
        names: dict[str, Any] = {}
        code = compile(source.replace(self.right, self.wrong), f"<{self.name}>", "exec")
        exec(code, function.__globals__, names)
        return _function(names[function.__name__])


@dataclass(frozen=True)
class Noticed(Mutant):
    """A mistake that each of the tests it names must notice."""

    tests: tuple[str, ...]
    """`test_http.py::test_health_is_ok_for_anybody`, from the folder of the list."""


def unnoticed(lists: Mapping[Path, Sequence[Noticed]]) -> dict[str, set[str]]:
    """By the name of each mistake, those of the tests it names that pass all the same.

    The lists are by the folder that their tests are in. Every test that is named runs once without
    a mistake first. Raises AssertionError if one does not pass then.
    """
    session = _Session(lists)
    # Nobody reads what differs, and finding that out can take an hour.
    with mock.patch.object(assertion, "_reprcompare", None):
        ended = pytest.main([*OPTIONS, *session.files()], plugins=[session])
    assert ended == 0, f"pytest ended with {ended!r}"
    assert not session.broken, f"without a mistake: {sorted(session.broken)}"
    return session.silent


class _Session:
    """A session of pytest inside of the session: it runs the same tests with each mistake."""

    def __init__(self, lists: Mapping[Path, Sequence[Noticed]]) -> None:
        self._lists = lists
        self._items: dict[str, list[Any]] = {}
        self.broken: set[str] = set()
        self.silent: dict[str, set[str]] = {}

    def files(self) -> list[str]:
        """The files of the tests that are named."""
        named = {folder / test.partition("::")[0] for folder, test in self._named()}
        return sorted(map(str, named))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport:
        """Only whether it passed: what a failure looks like costs more than the test."""
        outcome: Any = "failed" if call.excinfo else "passed"
        when: Any = call.when
        return pytest.TestReport(item.nodeid, item.location, {}, outcome, None, when)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for item in session.items:
            self._items.setdefault(f"{ROOT}/{item.nodeid.partition('[')[0]}", []).append(item)
        self.broken = {test for folder, test in self._named() if not self._passes(folder, test)}
        if not self.broken:
            for folder, mutants in self._lists.items():
                for mutant in mutants:
                    self.silent[mutant.name] = self._with(mutant, folder)
        return True

    def _with(self, mutant: Noticed, folder: Path) -> set[str]:
        with mutant.made():
            return self._passing(mutant, folder)

    def _passing(self, mutant: Noticed, folder: Path) -> set[str]:
        return {test for test in mutant.tests if self._passes(folder, test)}

    def _named(self) -> set[tuple[Path, str]]:
        return {
            (folder, test)
            for folder, mutants in self._lists.items()
            for mutant in mutants
            for test in mutant.tests
        }

    def _passes(self, folder: Path, test: str) -> bool:
        """Whether there is such a test, and it passes with all of its parameters that are quick."""
        found = self._items.get(f"{folder}/{test}", [])
        items = [it for it in found if not it.get_closest_marker("slow")] or found
        # In a context of its own: what a test or a mistake leaves bound to the log ends with it.
        return bool(items) and copy_context().run(lambda: all(map(_passed, items)))


def _passed(item: Any) -> bool:
    item._initrequest()  # it may have run before
    return all(it.passed for it in runtestprotocol(item, log=False, nextitem=None))


def _function(found: Any) -> Any:
    """The function itself, of a property, of a declaration, of one with decorators."""
    found = found.fget if isinstance(found, property) else found
    return inspect.unwrap(getattr(found, "handler", found))


def _body(function: Any) -> tuple[Any, ...]:
    return function.__code__, function.__defaults__, function.__kwdefaults__


def _put(function: Any, body: tuple[Any, ...]) -> None:
    function.__code__, function.__defaults__, function.__kwdefaults__ = body
