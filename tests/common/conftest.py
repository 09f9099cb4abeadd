"""What every test of `common` starts with."""

from collections.abc import Iterator

import pytest

from common.process import logs


@pytest.fixture(autouse=True)
def _unbound() -> Iterator[None]:
    """What a test binds to its log is not bound to the next test's."""
    with logs.bound():
        yield
