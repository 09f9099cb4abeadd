"""What the code under test has around it: settings, documents and queues, all in this process."""

from collections.abc import Iterator

import pytest

from common.cloud import firestore, tasks
from common.cloud.memory import MemoryFirestore, MemoryTasks
from common.outside import destinations
from common.process import logs, settings
from tests.common.process.test_settings import ENVIRON


@pytest.fixture(autouse=True)
def unbound() -> Iterator[None]:
    """What a test binds to its log is not bound to the next test's."""
    with logs.bound():
        yield


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """This process's settings, with all that is required; a test may set more of them first."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    settings.current.cache_clear()
    with destinations.fresh():
        yield monkeypatch
    settings.current.cache_clear()


@pytest.fixture
def documents(environment: pytest.MonkeyPatch) -> Iterator[MemoryFirestore]:
    """The documents that the code under test reads and writes, and the settings it needs."""
    with firestore.using(MemoryFirestore()) as made:
        yield made


@pytest.fixture
def queues(documents: MemoryFirestore) -> Iterator[MemoryTasks]:
    """The tasks that the code under test creates, by the clock of its documents."""
    with tasks.using(MemoryTasks(now=lambda: documents.now)) as made:
        yield made
