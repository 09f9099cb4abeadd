"""What functions print: a file each, and the last lines in memory for whoever asks."""

import contextlib
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from local.services.functions.ignored import Ignored

KEPT_LINES = 300
"""Lines in memory, of each function."""
ROTATE_BYTES = 20_000_000
"""A log this long when it is opened becomes NAME.log.1."""


def _machine_time() -> datetime:
    return datetime.now(UTC)


class Log:
    """The output of one function; `now` tells the time of a line."""

    def __init__(self, path: Path, now: Callable[[], datetime] = _machine_time) -> None:
        self._now = now
        if path.exists() and path.stat().st_size > ROTATE_BYTES:
            path.replace(path.with_name(path.name + ".1"))
        self._file: IO[str] = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        self._recent: deque[tuple[datetime, str]] = deque(maxlen=KEPT_LINES)
        self.ignored = Ignored()

    def write(self, *lines: str) -> None:
        """Add lines, given without their line ends, in one write."""
        for line in lines:
            self._recent.append((self._now(), line))
            self.ignored.read(line)
        with contextlib.suppress(OSError):  # a full disk must not hold up who prints
            self._file.write("".join(f"{line}\n" for line in lines))

    def recent(self, count: int) -> list[str]:
        """Return the last `count` lines, oldest first."""
        return [line for _, line in list(self._recent)[-count:]]

    def timed(self) -> list[tuple[datetime, str]]:
        """Return the last lines with the time of each, oldest first."""
        return list(self._recent)

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()
