"""SIGTERM: work that does not finish in time is released, and its attempt does not count.

Cloud Run sends SIGTERM ten seconds before SIGKILL. gunicorn takes SIGTERM over after the fork, and
only the main thread may set handlers, while requests run in other threads. So the first request
wakes the main thread with SIGURG, which nobody else uses; its handler chains onto gunicorn's.

    SIGTERM        GRACE                     LAST_CALL     SIGKILL
       │─────────────│───────────────────────────│────────────│
       │ may finish  │ released, unless it is in │ released,  │
       │             │ the middle of an effect   │ if a repeat is allowed
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol

from common.process import logs

GRACE = 5.0
"""Seconds after SIGTERM that work in progress may still take."""
LAST_CALL = 8.0
"""Seconds after SIGTERM that an effect under way may still take."""


class Release(Protocol):
    """Gives work back; whether that was possible."""

    def __call__(self, *, is_last_call: bool) -> bool: ...


_releases: dict[int, Release] = {}
_chained = threading.Event()


def prepare() -> None:
    """Call it at import, in the main thread; does nothing in any other."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGURG, _chain)


@contextmanager
def releasing(release: Release) -> Iterator[None]:
    """While inside, a shutdown that outlasts the grace calls `release`, from another thread."""
    _ask_to_chain()
    _releases[id(release)] = release
    try:
        yield
    finally:
        _releases.pop(id(release), None)


def in_progress() -> list[Release]:
    """What this process would have to give back now."""
    return list(_releases.values())


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
        threading.Thread(target=_shut_down, daemon=True).start()
        if callable(previous):
            previous(number, frame)
        elif previous == signal.SIG_DFL:
            raise SystemExit(0)

    signal.signal(signal.SIGTERM, on_sigterm)
    signal.siginterrupt(signal.SIGTERM, False)  # as gunicorn had it


def _shut_down() -> None:
    began = time.monotonic()
    _wait_until(began + GRACE)
    _release_all(is_last_call=False)
    _wait_until(began + LAST_CALL)
    _release_all(is_last_call=True)


def _release_all(*, is_last_call: bool) -> None:
    # Side by side: one that waits for its own write must not keep the others waiting.
    for release in in_progress():
        threading.Thread(target=_release, args=(release, is_last_call), daemon=True).start()


def _release(release: Release, is_last_call: bool) -> None:
    with suppress(Exception):
        if release(is_last_call=is_last_call):
            logs.warning("released", "released for another instance: this one shuts down")


def _wait_until(deadline: float) -> None:
    while _releases and time.monotonic() < deadline:
        time.sleep(0.05)
