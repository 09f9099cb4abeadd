"""A local cloud in a process of its own, so that it is measured and not whoever measures."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from local.testing import LocalCloud

MIB = 1024 * 1024


class Measured(LocalCloud):
    """A running cloud whose process can be looked at."""

    def __init__(self, path: Path, pid: int) -> None:
        super().__init__(path)
        self.process = psutil.Process(pid)

    def rss(self) -> float:
        """MiB of memory the cloud's own process has resident."""
        return float(self.process.memory_info().rss) / MIB


@contextlib.contextmanager
def own_process() -> Iterator[Measured]:
    """The cloud, until the end of the block; its state is removed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [sys.executable, "-m", "local", "--state", folder, "up", "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout
            if not process.stdout.readline():  # printed when it serves
                raise RuntimeError("the local cloud did not start")
            with contextlib.closing(Measured(Path(folder), process.pid)) as cloud:
                yield cloud
        finally:
            process.terminate()
            process.communicate()
