"""A stage that does not stand leaves nothing behind."""

import tempfile
from pathlib import Path

import pytest

from local.demo.stage import Stage, StageError


def test_what_does_not_become_ready_is_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is its pipe left open, which would be an error of whichever test runs next."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(StageError, match="did not become ready"):
        Stage(LOCAL_PORT="none")
    assert list(tmp_path.iterdir()) == []
