"""What every test of this room has around it: documents in memory, and nothing known of anybody."""

import pytest

from common.cloud.memory import MemoryFirestore


@pytest.fixture(autouse=True)
def _surroundings(documents: MemoryFirestore) -> None:
    """Settings and documents; no destination has been reached before."""
