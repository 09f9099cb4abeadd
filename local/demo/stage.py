"""Where the demo plays: a local cloud of its own, set up by `./deploy.sh local` in a new folder."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0
"""Seconds to wait, in real time, for what must come of itself."""


class StageError(Exception):
    """The demo's cloud did not become ready; the text holds what it printed."""


class Stage:
    """A running local cloud in a folder of its own; `close` ends it and removes the folder.

    With a Firestore of somebody else's, its clock cannot be moved: `pass_time` then waits.
    """

    def __init__(self, *, firestore: str | None = None, **environment: str) -> None:
        self.is_real_time = firestore is not None
        self.folder = Path(tempfile.mkdtemp(prefix="pulsecart-"))
        given = {"LOCAL_STATE": str(self.folder), "LOCAL_PORT": "0", **environment}
        self._process = subprocess.Popen(
            [str(ROOT / "deploy.sh"), "local", *(["--firestore", firestore] if firestore else [])],
            env={**os.environ, **given},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._read: dict[Path, int] = {}
        try:
            self._await_ready()
        except BaseException:
            self.close()
            raise
        lines = (self.folder / "env").read_text().splitlines()
        self.env = dict(line.split("=", 1) for line in lines)

    def post(self, verb: str, **body: Any) -> dict[str, Any]:
        """POST to `/local/v1/VERB` of the cloud and return the answered document."""
        url = f"{self.env['LOCAL_URL']}/local/v1/{verb}"
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=600) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def pass_time(self, seconds: float, *, until: Callable[[], bool]) -> None:
        """Move the clock, or in real time wait until `until()`; returns when nothing is due any
        more."""
        if not self.is_real_time:
            self.post("advance", seconds=seconds)
        deadline = time.monotonic() + PATIENCE
        while self.is_real_time and not until() and time.monotonic() < deadline:
            time.sleep(0.2)
        self.post("idle")

    def now(self) -> datetime:
        """Wait until the cloud is idle, and return its time."""
        return datetime.fromisoformat(self.post("idle")["now"])

    def new_records(self) -> list[dict[str, Any]]:
        """Return the functions' log records since the last call, in the order in which each wrote
        them."""
        found = []
        for path in sorted((self.folder / "logs").glob("*.log")):
            text = path.read_bytes()[self._read.get(path, 0) :]
            text = text[: text.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(text)
            found += [json.loads(line) for line in text.splitlines() if line.startswith(b"{")]
        return found

    def close(self) -> None:
        """Stop the cloud and remove its folder."""
        if self._process.poll() is None:
            self._end()
        if self._process.stdout:
            self._process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self) -> None:
        os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _await_ready(self) -> None:
        assert self._process.stdout is not None
        printed = []
        for line in self._process.stdout:
            printed.append(line)
            if line.startswith("ready"):
                return
        raise StageError(f"the local cloud did not become ready:\n{''.join(printed)}")
