"""The command lines that real gcloud refuses are refused, in its words."""

from typing import Any

import pytest

from local.gcloud.errors import UsageError
from local.gcloud.surface import parse


def parsed(line: Any) -> Any:
    return parse(line.split())


def refusal(line: Any) -> Any:
    with pytest.raises(UsageError) as caught:
        parsed(line)
    return caught.value


def test_a_command_line_is_taken_apart() -> None:
    found = parsed("tasks queues create q --location=a-b1 --max-attempts 5 --quiet")
    assert (found.command, found.arguments) == ("tasks queues create", ["q"])
    assert found.flags == {"--location": "a-b1", "--max-attempts": "5", "--quiet": True}


def test_global_flags_may_stand_before_the_command() -> None:
    found = parsed("--project p -q pubsub topics list")
    assert (found.command, found.flags["--project"]) == ("pubsub topics list", "p")


def test_a_negated_switch_is_false() -> None:
    found = parsed("functions deploy f --no-allow-unauthenticated")
    assert found.flags == {"--allow-unauthenticated": False}


def test_a_value_may_begin_with_a_single_dash() -> None:
    found = parsed("tasks queues create q --max-attempts -1")
    assert found.flags["--max-attempts"] == "-1"


@pytest.mark.parametrize(
    ("line", "command", "text"),
    [
        ("frob x", "gcloud", "Invalid choice: 'frob'."),
        ("tasks queues frob", "gcloud.tasks.queues", "Invalid choice: 'frob'."),
        ("tasks queues", "gcloud.tasks.queues", "Command name argument expected."),
        (
            "functions deploy f --foo=1 --bar",
            "gcloud.functions.deploy",
            "unrecognized arguments: --foo=1 --bar",
        ),
        (
            "tasks queues create q r",
            "gcloud.tasks.queues.create",
            "unrecognized arguments: r",
        ),
        (
            "tasks queues create",
            "gcloud.tasks.queues.create",
            "argument QUEUE: Must be specified.",
        ),
        (
            "tasks queues create q --location",
            "gcloud.tasks.queues.create",
            "argument --location: expected one argument",
        ),
        (
            "tasks queues create q --max-attempts=abc",
            "gcloud.tasks.queues.create",
            "argument --max-attempts: Value must be an integer; received: abc",
        ),
        (
            "functions deploy f --concurrency=0",
            "gcloud.functions.deploy",
            "argument --concurrency: Value must be greater than or equal to 1; received: 0",
        ),
        (
            "functions deploy f --concurrency=1001",
            "gcloud.functions.deploy",
            "argument --concurrency: Value must be less than or equal to 1000; received: 1001",
        ),
        (
            "scheduler jobs create http j",
            "gcloud.scheduler.jobs.create.http",
            "argument --schedule --uri: Must be specified.",
        ),
        (
            "functions deploy f --trigger-http --trigger-topic=t",
            "gcloud.functions.deploy",
            "argument --trigger-topic: At most one of --trigger-topic",
        ),
        (
            "firestore fields ttls update f --collection-group=c",
            "gcloud.firestore.fields.ttls.update",
            "Exactly one of (--enable-ttl | --disable-ttl) must be specified.",
        ),
        (
            "functions deploy f --ingress-settings=foo",
            "gcloud.functions.deploy",
            "argument --ingress-settings: Invalid choice: 'foo'.",
        ),
        (
            "functions deploy f --no-region=x",
            "gcloud.functions.deploy",
            "unrecognized arguments: --no-region=x",
        ),
    ],
)
def test_what_real_gcloud_does_not_take_is_refused(line: str, command: str, text: str) -> None:
    error = refusal(line)
    assert error.command == command
    assert str(error).startswith(text)
    assert error.code == 2
