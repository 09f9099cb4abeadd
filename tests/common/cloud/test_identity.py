"""A program on somebody's own machine calls Google with the credentials that it has."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError

from common.cloud import firestore_service, identity
from common.process import settings
from tests.common.process.test_settings import ENVIRON


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine on which nobody is logged in, and no emulator is named."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    for name in ("FIRESTORE_EMULATOR_HOST", "CLOUD_TASKS_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    settings.current.cache_clear()
    yield
    identity.use(None)
    firestore_service.disconnect()
    settings.current.cache_clear()


def test_without_any_the_library_looks_for_some() -> None:
    assert identity.credentials() is None
    with pytest.raises(DefaultCredentialsError):
        firestore_service.connected()


def test_those_that_are_given_are_used() -> None:
    identity.use(AnonymousCredentials)
    assert firestore_service.connected()
