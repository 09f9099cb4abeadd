"""The local Cloud Scheduler, stopped at the end."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.local.services.scheduler.scheduler_cloud import Local, Start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the scheduler (again) on one state file and port; `at` sets its clock."""
    started: list[Local] = []

    def start(at: datetime | None = None) -> Local:
        port = started[-1].port if started else 0
        started.append(Local(tmp_path / "state.db", at, port))
        return started[-1]

    yield start
    started[-1].stop()


@pytest.fixture
def local(start: Start) -> Local:
    """The scheduler on Monday, 4 January 2027, at 08:00 UTC."""
    return start(datetime(2027, 1, 4, 8, tzinfo=UTC))
