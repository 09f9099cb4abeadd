"""Subscriptions: Eventarc's, which is only changed, and our own, like the slow lane.

Eventarc makes the one that feeds a function, with values that would lose an event after a day and
deliver it again while it is still worked on. It is read and mended at each apply.
"""

from collections.abc import Iterator
from dataclasses import replace

from deployment.gcloud.calls import command
from deployment.gcloud.world import Json, labels_of
from deployment.kinds import accounts, addresses, bindings
from deployment.plan.changes import CHANGE, CREATE, REMOVE, Change, Difference, differences
from deployment.plan.deployment import Deployment
from deployment.table import ownership
from deployment.table.bundle import Subscription
from deployment.table.target import CALLS_EVENTS

SUBSCRIBER = "roles/pubsub.subscriber"


def plan(it: Deployment) -> list[Change]:
    """Subscriptions that are missing or different, and what no row names."""
    changes = it.world.each(
        lambda row: list(_row(it, row)), it.target.bundle.subscriptions.values()
    )
    return [*(change for some in changes for change in some), *_removed(it)]


def leave(it: Deployment) -> list[Change]:
    """All of our own; Eventarc's goes with its function."""
    return [_remove(name) for name in ours(it)]


def ours(it: Deployment) -> list[str]:
    """Our own subscriptions."""
    return [
        name
        for name, found in it.world.subscriptions.items()
        if ownership.of_labels(labels_of(found)) == it.target.mark
    ]


def eventarcs(it: Deployment, row: Subscription) -> str:
    """The subscription that Eventarc made for the function of a row; empty before it is there."""
    function = it.world.functions.get(it.target.name(row.calls), {})
    trigger = (function.get("eventTrigger") or {}).get("trigger")
    if not trigger:
        return ""
    found = it.world.one("eventarc", "triggers", "describe", trigger) or {}
    named: str = found.get("transport", {}).get("pubsub", {}).get("subscription", "")
    return named.rpartition("/")[2]


def name_of(it: Deployment, row: Subscription) -> str:
    """What a row is called in the project; empty while Eventarc has not made it."""
    return eventarcs(it, row) if row.is_eventarcs else it.target.name(row.name)


def endpoint_of(it: Deployment, name: str) -> str:
    """Where a subscription pushes to; empty: it only keeps messages."""
    push = it.world.subscriptions.get(name, {}).get("pushConfig") or {}
    return str(push.get("pushEndpoint", ""))


def usual_endpoint(it: Deployment, row: Subscription) -> str:
    """Where a subscription of the table pushes to; Eventarc's own is noted while it does not."""
    if row.is_eventarcs:
        return accounts.notes(it, CALLS_EVENTS).get(accounts.ENDPOINT, "")
    return addresses.answered(it, row.calls) or addresses.of(it, row.calls)


def pushes(it: Deployment, row: Subscription, name: str, endpoint: str) -> Change:
    """The change that has a subscription push there; empty: it stops, and keeps its messages."""
    flags = [f"--push-endpoint={endpoint}"]
    if endpoint:
        audience = addresses.answered(it, row.calls) or addresses.of(it, row.calls)
        flags += [
            f"--push-auth-service-account={it.target.email(CALLS_EVENTS)}",
            f"--push-auth-token-audience={audience}",
        ]
    change = Difference(
        name="pushes to", found=endpoint_of(it, name) or "nowhere", wanted=endpoint or "nowhere"
    )
    return Change(
        sign=CHANGE,
        kind="subscription",
        name=name,
        commands=(command("pubsub", "subscriptions", "modify-push-config", name, *flags),),
        differences=(change,),
        after=f"subscription {name}",
    )


def _row(it: Deployment, row: Subscription) -> Iterator[Change]:
    name = name_of(it, row)
    found = it.world.subscriptions.get(name)
    if row.is_eventarcs:
        yield from _eventarcs(it, row, name, found)
    elif found is None:
        yield _create(it, row, name)
    elif it.may_change("subscription", name, ownership.of_labels(labels_of(found))):
        yield from _change(it, row, name, found, _own(it, row))


def _eventarcs(
    it: Deployment, row: Subscription, name: str, found: Json | None
) -> Iterator[Change]:
    topic = _topic(it, row)
    if found is None:
        made = Difference(name="made", found="not yet", wanted=f"by Eventarc, for {row.calls}")
        yield _by_eventarc(f"{it.target.name(row.name)} of {row.calls}", made)
        return
    if found.get("topic") != topic:
        read = Difference(name="topic", found=str(found.get("topic")), wanted=topic)
        yield _by_eventarc(name, read)
        it.note(f"subscription {name} goes with the trigger of {row.calls}, and what waits in it")
        return
    yield from _change(it, row, name, found, {})
    push = endpoint_of(it, name)
    if not push and not accounts.is_paused(it):
        yield pushes(it, row, name, usual_endpoint(it, row))
    if row.dead_letter_topic:
        grants = [bindings.agents(it, SUBSCRIBER)]
        yield from bindings.plan(it, bindings.subscription(name), grants)


