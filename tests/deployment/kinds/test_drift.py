"""What was changed by hand is shown field by field and mended; what was not is left alone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from deployment.errors import DeploymentError, RefusedError
from deployment.verbs import applying
from tests.deployment.conftest import Shell
from tests.deployment.project import PROJECT, REGION, Project

Edit = Callable[[Project], object]
EMAIL = f"serviceAccount:run-consumer@{PROJECT}.iam.gserviceaccount.com"


def _consumer(project: Project) -> dict[str, object]:
    found: dict[str, object] = project.of("function")["consumer"]["serviceConfig"]
    return found


def _fed(project: Project) -> dict[str, object]:
    return next(it for name, it in project.of("subscription").items() if "eventarc" in name)


DRIFT: dict[str, tuple[Edit, str, str]] = {
    "memory": (
        lambda p: _consumer(p).update(availableMemory="1Gi"),
        "~ function consumer",
        "memory: is 1Gi, will be 512Mi",
    ),
    "instances": (
        lambda p: _consumer(p).update(maxInstanceCount=100),
        "~ function consumer",
        "max-instances: is 100, will be 6",
    ),
    "ingress": (
        lambda p: _consumer(p).update(ingressSettings="ALLOW_ALL"),
        "~ function consumer",
        "ingress-settings: is all, will be internal-only",
    ),
    "what a build is told": (
        lambda p: p.of("function")["consumer"]["buildConfig"].pop("environmentVariables"),
        "~ function consumer",
        "set-build-env-vars: is not set, will be SOURCE_DATE_EPOCH=315532801",
    ),
    "a setting": (
        lambda p: _consumer(p).update(
            environmentVariables={**_consumer(p)["environmentVariables"], "THREADS": "1"}  # type: ignore[dict-item]
        ),
        "~ function consumer",
        "settings.THREADS: is 1, will be 8",
    ),
    "retries": (
        lambda p: p.of("function")["consumer"]["eventTrigger"].update(
            retryPolicy="RETRY_POLICY_DO_NOT_RETRY"
        ),
        "~ function consumer",
        "retries: is no, will be yes",
    ),
    "a rate": (
        lambda p: p.of("queue")["digests"]["rateLimits"].update(maxDispatchesPerSecond=1.0),
        "~ queue digests",
        "max-dispatches-per-second: is 1, will be 100",
    ),
    "a queue's state": (
        lambda p: p.of("queue")["digests"].update(state="PAUSED"),
        "~ queue digests",
        "state: is PAUSED, will be RUNNING",
    ),
    "a schedule": (
        lambda p: p.of("job")["weekly-digest"].update(schedule="0 9 * * 1"),
        "~ schedule weekly-digest",
        "schedule: is 0 9 * * 1, will be 0 17 * * 0",
    ),
    "a paused schedule": (
        lambda p: p.of("job")["weekly-digest"].update(state="PAUSED"),
        "~ schedule weekly-digest",
        "state: is PAUSED, will be ENABLED",
    ),
    "the deadline": (
        lambda p: _fed(p).update(ackDeadlineSeconds=10),
        "~ subscription eventarc",
        "ack-deadline: is 10, will be 600",
    ),
    "no dead letters": (
        lambda p: _fed(p).pop("deadLetterPolicy"),
        "~ subscription eventarc",
        "dead-letter-topic: is not set, will be commerce-events-dead",
    ),
    "the slow lane": (
        lambda p: p.of("subscription")["commerce-events-slow"].update(pushConfig={}),
        "~ subscription commerce-events-slow",
        "push-endpoint: is not set",
    ),
    "protection": (
        lambda p: p.of("database")["(default)"].update(
            deleteProtectionState="DELETE_PROTECTION_DISABLED"
        ),
        "~ database (default)",
        "delete protection: is no, will be yes",
    ),
    "an alert": (
        lambda p: next(iter(p.of("alert").values())).update(enabled=False),
        "~ alert",
        "enabled: is no, will be yes",
    ),
    "a grant": (
        lambda p: p.policies.update({"queue inventory": p.policies["queue inventory"][:0]}),
        "+ grant run-consumer may cloudtasks.enqueuer on queue inventory",
        "",
    ),
}


@pytest.mark.parametrize("what", DRIFT)
def test_drift_is_shown_and_mended(deployed: Shell, what: str) -> None:
    _is_mended(deployed, *DRIFT[what])


def test_a_function_that_is_open_to_everybody_is_closed(deployed: Shell) -> None:
    deployed.project.grant("service consumer", "roles/run.invoker", "allUsers")
    assert deployed.lines() == ["- grant allUsers may no longer run.invoker on function consumer"]
    deployed.apply()
    assert not deployed.project.has("service consumer", "roles/run.invoker", "allUsers")


def test_a_function_that_asks_nobody_who_calls_does_so_again(deployed: Shell) -> None:
    unchecked = {"run.googleapis.com/invoker-iam-disabled": "true"}
    deployed.project.of("annotations")["consumer"] = unchecked
    assert "    open to everybody: is yes, will be no" in deployed.lines()
    deployed.apply()
    assert deployed.lines() == []


def test_a_header_that_somebody_added_is_taken_away(deployed: Shell) -> None:
    deployed.project.of("job")["weekly-digest"]["httpTarget"]["headers"]["Extra"] = "1"
    assert "    headers.Extra: is 1, will be not set" in deployed.lines()
    deployed.apply()
    assert deployed.lines() == []


def _is_mended(deployed: Shell, edit: Edit, line: str, field: str) -> None:
    edit(deployed.project)
    lines = deployed.lines()
    assert [it for it in lines if it.startswith(line)], lines
    assert [it for it in lines if field in it]
    deployed.apply()
    assert deployed.lines() == []


def test_a_wider_role_is_told_and_taken_away_only_when_that_is_said(deployed: Shell) -> None:
    place = f"project {PROJECT}"
    deployed.project.grant(place, "roles/editor", EMAIL)
    found = deployed.plan()
    assert found.changes == []
    assert "run-consumer has roles/editor on project my-project" in found.notes[0]
    deployed.apply(mend=frozenset({"roles"}))
    assert not deployed.project.has(place, "roles/editor", EMAIL)


def test_what_others_may_do_is_not_looked_at(deployed: Shell) -> None:
    deployed.project.grant("queue digests", "roles/cloudtasks.enqueuer", "user:x@example.com")
    assert deployed.plan(mend=frozenset({"roles"})).changes == []


def test_retries_are_mended_without_a_new_trigger(deployed: Shell) -> None:
    trigger = deployed.project.of("function")["consumer"]["eventTrigger"]
    trigger["retryPolicy"] = "RETRY_POLICY_DO_NOT_RETRY"
    deployed.apply()
    [deploy] = [call for call in deployed.project.changes if call[:2] == ("functions", "deploy")]
    assert "--retry" in deploy
    assert not [word for word in deploy if word.startswith("--trigger-topic")]


def test_a_redeploy_does_not_send_the_trigger(deployed: Shell) -> None:
    deployed.edit('memory = "512Mi"', 'memory = "1Gi"').apply()
    words = [word for call in deployed.project.changes for word in call]
    assert not [word for word in words if word.startswith("--trigger")]


def test_a_trigger_of_another_topic_takes_its_subscription_with_it(deployed: Shell) -> None:
    """That is told with the plan: what waits there is lost."""
    before = _fed(deployed.project)["name"]
    deployed.edit('woken_by = "commerce-events"', 'woken_by = "others"')
    deployed.edit('topic = "commerce-events"\n', 'topic = "others"\n')
    deployed.edit("[topics.commerce-events]", "[topics.others]\n[topics.commerce-events]")
    [note] = deployed.plan().notes
    assert "goes with the trigger of consumer, and what waits in it" in note
    deployed.apply()
    assert _fed(deployed.project)["name"] != before
    assert deployed.lines() == []


EDITS = {
    "function": ("max_instances = 6", "max_instances = 5", {"~ function consumer"}),
    "queue": (
        "a_second = 100",
        "a_second = 90",
        {"~ queue digests", "~ function fanout"},  # fanout tells a run how fast its queue is
    ),
    "schedule": ('"0 17 * * 0"', '"0 16 * * 0"', {"~ schedule weekly-digest"}),
    "expiry": (
        'fanouts = "expire_at"',
        'fanouts = "expire_at"\nothers = "expire_at"',
        {"+ expiry of others", "+ no index on expire_at of others"},
    ),
    "alert": ("severity>=ERROR", "severity>=CRITICAL", {"~ alert errors"}),
    "topic": (
        "[topics.commerce-events]",
        "[topics.more]\n[topics.commerce-events]",
        {"+ topic more"},
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_of_the_table_changes_one_thing(deployed: Shell, what: str) -> None:
    old, new, expected = EDITS[what]
    lines = deployed.edit(old, new).lines()
    assert {line for line in lines if not line.startswith(" ")} == expected


def test_a_provider_is_exchanged_only_when_that_is_said(shell: Shell) -> None:
    shell.edit(
        "[environments.default]\n",
        '[environments.default]\nsettings = { MESSAGING_URL = "https://one.test" }\n',
    ).apply()
    shell.edit("https://one.test", "https://two.test")
    with pytest.raises(RefusedError, match="MESSAGING_URL would be exchanged"):
        shell.apply()
    shell.apply(change_provider=True)
    assert _consumer(shell.project)["environmentVariables"]["MESSAGING_URL"] == "https://two.test"  # type: ignore[index]


def test_a_provider_is_not_forgotten_by_the_way(shell: Shell) -> None:
    line = 'settings = { MESSAGING_URL = "https://one.test" }\n'
    shell.edit("[environments.default]\n", f"[environments.default]\n{line}").apply()
    with pytest.raises(RefusedError, match="MESSAGING_URL would be unset"):
        shell.edit(line, "").apply()


QUEUE = "[queues.digests]"


def _without_digests(shell: Shell) -> None:
    """The row of the queue goes; the code still names it, which is not what is tested here."""
    before, _, after = shell.table.partition(QUEUE)
    shell.table = before + after[after.index("[queues.inventory]") :]


def test_a_removed_row_goes_when_it_is_empty(deployed: Shell) -> None:
    _without_digests(deployed)
    deployed.apply()
    assert "digests" not in deployed.project.of("queue")
    assert deployed.lines() == []


def test_a_removed_row_with_a_backlog_is_paused_kept_and_said(deployed: Shell) -> None:
    deployed.project.of("queue")["digests"]["waiting"] = 3
    _without_digests(deployed)
    deployed.apply()
    assert deployed.project.of("queue")["digests"]["state"] == "PAUSED"
    [note] = deployed.plan().notes
    assert note.startswith("queue digests is in the table no more; 3 tasks wait in it")
    assert deployed.lines() == []


def test_a_removed_row_with_a_backlog_goes_when_that_is_said(deployed: Shell) -> None:
    deployed.project.of("queue")["digests"]["waiting"] = 3
    _without_digests(deployed)
    deployed.apply(remove=frozenset({"queue/digests"}))
    assert "digests" not in deployed.project.of("queue")


def test_the_slow_lanes_row_is_removed_only_when_that_is_said(deployed: Shell) -> None:
    before, _, after = deployed.table.partition("[subscriptions.commerce-events-slow]")
    deployed.table = before + after[after.index("# --- Queues") :]
    deployed.apply()
    slow = deployed.project.of("subscription")["commerce-events-slow"]
    assert not slow["pushConfig"].get("pushEndpoint")
    deployed.apply(remove=frozenset({"subscription/commerce-events-slow"}))
    assert "commerce-events-slow" not in deployed.project.of("subscription")


def test_a_removed_topic_stays_while_somebody_reads_it(deployed: Shell) -> None:
    row = "[topics.more]\n"
    deployed.edit("[topics.commerce-events]", f"{row}[topics.commerce-events]").apply()
    reader = {"name": "theirs", "topic": f"projects/{PROJECT}/topics/more"}
    deployed.project.of("subscription")["theirs"] = reader
    deployed.edit(row, "").apply()
    assert "more" in deployed.project.of("topic")
    assert "topic more is in the table no more, and stays while theirs reads" in str(
        deployed.plan().notes
    )
    deployed.apply(remove=frozenset({"topic/more"}))
    assert "more" not in deployed.project.of("topic")


def test_a_removed_secret_stays(shell: Shell) -> None:
    """The functions read it no more; its value is thrown away by nobody but `destroy --purge`."""
    row = 'secrets = ["UNSUBSCRIBE_SECRET"]\n'
    shell.edit("[environments.default]\n", f"[environments.default]\n{row}")
    applying.keep_secret(shell.work(), "UNSUBSCRIBE_SECRET", "s3cret")
    shell.apply()
    shell.edit(row, "").apply()
    assert set(shell.project.of("secret")) == {"UNSUBSCRIBE_SECRET"}
    assert not _consumer(shell.project)["secretEnvironmentVariables"]
    assert shell.lines() == []


def test_a_pause_stops_everything_and_is_noted(deployed: Shell) -> None:
    said = deployed.pause()
    project = deployed.project
    assert {it["state"] for it in project.of("queue").values()} == {"PAUSED"}
    assert {it["state"] for it in project.of("job").values()} == {"PAUSED"}
    ends = {
        (it.get("pushConfig") or {}).get("pushEndpoint")
        for it in project.of("subscription").values()
    }
    assert not any(ends)
    builder = project.of("account")[f"functions-builder@{PROJECT}.iam.gserviceaccount.com"]
    assert "by deployer@example.com" in builder["description"]
    assert said.startswith("paused; Pub/Sub keeps events until ")


def test_a_pause_says_when_the_first_events_would_be_lost(shell: Shell) -> None:
    """Those of the subscription that keeps them for the shortest time: here 20 days."""
    shell.edit("keeps = 2678400\n", "keeps = 1728000\n").apply()
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    text = shell.pause().removeprefix("paused; Pub/Sub keeps events until ").partition(" UTC")[0]
    until = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    assert before <= until - timedelta(days=20) <= datetime.now(UTC)


def test_what_is_paused_stays_so_until_it_is_resumed(deployed: Shell) -> None:
    before = deployed.project.snapshot()
    deployed.pause()
    assert deployed.lines() == []
    deployed.resume()
    after = deployed.project.snapshot()
    assert deployed.lines() == []
    assert before.count("PAUSED") == after.count("PAUSED") == 0
    assert before.count("__GCP_CloudEventsMode") == after.count("pushEndpoint") - 1


def test_an_environment_that_is_not_deployed_cannot_be_paused(shell: Shell) -> None:
    with pytest.raises(DeploymentError, match="environment default is not deployed"):
        shell.pause()


def test_the_place_of_everything_is_the_tables(shell: Shell) -> None:
    shell.apply()
    calls = [word for call in shell.project.calls for word in call]
    places = {
        word.partition("=")[2] for word in calls if word.startswith(("--location", "--region"))
    }
    assert places == {REGION}
