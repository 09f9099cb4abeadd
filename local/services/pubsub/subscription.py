"""One subscription: its settings, what is refused in them, and its waiting times."""

from dataclasses import dataclass
from typing import Any

from google.pubsub_v1 import types

from local.kernel.moments import SECOND
from local.kernel.refusals import invalid, unimplemented
from local.services.pubsub import filters, masks, names

Proto = types.Subscription.pb()

MINUTE, DAY = 60, 86_400
DEFAULT_ACK_DEADLINE = 10
DEFAULT_RETENTION = 7 * DAY
DEFAULT_EXPIRATION = 31 * DAY
LONGEST = 315_576_000_000
"""Seconds of the longest duration that a message of the protocol can carry."""
DEFAULT_BACKOFF = (10, 600)
MAX_BACKOFF = 600
DEFAULT_ATTEMPTS = 5
PUSH_BACKOFF = (0.1, 60)
"""Seconds a push subscription without a retry policy waits, from the first failure to the worst."""

EVENTARC_MODE = "__GCP_CloudEventsMode=CUSTOM_PUBSUB_"
"""In a push endpoint's query: deliver as a CloudEvent. The topic's quoted name follows."""

_FOREIGN = ("bigquery_config", "cloud_storage_config", "bigtable_config", "message_transforms")
_IMMUTABLE = frozenset(
    (
        "name",
        "topic",
        "filter",
        "enable_message_ordering",
        "detached",
        "state",
        "topic_message_retention_duration",
        "analytics_hub_subscription_info",
    )
)


@dataclass
class Subscription:
    """A subscription and its number in the backlog."""

    number: int
    proto: Any
    single_attempt: bool = False
    """Eventarc without retry: every answer, also a failure, acknowledges."""

    @property
    def name(self) -> str:
        """`projects/P/subscriptions/S`."""
        return str(self.proto.name)

    @property
    def endpoint(self) -> str:
        """Where it pushes to; empty for a pull subscription."""
        return str(self.proto.push_config.push_endpoint)

    @property
    def retention(self) -> int:
        """Microseconds a message is kept after it was published."""
        return int(self.proto.message_retention_duration.ToMicroseconds())

    @property
    def max_attempts(self) -> int | None:
        """After how many failed attempts a message goes to the dead-letter topic; None: never."""
        if not self.proto.HasField("dead_letter_policy"):
            return None
        return int(self.proto.dead_letter_policy.max_delivery_attempts)

    def accepts(self, attributes: Any) -> bool:
        """Whether its filter lets a message with these attributes pass."""
        return filters.compiled(self.proto.filter)(attributes)

    def backoff(self, failures: int) -> int:
        """Microseconds to wait after that many failed attempts."""
        if self.proto.HasField("retry_policy"):
            policy = self.proto.retry_policy
            low = int(policy.minimum_backoff.ToMicroseconds())
            high = int(policy.maximum_backoff.ToMicroseconds())
        elif self.endpoint:
            low, high = (int(seconds * SECOND) for seconds in PUSH_BACKOFF)
        else:
            return 0
        return min(high, low << min(failures - 1, 40))


def completed(proto: Any) -> Any:
    """The settings as the platform stores them: checked, with its defaults filled in."""
    _check_foreign(proto)
    if not proto.ack_deadline_seconds:
        proto.ack_deadline_seconds = DEFAULT_ACK_DEADLINE
    if not proto.HasField("message_retention_duration"):
        proto.message_retention_duration.seconds = DEFAULT_RETENTION
    if not proto.HasField("expiration_policy"):
        proto.expiration_policy.ttl.seconds = DEFAULT_EXPIRATION
    if proto.HasField("retry_policy"):
        _complete_backoff(proto.retry_policy)
    if proto.HasField("dead_letter_policy"):
        _complete_dead_letters(proto.dead_letter_policy)
    proto.push_config.SetInParent()
    proto.state = types.Subscription.State.ACTIVE
    _check(proto)
    return proto


def updated(current: Any, change: Any, paths: list[str]) -> Any:
    """`current` with the fields `paths` name taken from `change`."""
    return completed(masks.merged(current, change, paths, _IMMUTABLE))


def _check_foreign(proto: Any) -> None:
    present = {field.name for field, _ in proto.ListFields()}
    for field in _FOREIGN:
        if field in present:
            raise unimplemented(f"{field}: only push and pull subscriptions are served here.")


def _complete_backoff(policy: Any) -> None:
    low, high = DEFAULT_BACKOFF
    if not policy.HasField("minimum_backoff"):
        policy.minimum_backoff.seconds = low
    if not policy.HasField("maximum_backoff"):
        policy.maximum_backoff.seconds = high


def _complete_dead_letters(policy: Any) -> None:
    names.check(policy.dead_letter_topic, "topics", "dead_letter_topic")
    if not policy.max_delivery_attempts:
        policy.max_delivery_attempts = DEFAULT_ATTEMPTS


def _check(proto: Any) -> None:
    _in_range("ack_deadline_seconds", proto.ack_deadline_seconds, 10, 600)
    retention = proto.message_retention_duration.ToSeconds()
    _in_range("message_retention_duration", retention, 10 * MINUTE, 31 * DAY)
    if proto.expiration_policy.HasField("ttl"):
        _in_range("expiration_policy.ttl", proto.expiration_policy.ttl.ToSeconds(), DAY, LONGEST)
    if proto.HasField("dead_letter_policy"):
        attempts = proto.dead_letter_policy.max_delivery_attempts
        _in_range("max_delivery_attempts", attempts, 5, 100)
    if proto.HasField("retry_policy"):
        low = proto.retry_policy.minimum_backoff.ToMicroseconds() / SECOND
        high = proto.retry_policy.maximum_backoff.ToMicroseconds() / SECOND
        _in_range("minimum_backoff", low, 0, MAX_BACKOFF)
        _in_range("maximum_backoff", high, low, MAX_BACKOFF)
    endpoint = proto.push_config.push_endpoint
    if endpoint and not endpoint.startswith(("https://", "http://")):
        raise invalid(f"Unsupported push_endpoint: {endpoint}")
    if endpoint and proto.enable_exactly_once_delivery:
        raise invalid("Exactly-once delivery is not supported for push subscriptions.")
    filters.compiled(proto.filter)


def _in_range(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise invalid(
            f"The value for {field} is out of bounds. You passed {value:.10g} in the request, "
            f"but the value must be between {low:.10g} and {high:.10g}."
        )
