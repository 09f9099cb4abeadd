"""What functions print: a file each, and the last lines in memory for whoever asks."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
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

    def write(self, line: str) -> None:
        """Add a line, given without its line end."""
        self._write_all([line])

    def recent(self, count: int) -> list[str]:
        """Return the last `count` lines, oldest first."""
        return [line for _, line in list(self._recent)[-count:]]

    def timed(self) -> list[tuple[datetime, str]]:
        """Return the last lines with the time of each, oldest first."""
        return list(self._recent)

    async def follow(self, stream: asyncio.StreamReader) -> None:
        """Write what a process prints, until it closes the stream; lines of any length."""
        rest = b""
        while chunk := await stream.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            self._write_all([line.decode(errors="replace") for line in lines])
        self._write_all([rest.decode(errors="replace")] if rest else [])

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _write_all(self, lines: Sequence[str]) -> None:
        """Add lines that came together, in one write."""
        for line in lines:
            self._recent.append((self._now(), line))
            self.ignored.read(line)
        with contextlib.suppress(OSError):  # a full disk must not hold up who prints
            self._file.write("".join(f"{line}\n" for line in lines))
