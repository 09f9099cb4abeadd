"""plan and apply on a project in memory: what is made, and that a second time changes nothing."""

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from deployment.errors import DeploymentError
from deployment.verbs import applying
from tests.deployment.conftest import Shell, deployed_once
from tests.deployment.project import PROJECT, READING, Interrupted, Project

EVERY = 13
OPTIONAL = {"identity", "cloudquotas.googleapis.com"}
"""Words of calls that may be refused."""


def changes() -> int:
    """How many changes a first apply makes."""
    return len(deployed_once().changes)


def removals(shell: Shell) -> int:
    """How many changes a destroy makes."""
    shell.project = deployed_once().copy()
    shell.destroy()
    return len(shell.project.changes)


def test_a_fresh_project_gets_everything(shell: Shell) -> None:
    shell.apply()
    there = shell.project.of
    assert set(there("function")) == {"consumer", "reminder", "fanout"}
    assert set(there("queue")) == {"reminders", "digests", "inventory", "fanout"}
    assert set(there("job")) == {"weekly-digest", "reminder-sweep"}
    assert set(there("topic")) == {"commerce-events", "commerce-events-dead"}
    assert set(there("database")) == {"(default)"}
    assert "commerce-events-slow" in there("subscription")


def test_a_second_apply_changes_nothing(deployed: Shell) -> None:
    deployed.apply()
    assert deployed.project.changes == []


def test_after_an_apply_there_is_nothing_to_change(deployed: Shell) -> None:
    assert deployed.lines() == []


def test_a_plan_changes_nothing(shell: Shell) -> None:
    before = shell.project.snapshot()
    assert shell.lines()
    assert shell.project.snapshot() == before
    assert shell.project.changes == []


def test_a_plan_and_the_apply_after_it_agree(shell: Shell) -> None:
    planned = {change.key for change in shell.plan().changes}
    shell.apply()
    made = {line.partition("\n")[0] for line in shell.said}
    assert {f"{sign} {kind} {name}" for sign, kind, name in planned if sign == "+"} <= made