def _by_eventarc(name: str, difference: Difference) -> Change:
    """What follows from a change of the function's trigger."""
    return Change(
        sign=CHANGE, kind="subscription", name=name, commands=(), differences=(difference,)
    )


def _topic(it: Deployment, row: Subscription) -> str:
    return f"projects/{it.target.project}/topics/{it.target.name(row.topic)}"


def _settings(it: Deployment, row: Subscription) -> dict[str, str]:
    """By the flags of gcloud; what Eventarc's and our own have in common."""
    wanted = {
        "ack-deadline": str(row.ack_deadline),
        "message-retention-duration": f"{row.keeps}s",
        "expiration-period": "never",
        "min-retry-delay": f"{row.first_pause}s",
        "max-retry-delay": f"{row.last_pause}s",
    }
    if row.dead_letter_topic:
        wanted["dead-letter-topic"] = it.target.name(row.dead_letter_topic)
        wanted["max-delivery-attempts"] = str(row.deliveries)
    return wanted


def _own(it: Deployment, row: Subscription) -> dict[str, str]:
    """What only our own have: where they push to, as whom."""
    if accounts.is_paused(it):
        return {}
    address = addresses.answered(it, row.calls) or addresses.of(it, row.calls)
    return {
        "push-endpoint": address,
        "push-auth-service-account": it.target.email(CALLS_EVENTS),
        "push-auth-token-audience": address,
    }


def _found(found: Json) -> dict[str, str]:
    retry, dead = found.get("retryPolicy") or {}, found.get("deadLetterPolicy") or {}
    push = found.get("pushConfig") or {}
    token = push.get("oidcToken") or {}
    return {
        "ack-deadline": str(found.get("ackDeadlineSeconds", "")),
        "message-retention-duration": found.get("messageRetentionDuration", ""),
        "expiration-period": (found.get("expirationPolicy") or {}).get("ttl", "never"),
        "min-retry-delay": retry.get("minimumBackoff", ""),
        "max-retry-delay": retry.get("maximumBackoff", ""),
        "dead-letter-topic": dead.get("deadLetterTopic", "").rpartition("/")[2],
        "max-delivery-attempts": str(dead.get("maxDeliveryAttempts", "")),
        "push-endpoint": push.get("pushEndpoint", ""),
        "push-auth-service-account": token.get("serviceAccountEmail", ""),
        "push-auth-token-audience": token.get("audience", ""),
    }


def _create(it: Deployment, row: Subscription, name: str) -> Change:
    wanted = {**_settings(it, row), **_own(it, row)}
    flags = [f"--{key}={value}" for key, value in wanted.items()]
    where = (f"--topic={it.target.name(row.topic)}", f"--labels={it.target.mark.flag}")
    make = command("pubsub", "subscriptions", "create", name, *where, *flags)
    return Change(
        sign=CREATE,
        kind="subscription",
        name=name,
        commands=(make,),
        after=f"subscription {name}",
    )


def _change(
    it: Deployment, row: Subscription, name: str, found: Json, own: dict[str, str]
) -> Iterator[Change]:
    wanted = {**_settings(it, row), **own}
    changed = differences(_found(found), wanted)
    flags = [f"--{key}={value}" for key, value in wanted.items()]
    if own or not row.is_eventarcs:
        missing = it.labels(labels_of(found))
        changed += differences(labels_of(found), missing)
        flags += [f"--update-labels={it.target.mark.flag}"] if missing else []
    topic = _topic(it, row)
    if found.get("topic") != topic:
        it.refuse(
            f"subscription {name} reads {found.get('topic')}, and cannot be made to read {topic}: "
            f"remove it, once it is empty"
        )
    if changed:
        update = command("pubsub", "subscriptions", "update", name, *flags)
        yield Change(
            sign=CHANGE,
            kind="subscription",
            name=name,
            commands=(update,),
            differences=changed,
            after=f"subscription {name}",
        )


def _removed(it: Deployment) -> Iterator[Change]:
    """gcloud does not say whether a subscription is empty, so it takes a word to remove it."""
    rows = {name_of(it, row) for row in it.target.bundle.subscriptions.values()}
    for name in ours(it):
        if name in rows:
            continue
        if f"subscription/{name}" in it.options.remove:
            yield _remove(name)
            continue
        if endpoint_of(it, name):
            row = Subscription(
                name=name,
                topic="",
                calls="",
                ack_deadline=0,
                keeps=0,
                first_pause=0,
                last_pause=0,
            )
            yield replace(pushes(it, row, name, ""), after=f"subscription {name}")
        it.note(
            f"subscription {name} is in the table no more; messages may wait in it, so it is kept, "
            f"paused; --remove subscription/{name} removes it with them"
        )


def _remove(name: str) -> Change:
    delete = command("pubsub", "subscriptions", "delete", name)
    return Change(sign=REMOVE, kind="subscription", name=name, commands=(delete,))
