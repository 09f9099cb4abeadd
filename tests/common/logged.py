"""What a test finds in the log."""

import json
from typing import Any

import pytest


def entries(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged since the last look."""
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def entry(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one entry logged since the last look."""
    (found,) = entries(capfd)
    return found
