"""Every schedule: a depth-first walk over the worlds, each visited once.

Every event uses up something, or brings an actor forward, so the worlds form a graph without
cycles, and the schedules are its paths: they are counted, not walked.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

World = TypeVar("World", bound=Hashable)


class Violation(Exception):
    """A promise was broken."""


class Broken(Exception):
    """A promise was broken; says by which schedule."""

    def __init__(self, violation: Violation, path: list[str]) -> None:
        super().__init__("\n  ".join([str(violation), *path]))
        self.violation = violation


@dataclass
class Explored:
    """What was found."""

    states: int = 0
    schedules: int = 0
    histories: int = 0
    endings: set[str] = field(default_factory=set)


class Move(Protocol):
    """One thing that can happen."""

    @property
    def what(self) -> str:
        """In words."""

    @property
    def world(self) -> Any:
        """The world then."""


@dataclass
class _Frame:
    key: int
    moves: Iterator[Move]
    what: str
    paths: int = 0


class Walk(ABC, Generic[World]):
    """A walk. Who explores something says what can happen, and looks at each world."""

    def __init__(self) -> None:
        self._paths: dict[int, int] = {}
        self._stack: list[_Frame] = []

    @abstractmethod
    def moves(self, world: World) -> Iterator[Move]:
        """Everything that can happen next. Raises Violation."""

    @abstractmethod
    def look(self, world: World) -> None:
        """Look at a world that is new. Raises Violation."""

    def key(self, world: World) -> int:
        """Worlds of the same key are the same."""
        return hash(world)

    def walk(self, beginning: World) -> Explored:
        """Walk through everything that can happen. Raises Broken."""
        try:
            self._open(beginning, self.key(beginning), "")
            while self._stack:
                self._step()
        except Violation as violation:
            path = [frame.what for frame in self._stack if frame.what]
            raise Broken(violation, path) from violation
        return Explored(states=len(self._paths), schedules=self._paths[self.key(beginning)])

    def _open(self, world: World, key: int, what: str) -> None:
        self._stack.append(_Frame(key, self.moves(world), what))
        self.look(world)

    def _step(self) -> None:
        frame = self._stack[-1]
        for move in frame.moves:
            key = self.key(move.world)
            if key in self._paths:
                frame.paths += self._paths[key]
                continue
            return self._open(move.world, key, move.what)
        self._stack.pop()
        self._paths[frame.key] = paths = frame.paths or 1
        if self._stack:
            self._stack[-1].paths += paths
