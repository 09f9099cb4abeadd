"""Topics and subscriptions, and the slow lane: what was given up is pushed to a function."""

from datetime import timedelta
from pathlib import Path

import pytest

from local.testing import LocalCloud
from tests.local.gcloud.gcloud_command import Gcloud

WORDS = ("pubsub", "subscriptions")
MAIN = """
import functions_framework


@functions_framework.cloud_event
def consumer(event):
    message = event.data["message"]
    print("got", message["messageId"], message.get("attributes", {}).get("id"), flush=True)
    if message.get("attributes", {}).get("fails"):
        raise ValueError("not yet")
"""


@pytest.fixture
def topic(gcloud: Gcloud, request: pytest.FixtureRequest) -> str:
    """A topic of the test's own, and another for dead letters; their ids."""
    name: str = request.node.name.replace("_", "-")
    gcloud.run("pubsub", "topics", "create", name, f"{name}-dead")
    return name


def test_a_subscription_has_everything_it_was_made_with(gcloud: Gcloud, topic: str) -> None:
    gcloud.run(
        *(*WORDS, "create", topic, f"--topic={topic}", "--ack-deadline=600"),
        *("--message-retention-duration=2678400s", "--expiration-period=never"),
        *("--min-retry-delay=10s", "--max-retry-delay=600s", "--labels=app=shop"),
        *(f"--dead-letter-topic={topic}-dead", "--max-delivery-attempts=100"),
        *("--push-endpoint=http://127.0.0.1:9/", "--push-auth-service-account=a@b.c"),
        *("--push-auth-token-audience=http://127.0.0.1:9", '--message-filter=attributes.a = "b"'),
    )
    (shown,) = [s for s in gcloud.read(*WORDS, "list") if s["name"].endswith(f"/{topic}")]
    assert shown == {
        "ackDeadlineSeconds": 600,
        "deadLetterPolicy": {
            "deadLetterTopic": f"projects/local-project/topics/{topic}-dead",
            "maxDeliveryAttempts": 100,
        },
        "expirationPolicy": {},
        "filter": 'attributes.a = "b"',
        "labels": {"app": "shop"},
        "messageRetentionDuration": "2678400s",
        "name": f"projects/local-project/subscriptions/{topic}",
        "pushConfig": {
            "oidcToken": {"audience": "http://127.0.0.1:9", "serviceAccountEmail": "a@b.c"},
            "pushEndpoint": "http://127.0.0.1:9/",
        },
        "retryPolicy": {"maximumBackoff": "600s", "minimumBackoff": "10s"},
        "state": "ACTIVE",
        "topic": f"projects/local-project/topics/{topic}",
    }


def test_labels_are_changed_one_by_one(gcloud: Gcloud, topic: str) -> None:
    gcloud.run("pubsub", "topics", "update", topic, "--update-labels=a=1,b=2")
    gcloud.run("pubsub", "topics", "update", topic, "--update-labels=b=3", "--remove-labels=a")
    assert gcloud.read("pubsub", "topics", "describe", topic)["labels"] == {"b": "3"}
    gcloud.run(*WORDS, "create", topic, f"--topic={topic}", "--labels=a=1")
    gcloud.run(*WORDS, "update", topic, "--update-labels=b=2", "--ack-deadline=60")
    changed = gcloud.read(*WORDS, "describe", topic)
    assert (changed["labels"], changed["ackDeadlineSeconds"]) == ({"a": "1", "b": "2"}, 60)


def test_pushing_is_switched_off_and_on(gcloud: Gcloud, topic: str) -> None:
    push = ("--push-endpoint=http://127.0.0.1:9/", "--push-auth-service-account=a@b.c")
    gcloud.run(*WORDS, "create", topic, f"--topic={topic}", *push)
    gcloud.run(*WORDS, "modify-push-config", topic, "--push-endpoint=")
    assert gcloud.read(*WORDS, "describe", topic)["pushConfig"] == {}
    gcloud.run(*WORDS, "modify-push-config", topic, *push)
    assert gcloud.read(*WORDS, "describe", topic)["pushConfig"] == {
        "oidcToken": {"serviceAccountEmail": "a@b.c"},
        "pushEndpoint": "http://127.0.0.1:9/",
    }


def test_of_several_topics_the_others_are_made_when_one_exists(gcloud: Gcloud, topic: str) -> None:
    shown = gcloud.fail("pubsub", "topics", "create", topic, f"{topic}-two", code=1)
    assert f"Created topic [projects/local-project/topics/{topic}-two]." in shown
    assert shown.endswith(f"Failed to create the following: [{topic}].")


def test_a_dead_letter_is_pushed_to_a_function_after_long_pauses(
    gcloud: Gcloud, cloud: LocalCloud, topic: str, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    url = cloud.deploy(tmp_path, "consumer", topic=topic)
    gcloud.run(
        *(*WORDS, "create", f"{topic}-slow", f"--topic={topic}-dead", f"--push-endpoint={url}"),
        *("--push-auth-service-account=events@local-project.iam.gserviceaccount.com",),
        *(f"--push-auth-token-audience={url}", "--ack-deadline=600"),
        *("--min-retry-delay=600s", "--max-retry-delay=600s", "--expiration-period=never"),
    )
    cloud.publish(b"{}", topic=f"{topic}-dead", attributes={"id": "one", "fails": "yes"})
    cloud.idle()
    cloud.advance(timedelta(seconds=599))
    before = len([line for line in cloud.log("consumer") if line.startswith("got ")])
    cloud.advance(timedelta(seconds=1202))
    got = [line for line in cloud.log("consumer") if line.startswith("got ")]
    assert (before, len(got)) == (1, 4)
    assert len(set(got)) == 1
    assert got[0].endswith(" one")
