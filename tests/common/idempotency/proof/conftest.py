import pytest

from common.idempotency import decision
from common.process import logs
from tests.common.idempotency.proof.promises import MAX_VANISHED


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a million attempts would log millions of lines."""
    monkeypatch.setattr(logs, "_log", lambda *entry: None)
    monkeypatch.setattr(decision, "MAX_VANISHED", MAX_VANISHED)
