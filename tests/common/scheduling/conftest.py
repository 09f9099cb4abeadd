from collections.abc import Iterator

import pytest

from tests.common.memory_cloud import Cloud, cloud_in_memory


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Firestore and Cloud Tasks in memory."""
    with cloud_in_memory() as cloud:
        yield cloud
