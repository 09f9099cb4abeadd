"""Values that real gcloud, or the service behind it, refuses are refused here, with its exit code.

Each row is a command line that is right but for one value, and what is printed of it.
"""

from pathlib import Path

import pytest

from tests.local.gcloud.gcloud_command import Gcloud

HERE = "--location=europe-west1"
ACCOUNTS = ("iam", "service-accounts")
QUEUE = ("tasks", "queues", "create", "wrong", HERE)
SUBSCRIPTION = ("pubsub", "subscriptions", "create", "wrong", "--topic=of-refusals")
JOB = ("scheduler", "jobs", "create", "http", "wrong", HERE)
DOCKER = "--repository-format=docker"
WEEKLY, URI = "--schedule=0 8 * * 1", "--uri=https://example.com/"
BINDING = ("projects", "add-iam-policy-binding", "local-project", "--condition=None")
VIEWER, ADA = "--role=roles/viewer", "--member=user:ada@example.com"
NOT_A_NAME = "(gcloud.tasks.queues.create) INVALID_ARGUMENT: Queue name must be formatted"


@pytest.fixture
def topic(gcloud: Gcloud) -> None:
    """A topic for subscriptions."""
    gcloud.cloud.topic("of-refusals")


def refused(gcloud: Gcloud, code: int, text: str, *words: str) -> None:
    """The command is refused with that exit code and that text."""
    assert text in gcloud.fail(*words, code=code)


@pytest.mark.parametrize("id_", ["w", "Worker_Bad", "a" * 31, "1worker", "worker-"])
def test_accounts_ids(gcloud: Gcloud, id_: str) -> None:
    text = f"service-accounts.create) INVALID_ARGUMENT: Invalid service account ID '{id_}'"
    refused(gcloud, 1, text, *ACCOUNTS, "create", id_)


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("frob", "INVALID_ARGUMENT: The member frob is of an unknown type."),
        ("user:ada", "INVALID_ARGUMENT: The member user:ada is of an unknown type."),
        ("robot:ada@example.com", "INVALID_ARGUMENT: The member robot:ada@example.com is of"),
        ("allUsers", "INVALID_ARGUMENT: Members allUsers"),
        (
            "serviceAccount:nobody@local-project.iam.gserviceaccount.com",
            "INVALID_ARGUMENT: Service account nobody@local-project.iam.gserviceaccount.com does",
        ),
    ],
)
def test_members(gcloud: Gcloud, member: str, text: str) -> None:
    refused(gcloud, 1, text, *BINDING, f"--member={member}", VIEWER)


@pytest.mark.parametrize("role", ["viewer", "roles/pubsub.publish", "roles/run.invoke", "roles/"])
def test_roles(gcloud: Gcloud, role: str) -> None:
    text = f"INVALID_ARGUMENT: Role {role} is not supported for this resource."
    refused(gcloud, 1, text, *BINDING, ADA, f"--role={role}")


@pytest.mark.parametrize("label", ["App=shop", "app=Shop", "1app=shop", "app=a b"])
def test_labels(gcloud: Gcloud, label: str) -> None:
    commands = (
        ("pubsub", "topics", "create", "wrong", "--labels"),
        ("secrets", "create", "wrong", "--labels"),
        ("artifacts", "repositories", "create", "wrong", HERE, DOCKER, "--labels"),
    )
    for *words, flag in commands:
        refused(gcloud, 2, f"argument {flag}: Bad value [", *words, f"{flag}={label}")


@pytest.mark.parametrize("name", ["bad_queue", "a.b", "x" * 101])
def test_names_of_queues(gcloud: Gcloud, name: str) -> None:
    refused(gcloud, 1, NOT_A_NAME, "tasks", "queues", "create", name, HERE)


