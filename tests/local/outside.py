"""A local cloud in a process of its own, which can be killed with all that it started."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from local.testing import LocalCloud

PROJECT = Path(__file__).parents[2]


class Outside:
    """A cloud in a process of its own, which can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def up(self) -> Iterator[LocalCloud]:
        """It runs inside; at the end, if it still does, it is asked to stop."""
        environ = {**os.environ, "LOCAL_STATE": str(self.folder), "LOCAL_PORT": "0"}
        command = [sys.executable, "-m", "local", "up"]
        with subprocess.Popen(command, cwd=PROJECT, env=environ, stdout=subprocess.PIPE) as process:
            self.process = process
            assert process.stdout
            try:
                while not process.stdout.readline().startswith(b"local cloud: http"):
                    assert process.poll() is None
                with contextlib.closing(LocalCloud(self.folder)) as cloud:
                    yield cloud
            finally:
                process.terminate()
                process.communicate()  # what it still prints, so that it can

    def kill(self, *, functions: bool = True) -> Any:
        """SIGKILL the cloud, and all it started if asked; returns what it started."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for child in children if functions else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        return children
