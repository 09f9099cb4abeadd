from collections.abc import Iterator

import pytest

from tests.common.memory_cloud import cloud_in_memory


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """The settings, and no log: hundreds of thousands of attempts would write millions of lines."""
    with cloud_in_memory():
        yield
