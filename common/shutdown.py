"""SIGTERM: work that does not finish in time is released, and its attempt does not count.

Cloud Run sends SIGTERM ten seconds before SIGKILL. gunicorn takes SIGTERM over after the fork, and
only the main thread may set handlers, while requests run in other threads. So the first request
wakes the main thread with SIGURG, which nobody else uses; its handler chains onto gunicorn's.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from common import logs

GRACE = 5.0
"""Seconds that work in progress may still take."""

_releases: dict[int, Callable[[], None]] = {}
_chained = threading.Event()


def prepare() -> None:
    """Call it at import, in the main thread; does nothing in any other."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGURG, _chain)


@contextmanager
def releasing(release: Callable[[], None]) -> Iterator[None]:
    """While inside, a shutdown that outlasts the grace calls `release`, from another thread."""
    _ask_to_chain()
    _releases[id(release)] = release
    try:
        yield
    finally:
        _releases.pop(id(release), None)


def _ask_to_chain() -> None:
    if not _chained.is_set() and signal.getsignal(signal.SIGURG) is _chain:
        main = threading.main_thread().ident
        if main is not None:
            signal.pthread_kill(main, signal.SIGURG)


def _chain(number: int, frame: FrameType | None) -> None:
    if _chained.is_set():
        return
    _chained.set()
    previous = signal.getsignal(signal.SIGTERM)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=_release_all, daemon=True).start()
        if callable(previous):
            previous(number, frame)
        elif previous == signal.SIG_DFL:
            raise SystemExit(0)

    signal.signal(signal.SIGTERM, on_sigterm)


def _release_all() -> None:
    deadline = time.monotonic() + GRACE
    while _releases and time.monotonic() < deadline:
        time.sleep(0.05)
    for release in list(_releases.values()):
        with suppress(Exception):
            release()
            logs.warning("released", "released for another instance: this one is shutting down")
