"""Who may do what on what: asked for, given, taken away, on everything that has a policy."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.local.gcloud.gcloud_command import Gcloud

Guarded = Callable[..., Any]
HERE = "--location=europe-west1"
ADA = "--member=user:ada@example.com"
WORKER = "worker-of-policies@local-project.iam.gserviceaccount.com"
CREATE = {
    "pubsub topics": ("pubsub", "topics", "create", "guarded"),
    "pubsub subscriptions": ("pubsub", "subscriptions", "create", "guarded", "--topic=guarded"),
    "tasks queues": ("tasks", "queues", "create", "guarded", HERE),
    "secrets": ("secrets", "create", "guarded"),
    "artifacts repositories": (
        *("artifacts", "repositories", "create", "guarded", HERE),
        "--repository-format=docker",
    ),
}
ROLES = {
    "pubsub topics": "roles/pubsub.publisher",
    "pubsub subscriptions": "roles/pubsub.subscriber",
    "tasks queues": "roles/cloudtasks.enqueuer",
    "secrets": "roles/secretmanager.secretAccessor",
    "artifacts repositories": "roles/artifactregistry.writer",
}


def place(group: str) -> list[str]:
    return [HERE] if group in ("tasks queues", "artifacts repositories") else []


@pytest.fixture(scope="module")
def made() -> set[str]:
    """The groups whose resource was made already."""
    return set()


@pytest.fixture
def guarded(gcloud: Gcloud, made: set[str]) -> Guarded:
    """Runs a command on the resource of a group, which is there."""

    def run(group: str, verb: str, *words: str) -> Any:
        for kind in ("pubsub topics", group):
            if kind not in made:
                gcloud.run(*CREATE[kind])
                made.add(kind)
        return gcloud.read(*group.split(), verb, "guarded", *place(group), *words)

    return run


@pytest.mark.parametrize("group", CREATE)
def test_a_role_is_given_once_and_taken_away(guarded: Guarded, group: str) -> None:
    role = f"--role={ROLES[group]}"
    assert guarded(group, "get-iam-policy") == {"etag": "ACAB", "version": 1}
    for _ in range(2):
        guarded(group, "add-iam-policy-binding", ADA, role)
    bindings = guarded(group, "get-iam-policy")["bindings"]
    assert bindings == [{"members": ["user:ada@example.com"], "role": ROLES[group]}]
    guarded(group, "remove-iam-policy-binding", ADA, role)
    assert guarded(group, "get-iam-policy") == {"etag": "ACAB", "version": 1}


@pytest.mark.parametrize("group", CREATE)
def test_a_role_of_another_service_is_refused(guarded: Guarded, gcloud: Gcloud, group: str) -> None:
    guarded(group, "get-iam-policy")
    words = (*group.split(), "add-iam-policy-binding", "guarded", *place(group))
    shown = gcloud.fail(*words, ADA, "--role=roles/run.invoker", code=1)
    assert "INVALID_ARGUMENT: Role roles/run.invoker is not supported for this resource." in shown


@pytest.mark.parametrize("group", CREATE)
def test_what_does_not_exist_has_no_policy(gcloud: Gcloud, group: str) -> None:
    shown = gcloud.fail(*group.split(), "get-iam-policy", "nothing", *place(group), code=1)
    assert f"({'.'.join(['gcloud', *group.split()])}.get-iam-policy) NOT_FOUND: " in shown


@pytest.mark.parametrize("group", CREATE)
def test_a_binding_that_is_not_there_cannot_be_removed(
    guarded: Guarded, gcloud: Gcloud, group: str
) -> None:
    guarded(group, "get-iam-policy")
    words = (*group.split(), "remove-iam-policy-binding", "guarded", *place(group))
    shown = gcloud.fail(*words, ADA, f"--role={ROLES[group]}", code=1)
    assert "Policy binding with the specified principal, role, and condition not found!" in shown


def test_a_policy_goes_with_what_it_is_on(gcloud: Gcloud) -> None:
    words = ("pubsub", "topics")
    gcloud.run(*words, "create", "short-lived")
    gcloud.run(*words, "add-iam-policy-binding", "short-lived", ADA, "--role=roles/pubsub.viewer")
    gcloud.run(*words, "delete", "short-lived")
    gcloud.run(*words, "create", "short-lived")
    assert "bindings" not in gcloud.read(*words, "get-iam-policy", "short-lived")


def test_a_condition_is_part_of_its_binding(gcloud: Gcloud) -> None:
    role = "--role=roles/datastore.user"
    condition = '--condition=expression=resource.name=="projects/p/databases/d",title=only-d'
    words = ("projects", "add-iam-policy-binding", "local-project", ADA, role)
    gcloud.run(*words, condition)
    policy = gcloud.read(*words, "--condition=None")
    found = [b.get("condition") for b in policy["bindings"] if b["role"] == "roles/datastore.user"]
    assert found == [
        {"expression": 'resource.name=="projects/p/databases/d"', "title": "only-d"},
        None,
    ]
    assert policy["version"] == 3


def test_an_account_that_is_gone_keeps_its_place_as_nobody(gcloud: Gcloud) -> None:
    gcloud.run("iam", "service-accounts", "create", "worker-of-policies")
    member, role = f"--member=serviceAccount:{WORKER}", "--role=roles/logging.logWriter"
    words = ("local-project", member, role, "--condition=None")
    gcloud.run("projects", "add-iam-policy-binding", *words)
    gcloud.run("iam", "service-accounts", "delete", WORKER)
    policy = gcloud.read("projects", "get-iam-policy", "local-project")
    members = [m for b in policy["bindings"] for m in b["members"] if WORKER in m]
    assert [member.partition("?")[0] for member in members] == [f"deleted:serviceAccount:{WORKER}"]


def test_an_account_has_a_policy_of_its_own(gcloud: Gcloud) -> None:
    gcloud.run("iam", "service-accounts", "create", "acted-for")
    email = "acted-for@local-project.iam.gserviceaccount.com"
    role = "--role=roles/iam.serviceAccountUser"
    gcloud.run("iam", "service-accounts", "add-iam-policy-binding", email, ADA, role)
    policy = gcloud.read("iam", "service-accounts", "get-iam-policy", email)
    assert policy["bindings"][0]["role"] == "roles/iam.serviceAccountUser"