@pytest.mark.parametrize(
    ("flag", "code", "text"),
    [
        ("--max-attempts=some", 2, "argument --max-attempts: Value must be an integer"),
        ("--max-attempts=-2", 1, "INVALID_ARGUMENT: RetryConfig.maxAttempts"),
        ("--max-dispatches-per-second=501", 1, "INVALID_ARGUMENT: RateLimits.maxDispatches"),
        ("--max-concurrent-dispatches=5001", 1, "INVALID_ARGUMENT: RateLimits.maxConcurrent"),
        ("--min-backoff=lots", 1, "INVALID_ARGUMENT: "),
        ("--min-backoff=7200s", 1, "INVALID_ARGUMENT: "),
        ("--log-sampling-ratio=2", 1, "INVALID_ARGUMENT: StackdriverLoggingConfig"),
    ],
)
def test_settings_of_queues(gcloud: Gcloud, flag: str, code: int, text: str) -> None:
    refused(gcloud, code, text, *QUEUE, flag)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("tasks", "queues", "create", "q", "--location=nowhere"), "Location 'nowhere' is not a"),
        (("scheduler", "jobs", "list", "--location=europe-west9"), "Location 'europe-west9' is"),
        (("functions", "describe", "f", "--region=nowhere"), "status=[403], code=[Ok], message=["),
        (("firestore", "databases", "create", "--location=mars"), "Invalid location: 'mars'"),
    ],
)
def test_regions(gcloud: Gcloud, words: tuple[str, ...], text: str) -> None:
    refused(gcloud, 1, text, *words)


@pytest.mark.parametrize("schedule", ["99 8 * * 1", "0 8 * *", "every day", "0 8 * * L"])
def test_schedules(gcloud: Gcloud, schedule: str) -> None:
    text = "(gcloud.scheduler.jobs.create.http) INVALID_ARGUMENT: Schedule or time zone is invalid"
    refused(gcloud, 1, text, *JOB, URI, f"--schedule={schedule}")


@pytest.mark.parametrize(
    ("flag", "code", "text"),
    [
        ("--time-zone=Mars/City", 1, "INVALID_ARGUMENT: Time zone 'Mars/City'"),
        ("--attempt-deadline=1h", 1, "INVALID_ARGUMENT: Job.attemptDeadline"),
        ("--attempt-deadline=lots", 1, "ERROR: (gcloud) Duration unit 'lots' must be preceded by"),
        ("--max-retry-attempts=9", 1, "INVALID_ARGUMENT: RetryConfig.retryCount"),
        ("--uri=ftp://x", 2, "argument --uri: Bad value [ftp://x]: Must be a valid HTTP or HTTPS"),
        ("--headers=nothing", 2, "argument --headers: Bad syntax for dict arg: [nothing]."),
    ],
)
def test_settings_of_jobs(gcloud: Gcloud, flag: str, code: int, text: str) -> None:
    refused(gcloud, code, text, *JOB, WEEKLY, URI, flag)


@pytest.mark.parametrize(
    ("flag", "code", "text"),
    [
        ("--ack-deadline=5", 1, "Failed to create subscription"),
        ("--min-retry-delay=700s", 2, "argument --min-retry-delay: value must be less than or"),
        ("--message-retention-duration=32d", 2, "argument --message-retention-duration: value"),
        ("--message-retention-duration=lots", 2, "Failed to parse duration"),
        ("--message-filter=frob", 1, "Invalid filter: frob"),
        ("--max-delivery-attempts=3", 2, "argument --max-delivery-attempts: Value must be greater"),
        ("--max-delivery-attempts=5", 1, "Missing required argument [DEAD_LETTER_TOPIC]"),
        ("--push-endpoint=ftp://x", 1, "Unsupported push_endpoint"),
    ],
)
@pytest.mark.usefixtures("topic")
def test_settings_of_subscriptions(gcloud: Gcloud, flag: str, code: int, text: str) -> None:
    refused(gcloud, code, text, *SUBSCRIPTION, flag)


@pytest.mark.parametrize("name", ["Images", "images_1", "1images", "images-"])
def test_names_of_repositories(gcloud: Gcloud, name: str) -> None:
    text = "Names may only contain lowercase letters, numbers, and hyphens"
    words = ("artifacts", "repositories", "create", DOCKER, HERE, name)
    refused(gcloud, 1, text, *words)


