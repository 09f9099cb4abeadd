"""Commands do in the local cloud what real gcloud's do in a project."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.testing import LocalCloud
from tests.local.gcloud.gcloud_command import Gcloud

HERE = ("--location", "europe-west1")
RUNNABLE = Path(__file__).parents[3] / "local" / "bin" / "gcloud"
MAIN = """
import os
import functions_framework

@functions_framework.http
def hello(request):
    return dict(os.environ)
"""


def test_a_queue_is_made_as_the_flags_say(gcloud: Gcloud) -> None:
    settings = ("--max-attempts=7", "--max-dispatches-per-second=0.5", "--min-backoff=3s")
    gcloud.run("tasks", "queues", "create", "q1", *HERE, *settings)
    keys = "name.basename(),rateLimits.maxDispatchesPerSecond,retryConfig.minBackoff,state"
    shown = gcloud.run("tasks", "queues", "list", *HERE, f"--format=value({keys})")
    assert shown == "q1\t0.5\t3s\tRUNNING"


def test_an_update_changes_what_it_names_and_nothing_else(gcloud: Gcloud) -> None:
    gcloud.run("tasks", "queues", "create", "q2", *HERE, "--max-attempts=7", "--min-backoff=3s")
    gcloud.run("tasks", "queues", "update", "q2", *HERE, "--max-attempts=9")
    keys = "retryConfig.maxAttempts,retryConfig.minBackoff"
    assert gcloud.run("tasks", "queues", "describe", "q2", *HERE, f"--format=value({keys})") == (
        "9\t3s"
    )


def test_a_paused_queue_says_so(gcloud: Gcloud) -> None:
    gcloud.run("tasks", "queues", "create", "q3", *HERE)
    gcloud.run("tasks", "queues", "pause", "q3", *HERE)
    assert gcloud.run("tasks", "queues", "describe", "q3", *HERE, "--format=value(state)") == (
        "PAUSED"
    )


def test_what_is_missing_is_not_found(gcloud: Gcloud) -> None:
    shown = gcloud.fail("tasks", "queues", "describe", "nowhere", *HERE)
    assert shown.startswith("ERROR: (gcloud.tasks.queues.describe) NOT_FOUND: ")


def test_what_exists_already_says_so(gcloud: Gcloud) -> None:
    gcloud.run("pubsub", "topics", "create", "twice")
    topic = "[projects/local-project/topics/twice]"
    assert gcloud.fail("pubsub", "topics", "create", "twice") == (
        f"ERROR: Failed to create topic {topic}: Resource already exists in the project "
        "(resource=twice).\n"
        "ERROR: (gcloud.pubsub.topics.create) Failed to create the following: [twice]."
    )


def test_a_subscription_keeps_its_dead_letter_policy(gcloud: Gcloud) -> None:
    gcloud.run("pubsub", "topics", "create", "events", "events-dead")
    gcloud.run("pubsub", "subscriptions", "create", "sub", "--topic=events", "--ack-deadline=20")
    limits = ("--dead-letter-topic=events-dead", "--max-delivery-attempts=50")
    gcloud.run("pubsub", "subscriptions", "update", "sub", *limits, "--ack-deadline=600")
    keys = "ackDeadlineSeconds,deadLetterPolicy.deadLetterTopic.basename()"
    shown = gcloud.run("pubsub", "subscriptions", "describe", "sub", f"--format=value({keys})")
    assert shown == "600\tevents-dead"


def test_a_message_published_is_pulled(gcloud: Gcloud) -> None:
    gcloud.run("pubsub", "topics", "create", "talk")
    gcloud.run("pubsub", "subscriptions", "create", "listener", "--topic=talk")
    gcloud.run("pubsub", "topics", "publish", "talk", "--message=hello")
    keys = "--format=value(message.data)"
    assert gcloud.run("pubsub", "subscriptions", "pull", "listener", "--auto-ack", keys) == (
        "aGVsbG8="
    )


def test_a_job_has_its_target_and_token(gcloud: Gcloud) -> None:
    target = ("--uri=http://127.0.0.1:9/", '--message-body={"a":1}', "--headers=X-A=b")
    token = ("--oidc-service-account-email=a@b.c", "--oidc-token-audience=http://x")
    schedule = ("--schedule=0 8 * * 1", "--attempt-deadline=5m")
    gcloud.run("scheduler", "jobs", "create", "http", "j", *HERE, *target, *token, *schedule)
    gcloud.run("scheduler", "jobs", "update", "http", "j", *HERE, "--update-headers=X-C=d")
    keys = "httpTarget.body,httpTarget.oidcToken.audience,attemptDeadline,httpTarget.headers.X-C"
    shown = gcloud.run("scheduler", "jobs", "describe", "j", *HERE, f"--format=value({keys})")
    assert shown == "eyJhIjoxfQ==\thttp://x\t300s\td"


def test_a_field_gets_its_expiry_and_loses_its_index(gcloud: Gcloud) -> None:
    where = ("--collection-group=messages", "--async")
    gcloud.run("firestore", "fields", "ttls", "update", "expire_at", "--enable-ttl", *where)
    assert gcloud.run("firestore", "indexes", "fields", "list", "--format=value(name)") == ""
    gcloud.run("firestore", "indexes", "fields", "update", "expire_at", "--disable-indexes", *where)
    for listing in (("fields", "ttls"), ("indexes", "fields")):
        shown = gcloud.run("firestore", *listing, "list", "--format=value(name)")
        assert shown.endswith("/databases/(default)/collectionGroups/messages/fields/expire_at")


def test_a_binding_is_remembered_once(gcloud: Gcloud) -> None:
    gcloud.run("iam", "service-accounts", "create", "worker")
    member = "--member=serviceAccount:worker@local-project.iam.gserviceaccount.com"
    binding = ("local-project", member, "--role=roles/viewer", "--condition=None")
    gcloud.run("projects", "add-iam-policy-binding", *binding)
    gcloud.run("projects", "add-iam-policy-binding", *binding)
    keys = ("--flatten=bindings[].members", "--format=value(bindings.role)")
    shown = gcloud.run("projects", "get-iam-policy", "local-project", *keys)
    assert shown == "roles/owner\nroles/viewer"
    gcloud.run("projects", "remove-iam-policy-binding", *binding)
    assert gcloud.run("projects", "get-iam-policy", "local-project", *keys) == "roles/owner"


def test_an_account_that_does_not_exist_gets_no_binding(gcloud: Gcloud) -> None:
    member = "--member=serviceAccount:nobody@local-project.iam.gserviceaccount.com"
    shown = gcloud.fail(
        "projects", "add-iam-policy-binding", "local-project", member, "--role=roles/viewer"
    )
    assert "INVALID_ARGUMENT: Service account nobody@" in shown


def test_a_function_runs_with_the_variables_of_the_deploy(
    gcloud: Gcloud, cloud: LocalCloud, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    place = ("--region=europe-west1", f"--source={tmp_path}")
    deploy = ("functions", "deploy", "hello", "--runtime=python312", "--trigger-http", *place)
    gcloud.run(*deploy, "--set-env-vars=^;^A=x,y;B=z", "--update-labels=v=1")
    assert cloud.call("hello").json()["A"] == "x,y"
    gcloud.run(*deploy, "--update-env-vars=B=new", "--update-labels=w=2")
    assert cloud.call("hello").json()["B"] == "new"
    keys = "--format=value(state,labels.v,labels.w)"
    assert gcloud.run("functions", "describe", "hello", "--region=europe-west1", keys) == (
        "ACTIVE\t1\t2"
    )
    gcloud.run("functions", "delete", "hello", "--region=europe-west1")
    missing = gcloud.fail("functions", "describe", "hello", "--region=europe-west1")
    assert "status=[404], code=[Ok], message=[Resource 'projects/" in missing


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--trigger-http", "--retry"), "`--retry` is not supported with `--trigger-http`"),
        (("--trigger-http", "--cpu=1"), "memory must be specified"),
        ((), "You must specify a trigger"),
        (("--trigger-http", "--network-tags=t"), "real gcloud has --network-tags"),
    ],
)
def test_a_deploy_that_could_not_work_is_refused(gcloud: Gcloud, flags: Any, text: str) -> None:
    shown = gcloud.fail(
        *("functions", "deploy", "wrong", "--runtime=python312", "--region=europe-west1"), *flags
    )
    assert text in shown


def test_a_command_that_is_not_carried_out_is_named(gcloud: Gcloud) -> None:
    shown = gcloud.fail("builds", "list")
    assert shown == (
        "ERROR: (gcloud.builds.list) real gcloud has this command, but the local one does not "
        "carry it out"
    )


def test_a_format_that_is_not_carried_out_is_refused_before_anything_is_done(
    gcloud: Gcloud,
) -> None:
    gcloud.fail("pubsub", "topics", "create", "never", "--format=table(name)")
    assert "NOT_FOUND" in gcloud.fail("pubsub", "topics", "describe", "never")


def test_without_a_cloud_it_says_how_to_start_one(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "LOCAL_STATE": str(tmp_path)}
    command = [sys.executable, str(RUNNABLE), "pubsub", "topics", "list"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "./deploy.sh local" in done.stderr


def test_the_state_folder_says_where_the_cloud_is(cloud: LocalCloud) -> None:
    environment = {"PATH": os.environ["PATH"], "LOCAL_STATE": str(cloud.path)}
    command = [
        sys.executable,
        str(RUNNABLE),
        "projects",
        "describe",
        "p",
        "--format=value(projectId)",
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "p\n")


def test_a_limit_is_cleared_and_attempts_may_be_unlimited(gcloud: Gcloud) -> None:
    gcloud.run("tasks", "queues", "create", "cleared", *HERE, "--max-concurrent-dispatches=3")
    changes = ("--max-attempts=unlimited", "--clear-max-concurrent-dispatches")
    changed = gcloud.read("tasks", "queues", "update", "cleared", *HERE, *changes)
    assert changed["retryConfig"]["maxAttempts"] == -1
    assert changed["rateLimits"]["maxConcurrentDispatches"] == 1000


def test_a_task_is_made_looked_at_and_deleted(gcloud: Gcloud) -> None:
    gcloud.run("tasks", "queues", "create", "of-tasks", *HERE)
    gcloud.run("tasks", "queues", "pause", "of-tasks", *HERE)
    queue = ("--queue=of-tasks", *HERE)
    token = ("--oidc-service-account-email=a@b.c", "--oidc-token-audience=http://127.0.0.1:9")
    url = ("--url=http://127.0.0.1:9/", "--method=GET")
    gcloud.run("tasks", "create-http-task", "one", *queue, *url, *token)
    shown = gcloud.read("tasks", "describe", "one", *queue)
    assert shown["httpRequest"]["oidcToken"]["audience"] == "http://127.0.0.1:9"
    assert len(gcloud.read("tasks", "list", *queue, "--limit=10")) == 1
    gcloud.run("tasks", "delete", "one", *queue)
    assert gcloud.read("tasks", "list", *queue) == []


def test_a_job_keeps_all_its_settings_and_can_be_paused(gcloud: Gcloud) -> None:
    settings = ("--time-zone=Europe/Berlin", "--description=shop/prod", "--http-method=post")
    retries = ("--max-retry-attempts=5", "--max-retry-duration=90000s", "--min-backoff=5s")
    job = ("scheduler", "jobs")
    target = ("--uri=http://127.0.0.1:9/", "--schedule=0 8 * * 1")
    gcloud.run(*job, "create", "http", "kept", *HERE, *target, *settings, *retries)
    gcloud.run(*job, "pause", "kept", *HERE)
    shown = gcloud.read(*job, "describe", "kept", *HERE)
    assert (shown["timeZone"], shown["description"]) == ("Europe/Berlin", "shop/prod")
    assert shown["retryConfig"]["maxRetryDuration"] == "90000s"
    assert shown["state"] == "PAUSED"
    gcloud.run(*job, "resume", "kept", *HERE)
    assert gcloud.read(*job, "describe", "kept", *HERE)["state"] == "ENABLED"


def test_an_account_is_described_changed_and_a_conflict_when_it_exists(gcloud: Gcloud) -> None:
    words = ("iam", "service-accounts")
    gcloud.run(*words, "create", "described", "--display-name=One", "--description=shop/prod")
    email = "described@local-project.iam.gserviceaccount.com"
    gcloud.run(*words, "update", email, "--description=other")
    shown = gcloud.read(*words, "describe", email)
    assert (shown["displayName"], shown["description"]) == ("One", "other")
    assert "is the subject of a conflict: Service account described already exists" in gcloud.fail(
        *words, "create", "described", code=1
    )
    assert "NOT_FOUND: Unknown service account" in gcloud.fail(
        *words, "describe", "nobody@local-project.iam.gserviceaccount.com", code=1
    )


def test_without_a_format_only_what_happened_is_said(gcloud: Gcloud) -> None:
    assert gcloud.run("pubsub", "topics", "create", "quiet") == ""
    assert gcloud.read("pubsub", "topics", "create", "shown")[0]["name"].endswith("/topics/shown")
