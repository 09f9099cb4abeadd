"""Alerts: each row finds a line that the functions really write, and only such."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.errors import (
    AmbiguousRefusalError,
    DeferredError,
    NotYetError,
    UnavailableError,
)
from common.idempotency.origin import Received
from common.messaging import transports
from common.messaging.transports import Outgoing
from common.triggers import boundary, oidc
from deployment.errors import RefusedError
from deployment.kinds import alerts, metrics
from local.services.functions import log_entries, log_filter
from tests.common.surroundings import documents, environment, queues
from tests.deployment.conftest import Shell
from tests.deployment.project import LOCATION
from tests.functions.in_memory import Bundle, bundle

__all__ = ["bundle", "documents", "environment", "queues"]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def found(shell: Shell, capfd: pytest.CaptureFixture[str]) -> "Finder":
    """Which alerts find what the functions have printed, as Cloud Logging would."""
    work = shell.work()
    rows = work.target.bundle.alerts.values()
    queries = {row.name: metrics.query(work.deployment(), row) for row in rows}
    return Finder(queries, capfd)


class Finder:
    """Reads what was printed, and asks each alert."""

    def __init__(self, queries: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
        self._queries, self._capfd = queries, capfd

    def __call__(self, function: str = "consumer") -> set[str]:
        """The alerts that find a line; there must be some lines."""
        lines = self._capfd.readouterr().out.splitlines()
        assert lines
        name = f"{LOCATION}/functions/{function}"
        entries = [log_entries.entry(name, NOW, line) for line in lines]
        asked = {name: log_filter.matching(query) for name, query in self._queries.items()}
        return {name for name, finds in asked.items() if any(map(finds, entries))}


def test_a_dead_letter_is_found_by_its_alert(bundle: Bundle, found: Finder) -> None:
    bundle.publish("order.placed", "ada", order_id="o-1")
    assert "dead-letter" in found()


def test_work_that_is_done_is_found_by_no_alert(bundle: Bundle, found: Finder) -> None:
    bundle.publish("user.signed_up", "ada", email="ada@example.com")
    assert found() == set()


def test_what_other_services_of_the_project_print_is_not_found(
    bundle: Bundle, found: Finder
) -> None:
    bundle.publish("order.placed", "ada", order_id="o-1")
    assert found("theirs") == set()


def test_a_sweep_that_finds_nothing_is_what_the_missing_sweep_waits_for(
    bundle: Bundle, found: Finder
) -> None:
    assert bundle.tick("reminder_sweep") == 200
    assert found("fanout") == {"missing-sweep"}


def test_a_reminder_whose_alarm_was_lost_is_found(bundle: Bundle, found: Finder) -> None:
    bundle.publish("user.signed_up", "ada", email="ada@example.com")
    bundle.tasks.take()
    bundle.firestore.advance(timedelta(days=9).total_seconds())
    found()
    bundle.tick("reminder_sweep")
    assert "overdue-reminders" in found("fanout")


class Killed(BaseException):
    """The process ends where nothing can be written any more."""


def _killed(bundle: Bundle) -> None:
    """An order whose mail ends the process, and what Pub/Sub and the lease need until the next."""
    with transports.using(Failing(Killed())), suppress(Killed):
        bundle.publish("order.placed", "ada", event_id="e-1", order_id="o-1", total=7)
    bundle.firestore.advance(timedelta(minutes=2).total_seconds())


def test_a_process_that_was_stopped_is_no_stuck_claim(bundle: Bundle, found: Finder) -> None:
    bundle.publish("user.signed_up", "ada", email="ada@example.com")
    _killed(bundle)
    _killed(bundle)
    assert found() == set()


def test_work_that_stops_its_process_again_is_a_stuck_claim(bundle: Bundle, found: Finder) -> None:
    """Whoever comes after the second time hands it over, and says so."""
    bundle.publish("user.signed_up", "ada", email="ada@example.com")
    _killed(bundle)
    _killed(bundle)
    found()
    bundle.publish("order.placed", "ada", event_id="e-1", order_id="o-1", total=7)
    assert found() == {"stuck-claims"}


@pytest.mark.usefixtures("environment")
def test_a_call_that_google_should_have_stopped_is_found(found: Finder) -> None:
    def call() -> Any:
        return oidc.check(None, audience="https://reminder.test", emails=["tasks@example.com"])

    ending = boundary.attend("reminder", lambda: Received(payload=b""), call)
    assert ending.code == 401
    assert found("reminder") == {"open-to-everybody"}


def _ended_with(error: Exception) -> None:
    def fail() -> Any:
        raise error

    boundary.attend("consumer", lambda: Received(payload=b""), fail)


class Failing:
    """A provider that takes no message."""

    name = "failing"

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def deliver(self, message: Outgoing) -> None:
        raise self._error


def _handed_over(bundle: Bundle, error: Exception) -> None:
    with transports.using(Failing(error)):
        assert bundle.publish("user.signed_up", "ada", email="ada@example.com") == 200


WAITS = {
    "an outage": (UnavailableError("the provider answered 503"), {"outage"}),
    "a refusal of perhaps all": (AmbiguousRefusalError("403"), {"outage"}),
    "one that is taken later": (DeferredError("greylisted"), set()),
    "something to come": (NotYetError("no sign-up"), set()),
    "a mistake of ours": (ZeroDivisionError("division by zero"), {"errors"}),
}


@pytest.mark.parametrize("what", WAITS)
def test_of_what_waits_outages_and_mistakes_are_found(found: Finder, what: str) -> None:
    error, alerts_ = WAITS[what]
    _ended_with(error)
    assert found() == alerts_


@pytest.mark.parametrize("what", WAITS)
def test_they_are_found_also_where_the_work_is_handed_over(
    bundle: Bundle, found: Finder, what: str
) -> None:
    error, alerts_ = WAITS[what]
    _handed_over(bundle, error)
    assert found() == alerts_


def test_an_order_before_its_sign_up_is_no_outage(bundle: Bundle, found: Finder) -> None:
    bundle.publish("order.placed", "ada", order_id="o-1", total=1)
    assert found() == set()


def test_a_mistake_of_ours_has_its_stack_also_where_the_work_is_handed_over(
    bundle: Bundle, capfd: pytest.CaptureFixture[str]
) -> None:
    _handed_over(bundle, ZeroDivisionError("division by zero"))
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    [line] = [line for line in lines if line["severity"] == "ERROR"]
    assert (line["action"], line["reason"]) == ("waiting", "transient")
    assert "ZeroDivisionError" in line["stack_trace"]


def test_a_policy_is_of_our_functions_alone_and_says_what_to_do(deployed: Shell) -> None:
    policies = deployed.project.of("alert").values()
    for policy in policies:
        [condition] = policy["conditions"]
        assert policy["documentation"]["content"]
        if "conditionMatchedLog" in condition:
            query = condition["conditionMatchedLog"]["filter"]
            assert 'service_name=("consumer" OR "reminder" OR "fanout")' in query
            assert policy["alertStrategy"]["notificationRateLimit"]


def test_what_is_missed_is_counted_by_a_metric_that_is_there_before(deployed: Shell) -> None:
    [metric] = deployed.project.of("metric").values()
    [absent] = [
        condition["conditionAbsent"]
        for policy in deployed.project.of("alert").values()
        for condition in policy["conditions"]
        if "conditionAbsent" in condition
    ]
    assert f'"logging.googleapis.com/user/{metric["name"]}"' in absent["filter"]
    assert absent["duration"] == "3600s"
    assert 'jsonPayload.campaign="reminder_sweep"' in metric["filter"]


def test_a_policy_waits_for_its_metric(shell: Shell) -> None:
    """Cloud Monitoring knows a metric some minutes after Cloud Logging."""
    left = [2]

    def late(words: tuple[str, ...]) -> str | None:
        if words[:3] == ("monitoring", "policies", "create") and left[0]:
            left[0] -= 1
            return (
                "ERROR: (gcloud.monitoring.policies.create) Projects instance [p] not found: "
                "Cannot find metric(s) that match type"
            )
        return None

    shell.project.refuse = late
    shell.apply()
    assert shell.slept
    assert shell.lines() == []


def test_a_row_that_is_gone_takes_its_metric_with_it(deployed: Shell) -> None:
    before, _, after = deployed.table.partition("[alerts.missing-sweep]")
    deployed.table = before + after[after.index("[alerts.open") :]
    deployed.apply()
    assert deployed.project.of("metric") == {}
    assert len(deployed.project.of("alert")) == len(deployed.work().target.bundle.alerts)


def test_a_metric_of_somebody_elses_is_refused(shell: Shell) -> None:
    shell.project.of("metric")["pulsecart-missing-sweep"] = {"name": "pulsecart-missing-sweep"}
    with pytest.raises(RefusedError, match="--adopt metric/pulsecart-missing-sweep"):
        shell.apply()
    assert shell.project.changes == []


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
    assert len(shell.project.of("alert")) == len(shell.work().target.bundle.alerts)
    assert alerts.GROUPS[1][0] == "alpha"
