from collections.abc import Iterator
from unittest import mock

import pytest

from common.idempotency import decision
from common.process import logs
from tests.common.memory_cloud import cloud_in_memory


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """The settings, and no log: hundreds of thousands of attempts would write millions of lines."""
    with (
        cloud_in_memory(),
        mock.patch.object(logs, "_log"),
        mock.patch.object(decision, "MAX_VANISHED", 4),
    ):
        yield
