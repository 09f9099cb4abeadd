"""What happens when a process imports the functions."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORT = "import main, functions.consumer, functions.reminder, functions.fanout"


def python(code: str) -> subprocess.CompletedProcess[str]:
    """A process that runs this, with an empty environment."""
    command = [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = ['.']; {code}"]
    return subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=60)


def test_importing_the_functions_needs_no_environment_and_says_nothing() -> None:
    ended = python(IMPORT)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_importing_the_functions_makes_no_client_and_no_thread() -> None:
    """gRPC does not survive the fork that comes after it."""
    look = "import threading; from common.cloud import firestore, tasks; print("
    look += "threading.active_count(), firestore._make_client.cache_info().currsize, "
    look += "tasks._make_client.cache_info().currsize)"
    ended = python(f"{IMPORT}; {look}")
    assert ended.stdout == "1 0 0\n", ended.stderr
