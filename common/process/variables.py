"""The table of the environment variables: what each means, and how its text is read.

A parser takes the text, stripped and not empty, and raises ValueError saying what it should be.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parseaddr
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit


@dataclass(frozen=True, kw_only=True)
class Smtp:
    """A mail server, as SMTP_URL names it."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    """TLS from the first byte (`smtps://`)."""
    starttls: bool = False
    """TLS asked for after the greeting; a server that does not offer it is not used."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One environment variable."""

    meaning: str
    parse: Callable[[str], Any] = str
    """From the text, stripped and not empty; raises ValueError saying what it should be."""
    default: str | None = None
    """The text that stands for unset; None: there is none."""
    needed_by: frozenset[str] = frozenset()
    """The functions that do not start without it."""
    show: Callable[[str], str] = repr
    """How an error shows a malformed value, which may hold a secret."""


def _hidden(text: str) -> str:
    return f"set ({len(text)} characters)"


def _masked_url(text: str) -> str:
    """Without what may be a password or a key: all before an @ and after a ?."""
    return repr(re.sub(r"\?.*", "?…", re.sub(r".*@", "…@", text)))


def _split(text: str, schemes: Collection[str]) -> SplitResult:
    try:
        parts = urlsplit(text)
        legal = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        legal = False
    if not legal or re.search(r"\s", text):
        raise ValueError(f"a URL that begins with {' or '.join(f'{s}://' for s in schemes)}")
    return parts


def _url(text: str) -> str:
    _split(text, ("https", "http"))
    return text


def _base_url(text: str) -> str:
    return _url(text).rstrip("/")


def _issuer(text: str) -> str:
    parts = _split(text, ("https", "http"))
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("an https URL (http is for this machine only)")
    return _base_url(text)


def _unsubscribe_url(text: str) -> str:
    if re.fullmatch(r"mailto:[^\s@<>?]+@[^\s@<>?]+", text):
        return text
    if not text.startswith("https://"):
        raise ValueError("a URL that begins with https://, or mailto:address")
    return _url(text)


def _smtp(text: str) -> Smtp:
    parts = _split(text, ("smtp", "smtps"))
    tls = parts.scheme == "smtps"
    starttls = not tls and _starttls(parts.query, default=parts.username is not None)
    return Smtp(
        host=parts.hostname or "",
        port=parts.port or (465 if tls else 587 if starttls else 25),
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password or ""),
        tls=tls,
        starttls=starttls,
    )


def _starttls(query: str, *, default: bool) -> bool:
    """A password travels encrypted unless `?starttls=no` says otherwise."""
    options = parse_qs(query, keep_blank_values=True)
    if options.keys() - {"starttls"}:
        raise ValueError("a URL with no other option than starttls")
    return _flag(options["starttls"][-1]) if options else default


def _flag(text: str) -> bool:
    words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in words:
        raise ValueError("yes or no")
    return words[text.lower()]


def _host_and_port(text: str) -> str:
    if not re.fullmatch(r"[\w.-]+:\d{1,5}|\[[0-9A-Fa-f:]+\]:\d{1,5}", text):
        raise ValueError("host:port")
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[\w.:()-]+", text):
        raise ValueError("a name of letters, digits and dashes")
    return text


def _account(text: str) -> str:
    if not re.fullmatch(r"[\w.+-]+@[\w.-]+", text):
        raise ValueError("a service account's email address")
    return text


def _sender(text: str) -> str:
    address = parseaddr(text)[1]
    if not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", address) or not text.isprintable():
        raise ValueError("an address, with or without a name: Shop <shop@example.com>")
    return text


def _allowed(text: str) -> tuple[str, ...]:
    entries = tuple(entry.lower() for entry in re.split(r"[\s,;]+", text) if entry)
    if (text and not entries) or not all(re.fullmatch(r"[^@]*@[^@]+", entry) for entry in entries):
        raise ValueError("addresses and @domains, separated by commas")
    return entries


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError("a number of seconds above 0")
    return seconds


def _delay(text: str) -> timedelta:
    try:
        delay = timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        delay = timedelta(-1)
    if not timedelta(0) <= delay <= timedelta(days=3650):
        raise ValueError("a number of seconds, 0 to ten years")
    return delay


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise ValueError("a whole number, 1 to 9999")
    return int(text)


def _secret(text: str) -> str:
    if len(text) < 16:
        raise ValueError("16 characters or more")
    return text


ALL = frozenset({"consumer", "reminder", "fanout"})
FANOUT = frozenset({"fanout"})

