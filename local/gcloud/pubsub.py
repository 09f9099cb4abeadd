"""`gcloud pubsub …`: topics and subscriptions."""

import base64
from typing import Any

from local.gcloud import policies
from local.gcloud.command import Call, Field, command, say
from local.gcloud.errors import GcloudError
from local.gcloud.values import between, duration, labels, pairs

PUSH: dict[str, Field] = {
    "--push-endpoint": ("pushEndpoint", str),
    "--push-auth-service-account": ("oidcToken.serviceAccountEmail", str),
    "--push-auth-token-audience": ("oidcToken.audience", str),
}
SETTINGS: dict[str, Field] = {
    "--ack-deadline": ("ackDeadlineSeconds", int),
    "--message-retention-duration": ("messageRetentionDuration", between("10m", "31d")),
    "--min-retry-delay": ("retryPolicy.minimumBackoff", between("0s", "600s")),
    "--max-retry-delay": ("retryPolicy.maximumBackoff", between("0s", "600s")),
    "--max-delivery-attempts": ("deadLetterPolicy.maxDeliveryAttempts", int),
    **{flag: (f"pushConfig.{path}", read) for flag, (path, read) in PUSH.items()},
    "--expiration-period": (
        "expirationPolicy",
        lambda text: {} if text == "never" else {"ttl": duration(text)},
    ),
}
AT_CREATION: dict[str, Field] = {
    "--message-filter": ("filter", str),
    "--labels": ("labels", labels),
}
OF_TOPIC: dict[str, Field] = {
    "--labels": ("labels", labels),
    "--message-retention-duration": ("messageRetentionDuration", between("10m", "31d")),
}
LABELS = ("--update-labels", "--remove-labels", "--clear-labels")


def topic_path(call: Call, topic: str) -> str:
    """Return the path of a topic given by id or full name."""
    return f"/v1/projects/{call.project}/topics/{topic.rpartition('/')[2]}"


def subscription_path(call: Call, subscription: str) -> str:
    """Return the path of a subscription given by id or full name."""
    return f"/v1/projects/{call.project}/subscriptions/{subscription.rpartition('/')[2]}"


@command("pubsub topics create", *OF_TOPIC, is_quiet=True)
def create_topics(call: Call) -> Any:
    """Make topics."""
    body, _ = call.body(OF_TOPIC)
    return call.of_each("create", "topic", lambda id_: call.cloud.put(topic_path(call, id_), body))


@command(
    "pubsub topics update",
    *("--message-retention-duration", "--clear-message-retention-duration", *LABELS),
    is_quiet=True,
)
def update_topic(call: Call) -> Any:
    """Change what the flags name."""
    fields = {key: field for key, field in OF_TOPIC.items() if key != "--labels"}
    body, mask = call.body(fields)
    if call.switch("--clear-message-retention-duration"):
        mask.append("messageRetentionDuration")
    if any(call.given(flag) for flag in LABELS):
        body["labels"] = call.labels(describe_topic(call).get("labels", {}))
        mask.append("labels")
    body["name"] = topic_path(call, call.name)[4:]
    change = {"topic": body, "updateMask": ",".join(mask)}
    changed = call.cloud.patch(topic_path(call, call.name), change)
    say(f"Updated topic [{body['name']}].")
    return changed


@command("pubsub topics describe")
def describe_topic(call: Call) -> Any:
    """Describe one topic."""
    return call.cloud.get(topic_path(call, call.name))


@command("pubsub topics list", "--limit")
def list_topics(call: Call) -> Any:
    """List all topics."""
    found = call.cloud.each(f"/v1/projects/{call.project}/topics", "topics")
    return call.limited(list(found))


@command("pubsub topics delete", is_quiet=True)
def delete_topics(call: Call) -> Any:
    """Remove topics."""
    return call.of_each("delete", "topic", lambda id_: call.cloud.delete(topic_path(call, id_)))


@command("pubsub topics list-subscriptions")
def subscriptions_of_topic(call: Call) -> Any:
    """List the names of a topic's subscriptions."""
    path = f"{topic_path(call, call.name)}/subscriptions"
    return list(call.cloud.each(path, "subscriptions"))


@command("pubsub topics publish", "--message", "--attribute", "--ordering-key")
def publish(call: Call) -> Any:
    """Publish one message."""
    message = {
        "data": base64.b64encode(call.flag("--message").encode()).decode(),
        "attributes": call.read("--attribute", pairs),
        "orderingKey": call.flag("--ordering-key"),
    }
    return call.cloud.post(f"{topic_path(call, call.name)}:publish", {"messages": [message]})


