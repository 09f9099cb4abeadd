"""Errors of a project in which something was just made are waited for; real refusals are not."""

import pytest

from deployment.errors import DeploymentError
from deployment.gcloud import failures
from tests.deployment.conftest import Refusing, Shell
from tests.deployment.project import PROJECT

RESPONSE = "ERROR: (gcloud.functions.deploy) ResponseError: status=[{}], code=[Ok], message=[{}]"
OPERATION = "ERROR: (gcloud.functions.deploy) OperationError: code=3, message={}"
ACCOUNT = f"projects/-/serviceAccounts/run-consumer@{PROJECT}.iam.gserviceaccount.com"
FRESH = {
    "queue busy": (RESPONSE.format(409, "unable to queue the operation"), "another operation"),
    "bucket busy": (
        RESPONSE.format(409, "Could not create bucket gcf-v2-sources-1-europe-west1."),
        "the bucket",
    ),
    "act as": (
        RESPONSE.format(403, f"missing permission 'iam.serviceaccounts.actAs' on {ACCOUNT}"),
        "the right to act",
    ),
    "repository": (
        RESPONSE.format(403, "Unable to retrieve the repository metadata for projects/p/x."),
        "Cloud Functions' agent",
    ),
    "eventarc's agent": (
        RESPONSE.format(400, "Permission denied while using the Eventarc Service Agent. If you …"),
        "Eventarc's agent",
    ),
    "receiver": (
        RESPONSE.format(403, 'Permission "eventarc.events.receiveEvent" denied on "x"'),
        "the account that calls for events",
    ),
    "build": (
        OPERATION.format(
            "Could not build the function due to a missing permission on the build service account."
        ),
        "the account that builds",
    ),
    "secret": (OPERATION.format("Permission denied on secret: projects/1/secrets/x"), "a secret"),
    "account": (RESPONSE.format(404, f"Service account {ACCOUNT} was not found."), "an account"),
    "disabled": (
        "ERROR: (gcloud.x) PERMISSION_DENIED: X API has not been used in project p before or it is "
        "disabled.\n  reason: SERVICE_DISABLED",
        "a service that was just enabled",
    ),
    "quota": ("ERROR: (gcloud.x) RESOURCE_EXHAUSTED: Quota exceeded", "the quota of requests"),
    "policy": (
        "ERROR: (gcloud.x) ABORTED: There were concurrent policy changes. Please retry",
        "another change of the same policy",
    ),
}


@pytest.mark.parametrize("what", FRESH)
def test_an_error_of_a_fresh_project_is_waited_for_and_said(
    shell: Shell, refusing: Refusing, what: str
) -> None:
    error, said = FRESH[what]
    refusing("functions deploy consumer", error, 3)
    shell.apply()
    assert shell.slept == [2, 4, 8]
    assert [line for line in shell.said if said in line and "waiting for" in line]
    assert shell.lines() == []


REAL = [name for name in FRESH if name not in ("queue busy", "bucket busy", "quota", "policy")]


@pytest.mark.parametrize("what", REAL)
def test_the_same_error_is_a_refusal_where_nothing_was_just_changed(
    deployed: Shell, refusing: Refusing, what: str
) -> None:
    """The note of when it was first deployed is old; this run changes one function alone."""
    for account in deployed.project.of("account").values():
        account["description"] = account["description"].replace("; since=20", "; since=19")
    refusing("functions deploy", FRESH[what][0], 1)
    with pytest.raises(DeploymentError):
        deployed.edit("max_instances = 6", "max_instances = 5").apply()
    assert deployed.slept == []


def test_a_run_that_goes_on_after_an_interrupted_one_waits_too(
    deployed: Shell, refusing: Refusing
) -> None:
    refusing("functions deploy", FRESH["eventarc's agent"][0], 1)
    deployed.edit("max_instances = 6", "max_instances = 5").apply()
    assert deployed.slept == [2]


def test_an_error_that_does_not_pass_ends_it_with_gclouds_words(
    shell: Shell, refusing: Refusing
) -> None:
    error = RESPONSE.format(403, "Location europe-west1 is not found or access is unauthorized.")
    refusing("functions deploy fanout", error, 99)
    with pytest.raises(DeploymentError, match=r"function fanout: .*access is unauthorized"):
        shell.apply()


def test_a_create_whose_answer_was_lost_counts_as_done(shell: Shell) -> None:
    """gcloud's own second try meets what its first one made."""

    lost: list[tuple[str, ...]] = []

    def lose(words: tuple[str, ...]) -> str | None:
        if words[:4] == ("tasks", "queues", "create", "reminders") and not lost:
            lost.append(words)
            shell.project.run(*words)
            return "ERROR: (gcloud.tasks.queues.create) ALREADY_EXISTS: Queue already exists"
        return None

    shell.project.refuse = lose
    shell.apply()
    assert shell.lines() == []


def test_a_missing_permission_is_told_before_any_change(shell: Shell, refusing: Refusing) -> None:
    error = "ERROR: (gcloud.iam.service-accounts.list) PERMISSION_DENIED: not you"
    refusing("iam service-accounts list", error, 99)
    with pytest.raises(DeploymentError, match="PERMISSION_DENIED: not you"):
        shell.apply()
    assert shell.project.changes == []


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (RESPONSE.format(404, "x"), "NOT_FOUND"),
        (RESPONSE.format(409, "x"), "CONFLICT"),
        (OPERATION.format("x"), "INVALID_ARGUMENT"),
        ("ERROR: (gcloud.tasks.queues.list) PERMISSION_DENIED: you may not", "PERMISSION_DENIED"),
        ("ERROR: (gcloud.x) FAILED_PRECONDITION: One or more users …", "FAILED_PRECONDITION"),
        ("ERROR: (gcloud.x) HTTPError 404: The requested entity was not found", "NOT_FOUND"),
        ("ERROR: gcloud crashed (TypeError): oh", ""),
    ],
)
def test_the_status_of_an_error_is_read(text: str, status: str) -> None:
    assert failures.read(text).status == status


def test_every_text_of_the_table_has_a_source() -> None:
    assert all(row.source and row.waits_for for row in failures.PASSING)


def test_no_command_is_told_from_a_refusal() -> None:
    text = "ERROR: (gcloud.monitoring) Invalid choice: 'policies'."
    assert failures.read(text).has_no_command
    assert not failures.read("ERROR: (gcloud.x) NOT_FOUND: x").has_no_command


def test_googles_agents_are_made_before_they_are_granted_anything(shell: Shell) -> None:
    shell.apply()
    assert "pubsub.googleapis.com" in shell.project.of("agent")
    words = [" ".join(call) for call in shell.project.changes]
    made = next(n for n, call in enumerate(words) if "identity create" in call)
    assert made < next(n for n, call in enumerate(words) if "gcp-sa-pubsub" in call)


def test_a_gcloud_without_that_command_goes_on(shell: Shell) -> None:
    shell.project.missing.add("beta")
    shell.apply()
    assert shell.lines() == []
