"""Kills a function's worker at a chosen point: right before or after one of its calls."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import grpc

from local.kernel.delivery import Request
from local.kernel.faults import Faults
from local.kernel.status import Status

LATEST = 6
"""A crash of the plan comes at one of the first six calls of a delivery: most handlers make fewer
than that, so earlier ones are likelier."""


class Workers(Protocol):
    """Whoever runs the functions."""

    def behind(self, url: str) -> str | None:
        """Return the full name of the function behind a URL; None: it is none of ours."""

    def kill_workers(self, name: str) -> int:
        """Send SIGKILL to a function's workers, and return how many there were."""


@dataclass(kw_only=True)
class Trap:
    """Springs at the `count`-th call that matches."""

    service: str = ""
    """`Firestore`, `CloudTasks`, … or a full name; empty: any."""
    method: str = ""
    subject: str = ""
    """Part of the business id (a document's or a task's name); empty: any."""
    count: int = 1
    before: bool = False
    """Kill before the call is applied, not after."""
    sprung: bool = False

    def step(self, service: str, method: str, subject: str) -> bool:
        """Count a call if it matches, and return whether it is the one to be killed at."""
        names = ("", service, service.rpartition(".")[2])
        if self.sprung or self.service not in names or self.method not in ("", method):
            return False
        if self.subject not in subject:
            return False
        self.count -= 1
        self.sprung = self.count <= 0
        return self.sprung


class Crashes:
    """The traps set for every function."""

    def __init__(self, faults: Faults, workers: Workers) -> None:
        self._faults = faults
        self._workers = workers
        self._traps: dict[str, list[Trap]] = {}

    def set(self, name: str, trap: Trap) -> Trap:
        """Set a trap for a function (full name); it stays until it springs."""
        waiting = [other for other in self._traps.get(name, ()) if not other.sprung]
        self._traps[name] = [*waiting, trap]
        self._faults.hooks[name.rpartition("/")[2]] = self._hook(name)
        return trap

    @contextlib.contextmanager
    def armed(self, request: Request, point: float) -> Iterator[None]:
        """Inside, the function behind the request's URL is killed after one of its calls.

        `point` in [0, 1) chooses which. If the delivery makes fewer calls, nothing happens.
        """
        name = self._workers.behind(request.url)
        if not name:
            yield
            return
        trap = self.set(name, Trap(count=1 + math.floor(LATEST * point * point)))
        try:
            yield
        finally:
            trap.sprung = True

    def _hook(self, name: str) -> Callable[[str, str, str], Callable[[], None] | None]:
        def look(service: str, method: str, subject: str) -> Callable[[], None] | None:
            traps = self._traps[name]
            sprung = [trap for trap in traps if trap.step(service, method, subject)]
            if not sprung:
                return None
            if sprung[0].before:
                self._kill(name)
                raise Status(grpc.StatusCode.UNAVAILABLE, "injected: the caller was killed")
            return lambda: self._kill(name)

        return look

    def _kill(self, name: str) -> None:
        self._faults.injected["kills"] += 1
        self._workers.kill_workers(name)