VARIABLES: Mapping[str, Variable] = {
    "GOOGLE_CLOUD_PROJECT": Variable(meaning="the project's id", parse=_name, needed_by=ALL),
    "LOCATION": Variable(
        meaning="the region of the queues, like europe-west1", parse=_name, needed_by=ALL
    ),
    "FIRESTORE_DATABASE": Variable(
        meaning="the Firestore database", parse=_name, default="(default)"
    ),
    "FIRESTORE_EMULATOR_HOST": Variable(
        meaning="host:port of another Firestore; Google's client reads it by itself",
        parse=_host_and_port,
    ),
    "CLOUD_TASKS_EMULATOR_HOST": Variable(
        meaning="host:port of another Cloud Tasks", parse=_host_and_port
    ),
    "REMINDER_URL": Variable(
        meaning="where Cloud Tasks calls reminder", parse=_base_url, needed_by=ALL
    ),
    "FANOUT_URL": Variable(
        meaning="where Cloud Tasks calls fanout", parse=_base_url, needed_by=FANOUT
    ),
    "CONSUMER_URL": Variable(meaning="where consumer is", parse=_base_url),
    "REMINDER_AUDIENCE": Variable(meaning="the audience of tokens for reminder", needed_by=ALL),
    "FANOUT_AUDIENCE": Variable(meaning="the audience of tokens for fanout", needed_by=FANOUT),
    "TASKS_SERVICE_ACCOUNT": Variable(
        meaning="the service account whose tokens tasks carry", parse=_account, needed_by=ALL
    ),
    "SCHEDULER_SERVICE_ACCOUNT": Variable(
        meaning="the service account whose tokens Scheduler's ticks carry",
        parse=_account,
        needed_by=FANOUT,
    ),
    "OIDC_ISSUER": Variable(
        meaning="who signs the callers' tokens",
        parse=_issuer,
        default="https://accounts.google.com",
    ),
    "PLATFORM_CHECKS_CALLERS": Variable(
        meaning="yes where Cloud Run itself admits only its invokers: it then takes the signature "
        "off the token it has verified, and the function accepts it so",
        parse=_flag,
        default="no",
    ),
    "MESSAGING_URL": Variable(
        meaning="the messaging provider: messages are posted there as JSON",
        parse=_url,
        show=_hidden,
    ),
    "SMTP_URL": Variable(
        meaning="the mail server instead: smtp://user:password@host:port or smtps://…; "
        "?starttls=yes or no (default: yes with a password)",
        parse=_smtp,
        show=_masked_url,
    ),
    "MESSAGE_FROM": Variable(meaning="the sender of mail; needed with SMTP_URL", parse=_sender),
    "MESSAGE_ALLOW": Variable(
        meaning="only these addresses and @domains are written to, messages to others are only "
        "recorded (staging); unset: everybody is",
        parse=_allowed,
        default="",
    ),
    "UNSUBSCRIBE_URL": Variable(
        meaning="the shop's page for unsubscribing, called with user and token, or mailto:address",
        parse=_unsubscribe_url,
    ),
    "UNSUBSCRIBE_SECRET": Variable(
        meaning="the key of that token, HMAC-SHA256 of the user id; needed with an https page",
        parse=_secret,
        show=_hidden,
    ),
    "INVENTORY_URL": Variable(
        meaning="the inventory service, told of every order", parse=_url, show=_masked_url
    ),
    "CART_REMINDER_DELAY": Variable(
        meaning="seconds from an abandoned cart to its reminder", parse=_delay, default="7200"
    ),
    "HANDLER_BUDGET": Variable(meaning="seconds a handler may work", parse=_seconds, default="50"),
    "FUNCTION_TIMEOUT": Variable(
        meaning="seconds after which the platform ends a call", parse=_seconds, default="60"
    ),
    "LEASE_SECONDS": Variable(
        meaning="seconds after which a silent claim may be taken over", parse=_seconds, default="90"
    ),
    "MAX_ATTEMPTS": Variable(
        meaning="attempts until work is dead-lettered", parse=_count, default="5"
    ),
    "REDELIVERY_ATTEMPTS": Variable(
        meaning="how often whoever calls the function makes a delivery, at least", parse=_count
    ),
    "REDELIVERY_SECONDS": Variable(
        meaning="how long it goes on making it, or keeps it, at least", parse=_seconds
    ),
    "FUNCTION_TARGET": Variable(
        meaning="the function this process runs; set by the platform", parse=_name
    ),
    "K_SERVICE": Variable(
        meaning="the service this process belongs to; set by the platform", parse=_name
    ),
}
