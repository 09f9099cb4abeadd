"""`apply --check`: the functions start with their settings, or it is told before any change."""

import sys

import pytest

from deployment.errors import DeploymentError
from deployment.verbs import trying
from tests.deployment.conftest import Shell

ROW = "[environments.default]\n"


def test_a_function_that_does_not_start_is_told_with_what_it_says(shell: Shell) -> None:
    shell.edit(ROW, f'{ROW}settings = {{ SMTP_URL = "nonsense" }}\n')
    with pytest.raises(DeploymentError, match=r"function consumer does not start: .*SMTP_URL"):
        trying.check(shell.work(), sys.executable)
    assert shell.project.changes == []


@pytest.mark.slow
def test_the_functions_start_in_a_fresh_environment(shell: Shell) -> None:
    trying.check(shell.work())
    started = [line for line in shell.said if line.endswith(" starts")]
    assert [line.split()[2] for line in started] == ["consumer", "reminder", "fanout"]
