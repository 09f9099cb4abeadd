"""`gcloud pubsub …`: topics and subscriptions."""

import base64
import sys
from typing import Any

from local.gcloud import policies
from local.gcloud.command import Call, Field, command, duration, pairs

SETTINGS: dict[str, Field] = {
    "--ack-deadline": ("ackDeadlineSeconds", int),
    "--message-retention-duration": ("messageRetentionDuration", duration),
    "--min-retry-delay": ("retryPolicy.minimumBackoff", duration),
    "--max-retry-delay": ("retryPolicy.maximumBackoff", duration),
    "--max-delivery-attempts": ("deadLetterPolicy.maxDeliveryAttempts", int),
    "--push-endpoint": ("pushConfig.pushEndpoint", str),
    "--push-auth-service-account": ("pushConfig.oidcToken.serviceAccountEmail", str),
    "--push-auth-token-audience": ("pushConfig.oidcToken.audience", str),
    "--expiration-period": (
        "expirationPolicy",
        lambda text: {} if text == "never" else {"ttl": duration(text)},
    ),
}
AT_CREATION: dict[str, Field] = {"--message-filter": ("filter", str), "--labels": ("labels", pairs)}


def topic_path(call: Call, topic: str) -> str:
    """The path of a topic given by id or full name."""
    return f"/v1/projects/{call.project}/topics/{topic.rpartition('/')[2]}"


def subscription_path(call: Call) -> str:
    """The path of the subscription that is named."""
    return f"/v1/projects/{call.project}/subscriptions/{call.id}"


@command("pubsub topics create", "--labels", "--message-retention-duration")
def create_topics(call: Call) -> None:
    """Make topics."""
    fields = {"--labels": AT_CREATION["--labels"]}
    fields["--message-retention-duration"] = ("messageRetentionDuration", duration)
    for topic in call.arguments:
        call.cloud.put(topic_path(call, topic), call.body(fields)[0])
        print(f"Created topic [{topic_path(call, topic)[4:]}].", file=sys.stderr)


@command("pubsub topics describe")
def describe_topic(call: Call) -> Any:
    """One topic."""
    return call.cloud.get(topic_path(call, call.name))


@command("pubsub topics list")
def list_topics(call: Call) -> Any:
    """All topics."""
    return list(call.cloud.each(f"/v1/projects/{call.project}/topics", "topics"))


@command("pubsub topics delete")
def delete_topics(call: Call) -> None:
    """Remove topics."""
    for topic in call.arguments:
        call.cloud.delete(topic_path(call, topic))
        print(f"Deleted topic [{topic_path(call, topic)[4:]}].", file=sys.stderr)


@command("pubsub topics publish", "--message", "--attribute", "--ordering-key")
def publish(call: Call) -> Any:
    """Publish one message."""
    message = {
        "data": base64.b64encode(call.flag("--message").encode()).decode(),
        "attributes": pairs(call.flag("--attribute")),
        "orderingKey": call.flag("--ordering-key"),
    }
    return call.cloud.post(f"{topic_path(call, call.name)}:publish", {"messages": [message]})


@command(
    "pubsub subscriptions create",
    *SETTINGS,
    *AT_CREATION,
    *("--topic", "--dead-letter-topic", "--enable-message-ordering"),
)
def create_subscriptions(call: Call) -> None:
    """Make subscriptions."""
    body, _ = _settings(call)
    body |= call.body(AT_CREATION)[0]
    body["topic"] = topic_path(call, call.flag("--topic"))[4:]
    body["enableMessageOrdering"] = bool(call.switch("--enable-message-ordering"))
    for name in call.arguments:
        path = f"/v1/projects/{call.project}/subscriptions/{name.rpartition('/')[2]}"
        call.cloud.put(path, body)
        print(f"Created subscription [{path[4:]}].", file=sys.stderr)


@command("pubsub subscriptions update", "--dead-letter-topic", *SETTINGS)
def update_subscription(call: Call) -> None:
    """Change what the flags name."""
    body, mask = _settings(call)
    body["name"] = subscription_path(call)[4:]
    change = {"subscription": body, "updateMask": ",".join(mask)}
    call.cloud.patch(subscription_path(call), change)
    print(f"Updated subscription [{body['name']}].", file=sys.stderr)


@command("pubsub subscriptions describe")
def describe_subscription(call: Call) -> Any:
    """One subscription."""
    return call.cloud.get(subscription_path(call))


@command("pubsub subscriptions list")
def list_subscriptions(call: Call) -> Any:
    """All subscriptions."""
    return list(call.cloud.each(f"/v1/projects/{call.project}/subscriptions", "subscriptions"))


@command("pubsub subscriptions delete")
def delete_subscriptions(call: Call) -> None:
    """Remove subscriptions."""
    for name in call.arguments:
        path = f"/v1/projects/{call.project}/subscriptions/{name.rpartition('/')[2]}"
        call.cloud.delete(path)
        print(f"Deleted subscription [{path[4:]}].", file=sys.stderr)


@command("pubsub subscriptions pull", "--auto-ack", "--limit")
def pull(call: Call) -> Any:
    """Messages that wait."""
    path = subscription_path(call)
    answer = call.cloud.post(f"{path}:pull", {"maxMessages": int(call.flag("--limit", "1"))})
    received = answer.get("receivedMessages", [])
    if received and call.switch("--auto-ack"):
        ids = [message["ackId"] for message in received]
        call.cloud.post(f"{path}:acknowledge", {"ackIds": ids})
    return received


def _settings(call: Call) -> tuple[dict[str, Any], list[str]]:
    """The flags as a subscription, and the top-level fields among them."""
    body, mask = call.body(SETTINGS)
    if call.given("--dead-letter-topic"):
        topic = topic_path(call, call.flag("--dead-letter-topic"))[4:]
        body.setdefault("deadLetterPolicy", {})["deadLetterTopic"] = topic
        mask.append("deadLetterPolicy")
    return body, list(dict.fromkeys(path.partition(".")[0] for path in mask))


policies.commands("pubsub topics", lambda call: topic_path(call, call.name))
policies.commands("pubsub subscriptions", subscription_path)
