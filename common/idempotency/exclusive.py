"""A lock of the process: many pieces of work share the process, or one has it exclusively.

Work whose last attempt vanished may have killed its process, and its neighbours with it. The next
attempt runs exclusively: no new work begins beside it (its deliveries are asked again later), and
it begins once the work that is running already has ended.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import InProgressError


class ProcessLock:
    """A shared/exclusive lock. There is one for each process; a test makes its own."""

    def __init__(self) -> None:
        self._holders = 0
        self._is_reserved = False
        self._changed = threading.Condition()

    @contextmanager
    def shared(self, *, patience: float = 0.0) -> Iterator[None]:
        """Hold the lock together with others, for the length of the `with` block.

        Waits up to `patience` seconds while somebody holds the lock exclusively or waits to do so;
        raises InProgressError if that does not end in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._is_reserved, timeout=patience):
                raise InProgressError("another piece of work needs this process for itself")
            self._holders += 1
        try:
            yield
        finally:
            with self._changed:
                self._holders -= 1
                self._changed.notify_all()

    @contextmanager
    def exclusive(self, *, patience: float, turn: float = 0.0) -> Iterator[None]:
        """Hold the lock alone, for the length of the `with` block; only inside of `shared`.

        Waits up to `turn` seconds while somebody else holds the lock exclusively or waits to do so,
        then up to `patience` seconds for the other holders to leave; nobody new comes in meanwhile.
        Raises InProgressError if its turn does not come, or the others do not leave, in time.
        """
        with self._changed:
            if self._is_reserved:
                self._step_aside(turn)
            self._is_reserved = True
        try:
            with self._changed:
                if not self._changed.wait_for(lambda: self._holders == 1, timeout=patience):
                    raise InProgressError("the process has not become free in time")
            yield
        finally:
            with self._changed:
                self._is_reserved = False
                self._changed.notify_all()

    def _step_aside(self, seconds: float) -> None:
        """Be no holder until the process is not reserved any more."""
        self._holders -= 1
        self._changed.notify_all()
        is_free = self._changed.wait_for(lambda: not self._is_reserved, timeout=seconds)
        self._holders += 1
        if not is_free:
            raise InProgressError("other work waits to have this process for itself")
