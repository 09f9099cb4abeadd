"""Mistakes, made in memory: the real code with one change in it, for the length of a block.

    with mutant.made():
        ...                     # here a test or a scenario must fail

A mistake that cannot be made, because its code has changed, is an error of its own.
"""

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """One mistake: in the source of `where`, `right` is replaced by `wrong`."""

    name: str
    owner: Any
    """The module or class that `where` is an attribute of."""
    where: str
    right: str
    wrong: str
    caught_by: str
    """The scenario or the test that catches it."""

    @contextmanager
    def made(self) -> Iterator[None]:
        """The mistake is in the code inside the block."""
        original = getattr(self.owner, self.where)
        users = _users(self.where, original)
        try:
            mutated = self._mutated(original)
            for user in users:
                setattr(user, self.where, mutated)
            yield
        finally:
            for user in users:
                setattr(user, self.where, original)

    def _mutated(self, original: Callable[..., Any]) -> Callable[..., Any]:
        source = textwrap.dedent(inspect.getsource(original))
        assert source.count(self.right) == 1, f"{self.right!r} is not once in {self.where}"
        names: dict[str, Any] = {}
        code = compile(source.replace(self.right, self.wrong), f"<{self.name}>", "exec")
        exec(code, original.__globals__, names)
        mutated: Callable[..., Any] = names[self.where]
        return mutated


def _users(name: str, original: object) -> list[Any]:
    """Whoever calls it by that name: its home, and the modules that import it from there."""
    modules = [module for path, module in sys.modules.items() if path.startswith("common.")]
    classes = [it for module in modules for it in vars(module).values() if inspect.isclass(it)]
    return [it for it in {*modules, *classes} if vars(it).get(name) is original]