def test_what_takes_long_is_said_to_be_going_on(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build takes minutes: it goes on here until that has been told."""
    monkeypatch.setattr(applying, "STILL", 0.01)
    told = threading.Event()

    def progress(line: str) -> None:
        if line.startswith("… still: ") and "function fanout" in line:
            told.set()

    def slow(words: tuple[str, ...]) -> None:
        if words[:3] == ("functions", "deploy", "fanout"):
            assert told.wait(30), "nobody says that it is going on"

    work = shell.work()
    shell.project.refuse = slow
    applying.apply(replace(work, progress=progress))
    assert told.is_set()


def test_each_function_is_built_once(shell: Shell) -> None:
    shell.apply()
    deploys = [call[2] for call in shell.project.changes if call[:2] == ("functions", "deploy")]
    assert sorted(deploys) == ["consumer", "fanout", "reminder"]


def test_a_function_gets_its_own_account_and_no_more(deployed: Shell) -> None:
    email = f"run-consumer@{PROJECT}.iam.gserviceaccount.com"
    held = {
        (place, it["role"])
        for place, bindings in deployed.project.policies.items()
        for it in bindings
        if f"serviceAccount:{email}" in it["members"]
    }
    assert held == {
        (f"project {PROJECT}", "roles/datastore.user"),
        (f"account tasks-caller@{PROJECT}.iam.gserviceaccount.com", "roles/iam.serviceAccountUser"),
        ("queue reminders", "roles/cloudtasks.enqueuer"),
        ("queue inventory", "roles/cloudtasks.enqueuer"),
    }


def test_the_account_that_builds_writes_into_its_own_repository_alone(deployed: Shell) -> None:
    member = f"serviceAccount:functions-builder@{PROJECT}.iam.gserviceaccount.com"
    writer = "roles/artifactregistry.writer"
    assert deployed.project.has("repository pulsecart-images", writer, member)
    assert not deployed.project.has(f"project {PROJECT}", writer, member)


def test_no_event_is_lost_or_delivered_while_it_is_worked_on(deployed: Shell) -> None:
    [fed] = [
        found for name, found in deployed.project.of("subscription").items() if "eventarc" in name
    ]
    assert fed["ackDeadlineSeconds"] == 600
    assert fed["messageRetentionDuration"] == "2678400s"
    assert fed["deadLetterPolicy"]["maxDeliveryAttempts"] == 100
    assert fed["deadLetterPolicy"]["deadLetterTopic"].endswith("/commerce-events-dead")


def test_the_slow_lane_calls_consumer_with_long_pauses(deployed: Shell) -> None:
    slow = deployed.project.of("subscription")["commerce-events-slow"]
    uri = deployed.project.of("function")["consumer"]["serviceConfig"]["uri"]
    assert slow["pushConfig"]["pushEndpoint"] == uri
    assert slow["retryPolicy"] == {"minimumBackoff": "600s", "maximumBackoff": "600s"}
    assert slow["messageRetentionDuration"] == "2678400s"


def test_a_schedules_token_is_for_the_address_its_function_was_told(deployed: Shell) -> None:
    job = deployed.project.of("job")["weekly-digest"]["httpTarget"]
    told = deployed.project.of("function")["fanout"]["serviceConfig"]["environmentVariables"]
    assert job["uri"] == job["oidcToken"]["audience"] == told["FANOUT_AUDIENCE"]


def test_an_apply_that_was_interrupted_is_resumed(shell: Shell) -> None:
    """Killed after any of its changes, the next run ends where an undisturbed one would."""
    for count in range(0, changes(), EVERY):
        shell.project = Project()
        shell.project.interrupt_after = count
        with pytest.raises(Interrupted):
            shell.apply()
        shell.project.interrupt_after = None
        shell.apply()
        assert shell.lines() == [], f"after {count} changes"


REPORTS = """
[functions.reports]
woken_by = "http"
memory = "512Mi"
cpu = 1
concurrency = 4
min_instances = 0
max_instances = 1
budget = 50
timeout = 60
lease = 90
ingress = "internal-only"
roles = ["roles/datastore.viewer"]

[queues.reports]
calls = "reports"
a_second = 1
at_once = 2
attempts = -1
first_pause = 10
last_pause = 600
doublings = 5
enqueued_by = ["consumer"]
looked_at_by = []
"""


def test_a_function_of_the_table_needs_no_other_edit(deployed: Shell) -> None:
    deployed.table += REPORTS
    deployed.apply()
    project = deployed.project
    email = f"run-reports@{PROJECT}.iam.gserviceaccount.com"
    caller = f"serviceAccount:tasks-caller@{PROJECT}.iam.gserviceaccount.com"
    assert project.of("function")["reports"]["serviceConfig"]["serviceAccountEmail"] == email
    assert project.has(f"project {PROJECT}", "roles/datastore.viewer", f"serviceAccount:{email}")
    assert project.has("service reports", "roles/run.invoker", caller)
    told = project.of("function")["consumer"]["serviceConfig"]["environmentVariables"]
    assert told["REPORTS_AUDIENCE"] == project.of("function")["reports"]["serviceConfig"]["uri"]
    finds = [it["conditions"][0] for it in project.of("alert").values()]
    finds = [it["conditionMatchedLog"]["filter"] for it in finds if "conditionMatchedLog" in it]
    assert all('"reports"' in it for it in finds)
    assert deployed.lines() == []


def test_the_callers_environment_reaches_no_function_but_the_local_ones(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSAGING_URL", "https://mine.test")
    shell.apply()
    told = shell.project.of("function")["consumer"]["serviceConfig"]["environmentVariables"]
    assert "MESSAGING_URL" not in told


def test_a_project_that_is_not_there_is_told_before_any_change(shell: Shell) -> None:
    error = "ERROR: (gcloud.projects.describe) PERMISSION_DENIED: The caller does not have it"
    shell.project.refuse = lambda words: error if words[0] == "projects" else None
    with pytest.raises(DeploymentError, match="PERMISSION_DENIED"):
        shell.apply()
    assert shell.project.changes == []


def test_a_destroy_that_was_interrupted_is_resumed(shell: Shell) -> None:
    """Killed after any of its changes, the next run removes the rest."""
    for count in range(0, removals(shell), EVERY):
        _destroyed_after(shell, count)


@pytest.mark.slow
def test_a_destroy_is_resumed_after_any_change_at_all(shell: Shell) -> None:
    """The same for every one of them."""
    for count in range(removals(shell)):
        _destroyed_after(shell, count)


def _destroyed_after(shell: Shell, count: int) -> None:
    shell.project = deployed_once().copy()
    shell.project.interrupt_after = count
    with pytest.raises(Interrupted):
        shell.destroy()
    shell.project.interrupt_after = None
    shell.destroy()
    left = {kind for kind, found in shell.project.things.items() if found}
    kept = {"account", "agent", "database", "exemption", "queue", "ttl"}
    assert left == kept, f"after {count} changes"
    assert len(shell.project.of("account")) == 1


@pytest.mark.slow
def test_after_any_change_at_all(shell: Shell) -> None:
    """The same for every one of them."""
    for count in range(changes()):
        shell.project = Project()
        shell.project.interrupt_after = count
        with pytest.raises(Interrupted):
            shell.apply()
        shell.project.interrupt_after = None
        shell.apply()
        assert shell.lines() == [], f"after {count} changes"


@pytest.mark.slow
def test_after_any_refusal_at_all(shell: Shell) -> None:
    """A refusal of any one call ends the run with its words; the next run goes on."""
    needed = [words for words in deployed_once().changes if not OPTIONAL & set(words)]
    for count in range(len(needed)):
        shell.project = Project()
        shell.project.refuse = _refusing(count)
        with pytest.raises(DeploymentError, match="not today"):
            shell.apply()
        shell.project.refuse = lambda words: None
        shell.apply()
        assert shell.lines() == [], f"after refusal {count}"


def _refusing(count: int) -> Callable[[tuple[str, ...]], str | None]:
    """Refuses the change after so many others, of those that are needed."""
    seen = itertools.count()

    def refuse(words: tuple[str, ...]) -> str | None:
        if READING & set(words) or OPTIONAL & set(words) or next(seen) != count:
            return None
        return "ERROR: (gcloud) PERMISSION_DENIED: not today"

    return refuse
