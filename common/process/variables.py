"""The table of the environment variables that `common` reads: what each means, how it is read.

A bundle has a table of its own for its own variables, see `common.process.settings`.
"""

from collections.abc import Callable, Mapping, Set
from typing import Any

from msgspec import Struct

from common.process import parsers


class Variable(Struct, frozen=True, kw_only=True):
    """One environment variable."""

    meaning: str
    parse: Callable[[str], Any] = str
    """From the text, stripped and not empty; raises ValueError saying what it should be."""
    default: str | None = None
    """The text that stands for unset; None: there is none."""
    needed_by: Set[str] = frozenset()
    """The functions that do not start without it."""
    show: Callable[[str], str] = repr
    """How an error shows a malformed value, which may hold a secret."""


ALL = frozenset({"consumer", "reminder", "fanout"})
FANOUT = frozenset({"fanout"})

VARIABLES: Mapping[str, Variable] = {
    "GOOGLE_CLOUD_PROJECT": Variable(meaning="the project's id", parse=parsers.name, needed_by=ALL),
    "LOCATION": Variable(
        meaning="the region of the queues, like europe-west1", parse=parsers.name, needed_by=ALL
    ),
    "QUEUE_PREFIX": Variable(
        meaning="what stands before the name of each queue, where two environments share a project",
        default="",
    ),
    "QUEUE_GROUPS": Variable(
        meaning="how many queues there are of a name, and what each dispatches in a second: "
        "news=4@100 for news-1 to news-4; of a name that is missing there is one",
        parse=parsers.queues,
    ),
    "COLD_QUEUE_RATE": Variable(
        meaning="tasks a second that a campaign makes on one queue at first; half as many more "
        "every five minutes, as Cloud Tasks asks for; 0: as many as can be",
        parse=parsers.rate,
        default="500",
    ),
    "DEFAULT_TIMEZONE": Variable(
        meaning="the time zone of a user whose own is not known",
        parse=parsers.zone,
        default="Etc/UTC",
    ),
    "FIRESTORE_DATABASE": Variable(
        meaning="the Firestore database", parse=parsers.name, default="(default)"
    ),
    "FIRESTORE_EMULATOR_HOST": Variable(
        meaning="host:port of another Firestore; Google's client reads it by itself",
        parse=parsers.host_and_port,
    ),
    "CLOUD_TASKS_EMULATOR_HOST": Variable(
        meaning="host:port of another Cloud Tasks", parse=parsers.host_and_port
    ),
    "PUBSUB_EMULATOR_HOST": Variable(
        meaning="host:port of another Pub/Sub", parse=parsers.host_and_port
    ),
    "REMINDER_URL": Variable(
        meaning="where Cloud Tasks calls reminder", parse=parsers.base_url, needed_by=ALL
    ),
    "FANOUT_URL": Variable(
        meaning="where Cloud Tasks calls fanout", parse=parsers.base_url, needed_by=FANOUT
    ),
    "CONSUMER_URL": Variable(meaning="where consumer is", parse=parsers.base_url),
    "REMINDER_AUDIENCE": Variable(meaning="the audience of tokens for reminder", needed_by=ALL),
    "FANOUT_AUDIENCE": Variable(meaning="the audience of tokens for fanout", needed_by=FANOUT),
    "TASKS_SERVICE_ACCOUNT": Variable(
        meaning="the service account whose tokens tasks carry", parse=parsers.account, needed_by=ALL
    ),
    "SCHEDULER_SERVICE_ACCOUNT": Variable(
        meaning="the service account whose tokens Scheduler's ticks carry",
        parse=parsers.account,
        needed_by=FANOUT,
    ),
    "OIDC_ISSUER": Variable(
        meaning="who signs the callers' tokens",
        parse=parsers.issuer,
        default="https://accounts.google.com",
    ),
    "PLATFORM_CHECKS_CALLERS": Variable(
        meaning="yes where Cloud Run itself admits only its invokers: it then takes the signature "
        "off the token it has verified, and the function accepts it so",
        parse=parsers.flag,
        default="no",
    ),
    "GCE_METADATA_HOST": Variable(
        meaning="the metadata server, which gives a function tokens of its own account",
        default="metadata.google.internal",
    ),
    "MESSAGING_URL": Variable(
        meaning="the messaging provider: messages are posted there as JSON",
        parse=parsers.url,
        show=parsers.hidden,
    ),
    "MESSAGING_TOKEN": Variable(
        meaning="the provider's key, sent with every message as a bearer token",
        parse=parsers.token,
        show=parsers.hidden,
    ),
    "PROVIDER_KEY_MEMORY": Variable(
        meaning="seconds for which the messaging provider remembers a key: in that time a "
        "message whose outcome is unknown is sent again unchanged. 0: it honours none",
        parse=parsers.delay,
        default="86400",
    ),
    "SMTP_URL": Variable(
        meaning="the mail server instead: smtp://user:password@host:port or smtps://…; "
        "?starttls=yes or no (default: yes with a password)",
        parse=parsers.smtp,
        show=parsers.masked_url,
    ),
    "MESSAGE_FROM": Variable(
        meaning="the sender of mail; needed with SMTP_URL", parse=parsers.sender
    ),
    "MESSAGE_ALLOW": Variable(
        meaning="only these addresses and @domains are written to, messages to others are only "
        "recorded (staging); unset: no restriction",
        parse=parsers.recipients,
        default="",
    ),
    "UNSUBSCRIBE_URL": Variable(
        meaning="the page for unsubscribing, called with user and token, or mailto:address",
        parse=parsers.unsubscribe_url,
    ),
    "UNSUBSCRIBE_SECRET": Variable(
        meaning="the key of that token, HMAC-SHA256 of the user id; needed with an https page",
        parse=parsers.secret,
        show=parsers.hidden,
    ),
    "HANDLER_BUDGET": Variable(
        meaning="seconds a handler may work", parse=parsers.seconds, default="50"
    ),
    "FUNCTION_TIMEOUT": Variable(
        meaning="seconds after which the platform ends a call", parse=parsers.seconds, default="60"
    ),
    "THREADS": Variable(
        meaning="requests that this process serves at once", parse=parsers.count, default="8"
    ),
    "LEASE_SECONDS": Variable(
        meaning="seconds after which a silent claim may be taken over",
        parse=parsers.seconds,
        default="90",
    ),
    "MAX_ATTEMPTS": Variable(
        meaning="attempts until work is dead-lettered", parse=parsers.count, default="5"
    ),
    "OUTAGE_PATIENCE": Variable(
        meaning="seconds that work waits for somebody outside who is down or refuses us",
        parse=parsers.delay,
        default="604800",
    ),
    "REDELIVERY_ATTEMPTS": Variable(
        meaning="how often whoever calls the function makes a delivery, at least",
        parse=parsers.count,
    ),
    "REDELIVERY_SECONDS": Variable(
        meaning="how long it goes on making it, or keeps it, at least", parse=parsers.seconds
    ),
    "FUNCTION_TARGET": Variable(
        meaning="the function this process runs; set by the platform", parse=parsers.name
    ),
    "K_SERVICE": Variable(
        meaning="the service this process belongs to; set by the platform", parse=parsers.name
    ),
}
