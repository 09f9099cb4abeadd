"""The processes of functions: the CPU time they use, and how long they take to start."""

import contextlib
import http.client
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import psutil

from local.kernel import ports

PAUSE = 0.005
PATIENCE = 60.0
"""Seconds."""


def serving(url: str) -> psutil.Process:
    """The master process of the function at this address."""
    word = f"--port={urlsplit(url).port}"
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == process.pid and word in process.cmdline():
                return process
    raise LookupError(f"no process serves {url}")


def cpu_seconds(master: psutil.Process) -> float:
    """What a function's processes have used so far."""
    return sum(sum(process.cpu_times()[:2]) for process in [master, *master.children()])


def cold_start(
    master: psutil.Process, headers: Mapping[str, str], body: bytes
) -> tuple[float, float]:
    """Start another such process, until it answers this POST with a 2xx.

    Returns how many seconds that takes, and how many of CPU time.
    """
    port = ports.choose(0)
    words = [f"--port={port}" if w.startswith("--port=") else w for w in master.cmdline()]
    with tempfile.TemporaryDirectory() as run:
        environment = {**master.environ(), "PORT": str(port), "XDG_RUNTIME_DIR": run}
        began = time.monotonic()
        process = subprocess.Popen(
            words,
            cwd=master.cwd(),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while _post(port, headers, body) not in range(200, 300):
                if time.monotonic() - began > PATIENCE or process.poll() is not None:
                    raise TimeoutError(f"nothing answers: {' '.join(words)}")
                time.sleep(PAUSE)
            return time.monotonic() - began, cpu_seconds(psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


def _post(port: int, headers: Mapping[str, str], body: bytes) -> int:
    """The status, or 0 while nobody listens."""
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=PATIENCE)
    try:
        connection.request("POST", "/", body, dict(headers))
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
