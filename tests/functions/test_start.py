"""What happens when a process imports the functions."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORT = "import main, functions.consumer, functions.reminder, functions.fanout"


LOOK = """
import threading
from common.cloud import firestore_service, tasks_service

print(
    threading.active_count(),
    firestore_service._connected.cache_info().currsize,
    tasks_service._connected.cache_info().currsize,
)
"""


def test_importing_the_functions_needs_no_environment_and_makes_no_client_and_no_thread() -> None:
    """gRPC does not survive the fork that comes after it."""
    code = f"import sys; sys.path[:0] = ['.']\n{IMPORT}\n{LOOK}"
    command = [sys.executable, "-I", "-c", code]
    ended = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1 0 0\n", "")


LATER = {"jwt", "google.cloud.tasks_v2", "google.cloud.firestore_v1", "google.cloud.pubsub_v1"}
"""What takes long to import, and is imported when it is needed first: Firestore when a process that
runs a function starts, the others by the first token and the first task."""


def test_importing_the_functions_imports_nothing_that_is_not_needed_yet() -> None:
    code = f"import sys; sys.path[:0] = ['.']\n{IMPORT}\nprint({LATER!r} & sys.modules.keys())"
    command = [sys.executable, "-I", "-c", code]
    ended = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "set()\n", "")
