"""A cloud for the verdict to look at, and Google's own Firestore emulator for the demo."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from local.testing import cloud

__all__ = ["cloud"]


@pytest.fixture
def emulator() -> Iterator[str]:
    """Google's Firestore emulator, empty, where gcloud and Java are found: `host:port`."""
    if not (shutil.which("gcloud") and shutil.which("java")):
        pytest.skip("Google's emulator needs gcloud and Java")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        ["gcloud", "emulators", "firestore", "start", f"--host-port={address}", "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        if not _listens(process, int(address.rpartition(":")[2])):
            pytest.skip("Google's emulator did not start (is the component installed?)")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.2)
    return False