@pytest.mark.parametrize("name", ["s.1", "a b", "x" * 256])
def test_names_of_secrets(gcloud: Gcloud, name: str) -> None:
    text = f"(gcloud.secrets.create) INVALID_ARGUMENT: The provided Secret ID [{name}] does not"
    refused(gcloud, 1, text, "secrets", "create", name)


@pytest.mark.parametrize("name", ["Bad_Name", "abc", "1abcd", "abcd-"])
def test_names_of_databases(gcloud: Gcloud, name: str) -> None:
    words = ("firestore", "databases", "create", "--location=eur3", f"--database={name}")
    refused(gcloud, 1, f"INVALID_ARGUMENT: database_id '{name}' is not valid", *words)


@pytest.mark.parametrize("name", ["frob.googleapis.com", "cloudtask.googleapis.com"])
def test_services(gcloud: Gcloud, name: str) -> None:
    text = f"PERMISSION_DENIED: Not found or permission denied for service(s): {name}."
    refused(gcloud, 1, text, "services", "enable", name)


@pytest.mark.parametrize(
    ("name", "flags", "code", "text"),
    [
        ("wrong", ["--runtime=python27"], 1, "Invalid value for [--runtime]: python27 is not a"),
        ("wrong", ["--memory=lots"], 1, "Invalid value for [--memory]: Invalid memory value for"),
        ("wrong", ["--concurrency=0"], 2, "argument --concurrency: Value must be greater than"),
        ("wrong", ["--min-instances=3", "--max-instances=2"], 1, "status=[400], code=[Ok]"),
        ("wrong", ["--max-instances=0"], 2, "argument --max-instances: Value must be greater"),
        ("wrong", ["--timeout=lots"], 2, "argument --timeout: Failed to parse duration"),
        ("wrong", ["--timeout=3601s"], 1, "status=[400], code=[Ok]"),
        ("wrong", ["--update-labels=App=x"], 2, "argument --update-labels: Bad value [App]"),
        ("wrong", ["--set-env-vars=1A=b"], 1, "invalid env names were provided: 1A"),
        ("wrong", ["--set-env-vars=PORT=1"], 1, "invalid env names were provided: PORT"),
        ("wrong", ["--set-env-vars=A=b", "--set-secrets=A=s:1"], 1, "overlaps non secret"),
        ("wrong", ["--set-secrets=A=s"], 2, "Secret value configuration for key [A] must be"),
        ("wrong", ["--set-secrets=A=nothing:1"], 1, "Permission denied on secret: projects/"),
        ("wrong", ["--cpu=0.5", "--memory=256Mi", "--concurrency=8"], 1, "status=[400]"),
        ("wrong", ["--service-account=a@local-project.iam.gserviceaccount.com"], 1, "status=[404]"),
        ("wrong", ["--source=/nowhere"], 1, "Invalid value for [--source]: Provided directory"),
        ("Bad_9", [], 1, "status=[400], code=[Ok]"),
        ("bad", [], 1, "status=[400], code=[Ok]"),
    ],
)
def test_functions(
    gcloud: Gcloud, tmp_path: Path, name: str, flags: list[str], code: int, text: str
) -> None:
    (tmp_path / "main.py").write_text("")
    given = {"--runtime": "python313", "--source": str(tmp_path)}
    words = [f"{flag}={value}" for flag, value in given.items() if flag not in str(flags)]
    place = ("--region=europe-west1", "--trigger-http", "--gen2")
    refused(gcloud, code, text, "functions", "deploy", name, *place, *words, *flags)


def test_a_topic_that_feeds_a_function_is_named_by_its_id(gcloud: Gcloud) -> None:
    words = ("functions", "deploy", "wrong", "--region=europe-west1", "--runtime=python313")
    text = "argument --trigger-topic: Invalid value 'projects/p/topics/t'"
    refused(gcloud, 2, text, *words, "--trigger-topic=projects/p/topics/t")
