"""What only gcloud tells: queues, tasks, schedules and logs, as JSON."""

import json
import subprocess
from typing import Any

from operations.errors import OperationsError
from operations.place.environment import Place

TIMEOUT = 60
"""Seconds."""
SHOWN = 300
"""Characters of what gcloud says when it fails."""


def listed(place: Place, *words: str) -> list[dict[str, Any]]:
    """What a command lists. Raises OperationsError with what gcloud says."""
    command = ["gcloud", *words, f"--project={place.project}", "--format=json", "--quiet"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise OperationsError("gcloud is not on PATH; install the Google Cloud CLI") from None
    except subprocess.TimeoutExpired:
        text = f"gcloud {' '.join(words[:3])} does not answer within {TIMEOUT} s"
        raise OperationsError(text) from None
    if done.returncode:
        raise OperationsError(f"gcloud {' '.join(words[:3])}: {done.stderr.strip()[:SHOWN]}")
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found
