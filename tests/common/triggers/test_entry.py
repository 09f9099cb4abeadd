"""What a process prints that must not start."""

import os
import subprocess
import sys
from pathlib import Path

from tests.common.wire import ENVIRONMENT

ROOT = Path(__file__).parents[3]
DECLARE = "from common.triggers import entry; entry.http(print)"


def test_a_wrong_setting_ends_the_process_with_one_sentence() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", DECLARE],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT, "CART_REMINDER_DELAY": "soon"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "CART_REMINDER_DELAY is 'soon', but must be a number of seconds, 0 to ten years.\n"
    )
