"""Runs commands of the mini gcloud in the test's process."""

import pytest

from local.gcloud.main import main


class Gcloud:
    """Runs commands in this process; `run` returns what was printed, `fail` why it was refused."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *words: str) -> str:
        code = main([*words])
        printed = self._capsys.readouterr()
        assert code == 0, printed.err
        return printed.out.rstrip("\n")

    def fail(self, *words: str) -> str:
        code = main([*words])
        printed = self._capsys.readouterr()
        assert code != 0, printed.out
        return printed.err.rstrip("\n")
