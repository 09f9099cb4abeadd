"""Who runs beside whom in this process.

Work whose last attempt vanished may have killed its process, and its neighbours with it. It runs
alone: nobody new comes in (they are asked again later), and it starts once the others have left.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import InProgressError


class Room:
    """A process's room: many at once, or one alone."""

    def __init__(self) -> None:
        self._inside = 0
        self._reserved = False
        self._changed = threading.Condition()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Be inside. Raises InProgressError while somebody is, or waits to be, alone."""
        with self._changed:
            if self._reserved:
                raise InProgressError("work that needs the process for itself is at it")
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, *, patience: float) -> Iterator[None]:
        """From inside: wait up to `patience` seconds for the others to leave, and keep others out.

        Raises InProgressError if they do not leave in time, or if another one waits already.
        """
        with self._changed:
            if self._reserved:
                raise InProgressError("other work waits for the process for itself")
            self._reserved = True
        try:
            with self._changed:
                if not self._changed.wait_for(lambda: self._inside == 1, timeout=patience):
                    raise InProgressError("the process has not become free")
            yield
        finally:
            with self._changed:
                self._reserved = False
