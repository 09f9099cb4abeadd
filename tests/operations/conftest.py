"""A Firestore in memory, which the operations read and write as they do the real one."""

from collections.abc import Iterator

import pytest

from common.cloud import firestore
from common.cloud.memory import MemoryFirestore
from common.process import settings
from tests.common.process.test_settings import ENVIRON


@pytest.fixture
def memory() -> Iterator[MemoryFirestore]:
    """The documents."""
    with firestore.using(MemoryFirestore()) as memory:
        yield memory


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings of a bundle that is deployed."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    settings.current.cache_clear()
    yield
    settings.current.cache_clear()
