"""Google's own gcloud against the local cloud, with nothing but its endpoint overrides."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.testing import LocalCloud, local_cloud

OURS = Path(__file__).parents[3] / "local" / "bin"
APIS = (
    *("ARTIFACTREGISTRY", "CLOUDFUNCTIONS", "CLOUDRESOURCEMANAGER", "CLOUDSCHEDULER", "CLOUDTASKS"),
    *("EVENTARC", "FIRESTORE", "IAM", "LOGGING", "MONITORING", "PUBSUB", "SECRETMANAGER"),
    "SERVICEUSAGE",
)
REGION = "europe-west1"
LOCATION = f"--location={REGION}"

pytestmark = pytest.mark.slow


def installed() -> Any:
    """The path of a gcloud that is not ours, or None."""
    folders = [f for f in os.get_exec_path() if Path(f).resolve() != OURS]
    return shutil.which("gcloud", path=os.pathsep.join(folders))


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    if not installed():
        pytest.skip("there is no gcloud but ours on PATH")
    with local_cloud() as made:
        made.region = REGION
        yield made


@pytest.fixture(scope="module")
def run(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs a command; what it answers as JSON, or raises Failed with what it says."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path_factory.mktemp("home")),
        "CLOUDSDK_CONFIG": str(tmp_path_factory.mktemp("config")),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_CORE_PROJECT": cloud.project,
        **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": f"{cloud.url}/" for api in APIS},
    }

    def run(*words: Any) -> Any:
        command = [installed(), *words, "--format=json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise Failed(done.stderr)
        return json.loads(done.stdout or "null")

    return run


class Failed(Exception):
    """gcloud refused, or what it called did."""


def ids(resources: Any) -> Any:
    return [resource["name"].rpartition("/")[2] for resource in resources]


def test_a_job_is_listed_paused_resumed_and_run(cloud: LocalCloud, run: Any) -> None:
    cloud.job("digest", "0 8 * * 1", "http://127.0.0.1:9/")
    assert ids(run("scheduler", "jobs", "list", LOCATION)) == ["digest"]
    run("scheduler", "jobs", "pause", "digest", LOCATION)
    assert run("scheduler", "jobs", "describe", "digest", LOCATION)["state"] == "PAUSED"
    run("scheduler", "jobs", "resume", "digest", LOCATION)
    run("scheduler", "jobs", "run", "digest", LOCATION)
    cloud.idle()
    job = run("scheduler", "jobs", "describe", "digest", LOCATION)
    assert job["state"] == "ENABLED"
    assert job["lastAttemptTime"]


def test_a_job_is_created_changed_and_deleted(run: Any) -> None:
    job = ("second", LOCATION)
    target = ("--uri=https://example.com/", "--message-body={}", "--max-retry-attempts=3")
    run("scheduler", "jobs", "create", "http", *job, "--schedule=0 9 * * *", *target)
    run("scheduler", "jobs", "update", "http", *job, "--schedule=0 10 * * *")
    changed = run("scheduler", "jobs", "describe", *job)
    assert (changed["schedule"], changed["retryConfig"]["retryCount"]) == ("0 10 * * *", 3)
    run("scheduler", "jobs", "delete", *job)
    with pytest.raises(Failed, match="NOT_FOUND"):
        run("scheduler", "jobs", "describe", *job)


def test_a_queue_is_listed_paused_resumed_and_purged(cloud: LocalCloud, run: Any) -> None:
    cloud.queue("reminders", rateLimits={"maxDispatchesPerSecond": 7})
    assert "reminders" in ids(run("tasks", "queues", "list", LOCATION))
    run("tasks", "queues", "pause", "reminders", LOCATION)
    paused = run("tasks", "queues", "describe", "reminders", LOCATION)
    assert (paused["state"], paused["rateLimits"]["maxDispatchesPerSecond"]) == ("PAUSED", 7)
    run("tasks", "queues", "resume", "reminders", LOCATION)
    run("tasks", "queues", "purge", "reminders", LOCATION)
    assert run("tasks", "queues", "describe", "reminders", LOCATION)["state"] == "RUNNING"


def test_a_queue_is_created_and_changed(run: Any) -> None:
    run("tasks", "queues", "create", "made", LOCATION, "--max-attempts=7", "--min-backoff=1s")
    run("tasks", "queues", "update", "made", LOCATION, "--max-concurrent-dispatches=3")
    made = run("tasks", "queues", "describe", "made", LOCATION)
    assert made["retryConfig"]["maxAttempts"] == 7
    assert made["rateLimits"]["maxConcurrentDispatches"] == 3


def test_a_task_is_created_listed_run_and_deleted(cloud: LocalCloud, run: Any) -> None:
    cloud.request("POST", f"/v2/{cloud.queue('work')}:pause", {})
    queue = ("--queue=work", LOCATION)
    run("tasks", "create-http-task", "one", *queue, "--url=http://127.0.0.1:9/")
    assert ids(run("tasks", "list", *queue)) == ["one"]
    assert run("tasks", "run", "one", *queue)["dispatchCount"] == 1
    run("tasks", "delete", "one", *queue)
    assert run("tasks", "list", *queue) == []


def test_a_queues_policy_is_remembered(cloud: LocalCloud, run: Any) -> None:
    cloud.queue("guarded")
    binding = ("--member=user:ada@example.com", "--role=roles/cloudtasks.enqueuer")
    run("tasks", "queues", "add-iam-policy-binding", "guarded", LOCATION, *binding)
    policy = run("tasks", "queues", "get-iam-policy", "guarded", LOCATION)
    assert policy["bindings"][0]["role"] == "roles/cloudtasks.enqueuer"


def test_a_message_is_published_and_pulled(cloud: LocalCloud, run: Any) -> None:
    run("pubsub", "topics", "create", "events")
    run("pubsub", "subscriptions", "create", "reader", "--topic=events")
    assert "events" in ids(run("pubsub", "topics", "list"))
    assert "reader" in ids(run("pubsub", "subscriptions", "list"))
    sent = run("pubsub", "topics", "publish", "events", "--message={}", "--attribute=a=b")
    (pulled,) = run("pubsub", "subscriptions", "pull", "reader", "--auto-ack")
    assert sent["messageIds"] == [pulled["message"]["messageId"]]
    assert pulled["message"]["attributes"] == {"a": "b"}


def test_a_subscription_is_changed(run: Any) -> None:
    run("pubsub", "topics", "create", "source", "source-dead")
    run("pubsub", "subscriptions", "create", "changing", "--topic=source")
    dead = ("--dead-letter-topic=source-dead", "--max-delivery-attempts=9")
    run("pubsub", "subscriptions", "update", "changing", "--ack-deadline=60", *dead)
    changed = run("pubsub", "subscriptions", "describe", "changing")
    assert changed["ackDeadlineSeconds"] == 60
    assert changed["deadLetterPolicy"]["maxDeliveryAttempts"] == 9
    run("pubsub", "subscriptions", "seek", "changing", "--time=2026-01-01T00:00:00Z")


def test_a_topics_policy_is_remembered(run: Any) -> None:
    run("pubsub", "topics", "create", "guarded-topic")
    binding = ("--member=user:ada@example.com", "--role=roles/pubsub.publisher")
    run("pubsub", "topics", "add-iam-policy-binding", "guarded-topic", *binding)
    policy = run("pubsub", "topics", "get-iam-policy", "guarded-topic")
    assert policy["bindings"][0]["members"] == ["user:ada@example.com"]
    with pytest.raises(Failed, match="NOT_FOUND"):
        run("pubsub", "topics", "get-iam-policy", "missing-topic")


def test_a_field_gets_a_time_to_live(run: Any) -> None:
    field = ("expire_at", "--collection-group=messages")
    run("firestore", "fields", "ttls", "update", *field, "--enable-ttl")
    (listed,) = run("firestore", "fields", "ttls", "list", "--collection-group=messages")
    assert listed["ttlConfig"]["state"] == "ACTIVE"


def test_a_function_and_its_trigger_are_seen(cloud: LocalCloud, run: Any, source: Path) -> None:
    cloud.deploy(source, "consumer", topic="of-consumer")
    assert ids(run("functions", "list", "--v2")) == ["consumer"]
    function = run("functions", "describe", "consumer", f"--region={REGION}", "--gen2")
    (trigger,) = run("eventarc", "triggers", "list", LOCATION)
    assert trigger["name"] == function["eventTrigger"]["trigger"]
    described = run("eventarc", "triggers", "describe", trigger["name"])
    assert described["transport"]["pubsub"]["topic"].endswith("/topics/of-consumer")


def test_a_project_has_a_number_and_services(cloud: LocalCloud, run: Any) -> None:
    assert run("projects", "describe", cloud.project)["projectNumber"].isdigit()
    run("services", "enable", "run.googleapis.com", "pubsub.googleapis.com")
    names = [service["config"]["name"] for service in run("services", "list", "--enabled")]
    assert {"run.googleapis.com", "pubsub.googleapis.com"} <= set(names)
    with pytest.raises(Failed, match=r"denied for service\(s\): frob\.googleapis\.com"):
        run("services", "enable", "frob.googleapis.com")


def test_an_account_gets_a_role_and_loses_it(cloud: LocalCloud, run: Any) -> None:
    accounts = ("iam", "service-accounts")
    email = f"worker@{cloud.project}.iam.gserviceaccount.com"
    run(*accounts, "create", "worker", "--description=shop/prod")
    run(*accounts, "update", email, "--display-name=Worker")
    binding = (f"--member=serviceAccount:{email}", "--role=roles/datastore.user")
    words = (cloud.project, *binding, "--condition=None")
    policy = run("projects", "add-iam-policy-binding", *words)
    assert {"members": [f"serviceAccount:{email}"], "role": "roles/datastore.user"} in (
        policy["bindings"]
    )
    policy = run("projects", "remove-iam-policy-binding", *words)
    assert "roles/datastore.user" not in [binding["role"] for binding in policy["bindings"]]
    (account,) = run(*accounts, "list")
    assert (account["description"], account["displayName"]) == ("shop/prod", "Worker")
    run(*accounts, "delete", email)
    with pytest.raises(Failed, match="NOT_FOUND: Unknown service account"):
        run(*accounts, "describe", email)


def test_a_secret_has_versions_and_a_policy(run: Any, tmp_path: Path) -> None:
    (tmp_path / "value").write_text("hidden")
    file = f"--data-file={tmp_path / 'value'}"
    run("secrets", "create", "key", "--replication-policy=automatic", "--labels=app=shop", file)
    run("secrets", "versions", "add", "key", file)
    versions = run("secrets", "versions", "list", "key")
    assert [version["name"].rpartition("/")[2] for version in versions] == ["2", "1"]
    answer = run("secrets", "versions", "access", "1", "--secret=key")
    assert answer["payload"]["data"] == "aGlkZGVu"
    (listed,) = run("secrets", "list", "--filter=labels.app=shop")
    assert listed["labels"] == {"app": "shop"}
    role = ("--role=roles/secretmanager.secretAccessor", "--member=user:ada@example.com")
    assert run("secrets", "add-iam-policy-binding", "key", *role)["bindings"]


def test_a_repository_is_made_and_listed(run: Any) -> None:
    words = ("artifacts", "repositories")
    run(*words, "create", "images", LOCATION, "--repository-format=docker", "--labels=app=shop")
    assert ids(run(*words, "list", LOCATION)) == ["images"]
    run(*words, "delete", "images", LOCATION)
    assert run(*words, "list", LOCATION) == []


def test_a_metric_is_made_and_listed(run: Any) -> None:
    run("logging", "metrics", "create", "m", "--description=d", "--log-filter=severity>=ERROR")
    assert [metric["name"] for metric in run("logging", "metrics", "list")] == ["m"]


def test_a_database_is_made_protected_and_changed(run: Any) -> None:
    database = "--database=shop"
    words = ("firestore", "databases")
    run(*words, "create", database, f"--location={REGION}", "--delete-protection")
    run(*words, "update", database, "--no-delete-protection")
    described = run(*words, "describe", database)
    assert described["deleteProtectionState"] == "DELETE_PROTECTION_DISABLED"
    run(*words, "delete", database)
    with pytest.raises(Failed, match="The database shop does not exist"):
        run(*words, "describe", database)


def test_pushing_is_switched_off(run: Any) -> None:
    run("pubsub", "topics", "create", "pushed")
    push = ("--push-endpoint=http://127.0.0.1:9/", "--push-auth-service-account=a@b.c")
    run("pubsub", "subscriptions", "create", "pushing", "--topic=pushed", *push)
    run("pubsub", "subscriptions", "modify-push-config", "pushing", "--push-endpoint=")
    described = run("pubsub", "subscriptions", "describe", "pushing")
    assert "pushEndpoint" not in described.get("pushConfig", {})
