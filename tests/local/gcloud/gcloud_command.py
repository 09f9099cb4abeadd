"""Runs commands of the mini gcloud in the test's process."""

import json
from typing import Any

import pytest

from local.gcloud.main import main
from local.testing import LocalCloud


class Gcloud:
    """Runs commands in this process; `run` returns what was printed, `fail` why it was refused."""

    def __init__(self, cloud: LocalCloud, capsys: pytest.CaptureFixture[str]) -> None:
        self.cloud = cloud
        self._capsys = capsys

    def run(self, *words: str) -> str:
        code = main([*words])
        printed = self._capsys.readouterr()
        assert code == 0, printed.err
        return printed.out.rstrip("\n")

    def fail(self, *words: str, code: int | None = None) -> str:
        """What is printed; `code` is the exit code, if it has to be a certain one."""
        ended = main([*words])
        printed = self._capsys.readouterr()
        assert ended != 0, printed.out
        assert code in (None, ended), printed.err
        return printed.err.rstrip("\n")

    def read(self, *words: str) -> Any:
        """What is printed as JSON."""
        return json.loads(self.run(*words, "--format=json"))
