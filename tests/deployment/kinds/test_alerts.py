"""Alerts: each row finds a line that the functions really write, and only such."""

import re
from typing import Any

import pytest

from deployment.kinds import alerts
from tests.common.logged import entries
from tests.common.surroundings import documents, environment, queues
from tests.deployment.conftest import Shell
from tests.functions.in_memory import Bundle, bundle

__all__ = ["bundle", "documents", "environment", "queues"]
SEVERITIES = ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"]
TERM = re.compile(r'(jsonPayload\.(\w+)="([^"]*)"|severity>=(\w+))')


def finds(query: str, line: dict[str, Any]) -> bool:
    """Whether a query of the little that the table uses finds a line of the log."""
    term = TERM.fullmatch(query)
    assert term, f"the test cannot read {query}"
    if term[4]:
        severity = line.get("severity", "DEFAULT")
        return SEVERITIES.index(severity) >= SEVERITIES.index(term[4])
    return str(line.get(term[2])) == term[3]


@pytest.fixture
def queries(shell: Shell) -> dict[str, str]:
    """What the rows of the table find."""
    rows = shell.work().target.bundle.alerts
    return {name: row.finds for name, row in rows.items()}


def test_a_dead_letter_is_found_by_its_alert(
    bundle: Bundle, queries: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    bundle.publish("order.placed", "ada", order_id="o-1")
    found = [line for line in entries(capfd) if finds(queries["dead-letter"], line)]
    assert len(found) == 1


def test_work_that_is_done_is_found_by_no_alert(
    bundle: Bundle, queries: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    bundle.publish("user.signed_up", "ada", email="ada@example.com")
    lines = entries(capfd)
    assert lines
    assert not [line for line in lines if any(finds(query, line) for query in queries.values())]


def test_a_policy_is_of_our_functions_alone_and_says_what_to_do(deployed: Shell) -> None:
    policies = deployed.project.of("alert").values()
    for policy in policies:
        [condition] = policy["conditions"]
        query = condition["conditionMatchedLog"]["filter"]
        assert 'service_name=("consumer" OR "reminder" OR "fanout")' in query
        assert policy["documentation"]["content"]
        assert policy["alertStrategy"]["notificationRateLimit"]


def test_where_gcloud_has_no_command_that_is_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.project.refuse = lambda words: (
        "ERROR: (gcloud) Invalid choice: 'policies'." if "policies" in words else None
    )
    shell.apply()
    assert shell.project.of("alert") == {}
    assert shell.plan().notes == ["not watched: this gcloud has no command for alert policies"]


def test_the_alpha_component_is_used_where_the_command_is_only_there(shell: Shell) -> None:
    shell.project.refuse = lambda words: (
        "ERROR: (gcloud.monitoring) Invalid choice: 'policies'."
        if words[:2] == ("monitoring", "policies")
        else None
    )
    shell.apply()
    assert len(shell.project.of("alert")) == 2
    assert alerts.GROUPS[1][0] == "alpha"