@command(
    "pubsub subscriptions create",
    *SETTINGS,
    *AT_CREATION,
    *("--topic", "--topic-project", "--dead-letter-topic", "--enable-message-ordering"),
    is_quiet=True,
)
def create_subscriptions(call: Call) -> Any:
    """Make subscriptions."""
    if call.given("--max-delivery-attempts") and not call.given("--dead-letter-topic"):
        raise GcloudError("Missing required argument [DEAD_LETTER_TOPIC]: --dead-letter-topic")
    body, _ = _settings(call)
    body |= call.body(AT_CREATION)[0]
    body["topic"] = topic_path(call, call.flag("--topic"))[4:]
    body["enableMessageOrdering"] = bool(call.switch("--enable-message-ordering"))
    return call.of_each(
        "create", "subscription", lambda id_: call.cloud.put(subscription_path(call, id_), body)
    )


@command(
    "pubsub subscriptions update",
    *("--dead-letter-topic", "--clear-dead-letter-policy", "--clear-retry-policy"),
    *(*LABELS, *SETTINGS),
    is_quiet=True,
)
def update_subscription(call: Call) -> Any:
    """Change what the flags name."""
    body, mask = _settings(call)
    for flag in ("dead-letter-policy", "retry-policy"):
        if call.switch(f"--clear-{flag}"):
            mask.append(flag.split("-policy")[0].replace("dead-letter", "deadLetter") + "Policy")
    if any(call.given(flag) for flag in LABELS):
        body["labels"] = call.labels(describe_subscription(call).get("labels", {}))
        mask.append("labels")
    if not mask:
        raise GcloudError("No change requested. Did you mean to include a flag?")
    body["name"] = subscription_path(call, call.id)[4:]
    change = {"subscription": body, "updateMask": ",".join(mask)}
    changed = call.cloud.patch(subscription_path(call, call.id), change)
    say(f"Updated subscription [{body['name']}].")
    return changed


@command("pubsub subscriptions modify-push-config", *PUSH, is_quiet=True)
def modify_push_config(call: Call) -> Any:
    """Push elsewhere; with an empty endpoint nowhere, and the messages are kept."""
    body, _ = call.body({flag: (f"pushConfig.{path}", read) for flag, (path, read) in PUSH.items()})
    answer = call.cloud.post(f"{subscription_path(call, call.id)}:modifyPushConfig", body)
    say(f"Updated subscription [{subscription_path(call, call.id)[4:]}].")
    return answer


@command("pubsub subscriptions describe")
def describe_subscription(call: Call) -> Any:
    """Describe one subscription."""
    return call.cloud.get(subscription_path(call, call.id))


@command("pubsub subscriptions list", "--limit")
def list_subscriptions(call: Call) -> Any:
    """List all subscriptions."""
    found = call.cloud.each(f"/v1/projects/{call.project}/subscriptions", "subscriptions")
    return call.limited(list(found))


@command("pubsub subscriptions delete", is_quiet=True)
def delete_subscriptions(call: Call) -> Any:
    """Remove subscriptions."""
    return call.of_each(
        "delete", "subscription", lambda id_: call.cloud.delete(subscription_path(call, id_))
    )


@command("pubsub subscriptions pull", "--auto-ack", "--limit")
def pull(call: Call) -> Any:
    """Return messages that wait."""
    path = subscription_path(call, call.id)
    answer = call.cloud.post(f"{path}:pull", {"maxMessages": int(call.flag("--limit", "1"))})
    received = answer.get("receivedMessages", [])
    if received and call.switch("--auto-ack"):
        ids = [message["ackId"] for message in received]
        call.cloud.post(f"{path}:acknowledge", {"ackIds": ids})
    return received


def _settings(call: Call) -> tuple[dict[str, Any], list[str]]:
    """Return the flags as a subscription, and the top-level fields among them."""
    body, mask = call.body(SETTINGS)
    if call.given("--dead-letter-topic"):
        topic = topic_path(call, call.flag("--dead-letter-topic"))[4:]
        body.setdefault("deadLetterPolicy", {})["deadLetterTopic"] = topic
        mask.append("deadLetterPolicy")
    return body, list(dict.fromkeys(path.partition(".")[0] for path in mask))


policies.commands("pubsub topics", lambda call: topic_path(call, call.name))
policies.commands("pubsub subscriptions", lambda call: subscription_path(call, call.id))
