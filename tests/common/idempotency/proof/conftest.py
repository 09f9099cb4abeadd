import pytest

from common.process import logs


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a million attempts would log millions of lines."""
    monkeypatch.setattr(logs, "_log", lambda *record: None)
