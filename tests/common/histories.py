"""What one actor asks, after everything that may have been answered: played once, then known."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

Item = TypeVar("Item")
Request = TypeVar("Request")


class Histories(ABC, Generic[Item, Request]):
    """One actor, as a tree of histories. Nodes are numbers; 0 is the beginning."""

    def __init__(self) -> None:
        self._before: list[tuple[int, Item] | None] = [None]
        self._after: dict[tuple[int, Item], int] = {}
        self.requests = [self._play([])]
        """What the actor asks at each node."""

    def after(self, node: int, item: Item) -> int:
        """The node that an answer leads to."""
        found = self._after.get((node, item))
        if found is None:
            found = len(self.requests)
            self._after[node, item] = found
            self._before.append((node, item))
            self.requests.append(self._play(self._history(found)))
        return found

    def _history(self, node: int) -> list[Item]:
        items = []
        while (before := self._before[node]) is not None:
            node, item = before
            items.append(item)
        return items[::-1]

    @abstractmethod
    def _play(self, items: list[Item]) -> Request:
        """Run the actor's code with these answers; what it asks next."""
