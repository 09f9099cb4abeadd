"""A Firestore in memory, which the operations read and write as they do the real one."""

from collections.abc import Iterator

import pytest

from common.cloud import firestore
from common.cloud.memory import MemoryFirestore


@pytest.fixture
def memory() -> Iterator[MemoryFirestore]:
    """The documents."""
    with firestore.using(MemoryFirestore()) as memory:
        yield memory
