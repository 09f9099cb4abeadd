"""What happens when a process imports the functions."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


ASK = """
import sys; sys.path[:0] = ['.']
import main
getattr(main, {function!r})
print(*sorted(name for name in sys.modules if name.startswith(("common.", "functions."))))
"""
WITHOUT = {
    "consumer": {
        "common.people.erasing",
        "common.scheduling.calls",
        "common.scheduling.campaigns",
        "common.scheduling.sweep",
        "common.triggers.http",
        "common.triggers.oidc",
        "functions.fanout",
        "functions.reminder",
        "functions.shop.campaigns",
        "functions.shop.personal_data",
    },
    "reminder": {"common.people.erasing", "functions.fanout", "functions.shop.personal_data"},
    "fanout": {
        "common.people.erasing",
        "common.scheduling.reminders",
        "common.triggers.pubsub",
        "functions.consumer",
        "functions.reminder",
        "functions.shop.carts",
        "functions.shop.inventory",
        "functions.shop.personal_data",
        "functions.shop.reminders",
    },
}
"""What the process of each function does not import: each module costs an instance's start."""


@pytest.mark.parametrize("function", WITHOUT)
def test_a_process_imports_no_other_function_and_what_only_that_one_needs(function: str) -> None:
    command = [sys.executable, "-I", "-c", ASK.format(function=function)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    imported = set(ended.stdout.split())
    assert f"functions.{function}" in imported, ended.stderr
    assert not imported & WITHOUT[function]
    assert not [name for name in imported if name.startswith("common.cloud.memory")]


def test_the_process_of_consumer_knows_which_kinds_of_reminders_are_handled() -> None:
    """So that one which is not in the table is refused when it is scheduled."""
    known = "from common.scheduling.kinds import ReminderKind; from common.process import tables"
    code = f"{ASK.format(function='consumer')}\n{known}\nprint(len(tables.listed(ReminderKind)))"
    command = [sys.executable, "-I", "-c", code]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.stdout.splitlines()[-1] == "5", ended.stderr


def test_a_function_with_a_mistake_is_not_taken_for_one_that_does_not_exist(tmp_path: Path) -> None:
    shutil.copy(ROOT / "main.py", tmp_path)
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "consumer.py").write_text("import json\njson.lods")
    code = "import sys; sys.path[:0] = ['.']\nimport main; hasattr(main, 'consumer')"
    command = [sys.executable, "-I", "-B", "-c", code]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    wrong = "module 'json' has no attribute 'lods'"
    said = ended.stderr.splitlines()[-1]
    assert said == f"ImportError: functions.consumer cannot be imported: {wrong}"
