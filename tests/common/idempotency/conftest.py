from collections.abc import Iterator

import pytest

from common.cloud import firestore
from tests.common.memory_store import MemoryStore


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    """A Firestore in memory, which everything in the test reads and writes."""
    with firestore.using(MemoryStore()) as memory:
        yield memory
