"""The process groups that were started and must not outlive the cloud, however it ends."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")


class Groups:
    """Groups, by the id of their first process, and the leash that ends them after a kill."""

    def __init__(self) -> None:
        self._leash = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LEASH)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def started(self, pid: int) -> None:
        """Have a process group end with the cloud, from now on."""
        self._tell("+", pid)

    def end(self, pid: int) -> None:
        """Send SIGKILL to all processes of a group that still run."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        self._tell("-", pid)

    def close(self) -> None:
        """End all groups that are left, and the leash."""
        assert self._leash.stdin
        self._leash.stdin.close()
        self._leash.wait()

    def _tell(self, sign: str, pid: int) -> None:
        assert self._leash.stdin
        with contextlib.suppress(BrokenPipeError):  # somebody killed the leash
            self._leash.stdin.write(f"{sign}{pid}\n".encode())
            self._leash.stdin.flush()
