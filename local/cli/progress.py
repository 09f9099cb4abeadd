"""Says how far a long command is, on standard error, while another thread waits for its answer."""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from local.kernel import durations

Answer = TypeVar("Answer")
PAUSE = 1.0
"""Seconds until the first word on how far it is."""
LONGEST_PAUSE = 30.0
"""Seconds from one line to the next in the end, where there is no terminal to write over it."""


def watched(
    work: Callable[[], Answer], tell: Callable[[], None], pauses: Iterable[float]
) -> Answer:
    """Return what `work` returns, or raise what it raises; it runs in a thread of its own.

    Until then, `tell` is called after each of the pauses, which are in seconds and never end.
    """
    done = threading.Event()
    results: list[Answer] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, daemon=True).start()
    for pause in pauses:
        if done.wait(pause):
            break
        tell()
    if errors:
        raise errors[0]
    return results[0]


def way(start: datetime, now: datetime, seconds: float) -> str:
    """Return where the clock is on a way of `seconds`: `Thu 03:43 … 12 d of 45 d`."""
    gone = durations.words((now - start).total_seconds())
    return f"{now:%a %H:%M} … {gone} of {durations.words(seconds)}"


class Line:
    """One line of a terminal that is written again and again; elsewhere a line each."""

    def __init__(self, stream: Any = sys.stderr) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._is_dirty = False

    def pauses(self) -> Iterator[float]:
        """Return the seconds between two texts: the same ones in a terminal, else growing ones."""
        pause = PAUSE
        while True:
            yield pause
            pause = PAUSE if self._is_terminal else min(2 * pause, LONGEST_PAUSE)

    def say(self, text: str) -> None:
        """Show the text in the place of the last one."""
        self._stream.write(f"\r\x1b[K{text}" if self._is_terminal else f"{text}\n")
        self._stream.flush()
        self._is_dirty = self._is_terminal

    def clear(self) -> None:
        """Take the text away, so that what is printed next begins a line."""
        if self._is_dirty:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
