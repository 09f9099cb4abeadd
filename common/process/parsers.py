"""From the text of an environment variable to its value.

Each parser takes the text, stripped and not empty, and raises ValueError with what it should be:
"a number of seconds above 0". `hidden` and `masked_url` show a malformed text that may be a secret.
"""

import math
import re
from collections.abc import Collection
from datetime import timedelta
from email.utils import parseaddr
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

from msgspec import Struct

from common.process.hiding import Hidden, Hiding


class Smtp(Hiding, frozen=True, kw_only=True):
    """A mail server, as SMTP_URL names it."""

    host: str
    port: int
    user: str | None = None
    password: Hidden[str | None] = None
    tls: bool = False
    """TLS from the first byte (`smtps://`)."""
    starttls: bool = False
    """TLS asked for after the greeting; a server that does not offer it is not used."""


class Queues(Struct, frozen=True, kw_only=True):
    """The queues of one name: `news`, or `news-1` to `news-4`."""

    count: int = 1
    a_second: float | None = None
    """Tasks that each of them dispatches in a second; None: that is not known."""


def queues(text: str) -> tuple[tuple[str, Queues], ...]:
    """Names of queues, how many there are of each, and their rates: `news=4@100,other=1@5`."""
    found = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([a-z][a-z0-9-]*)=([1-9]\d{0,2})@(\d+(\.\d+)?)\s*", part)
        if match is None:
            raise ValueError("like news=4@100: a queue's name, how many, tasks a second of each")
        found[match[1]] = Queues(count=int(match[2]), a_second=float(match[3]))
    return tuple(found.items())  # settings are hashed


def zone(text: str) -> ZoneInfo:
    """A time zone, by its name."""
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        raise ValueError("the name of a time zone, like Europe/Berlin") from None


def rate(text: str) -> float:
    """How many in a second; 0: as many as can be."""
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError("a number from 0 on")
    return float(text)


def hidden(text: str) -> str:
    """A text that may be a secret: only its length is shown."""
    return f"set ({len(text)} characters)"


def masked_url(text: str) -> str:
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


def url(text: str) -> str:
    """An http or https URL, as given."""
    _split(text, ("https", "http"))
    return text


def base_url(text: str) -> str:
    """An http or https URL without a slash at its end."""
    return url(text).rstrip("/")


def issuer(text: str) -> str:
    """The URL of a token issuer: https, or http on this machine."""
    parts = _split(text, ("https", "http"))
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("an https URL (http is for this machine only)")
    return base_url(text)


def unsubscribe_url(text: str) -> str:
    """The https URL of a page, or `mailto:` and one address."""
    if re.fullmatch(r"mailto:[^\s@<>?]+@[^\s@<>?]+", text):
        return text
    if not text.startswith("https://"):
        raise ValueError("a URL that begins with https://, or mailto:address")
    return url(text)


def smtp(text: str) -> Smtp:
    """A mail server: `smtp://user:password@host:port?starttls=yes` or `smtps://…`."""
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
    return flag(options["starttls"][-1]) if options else default


def flag(text: str) -> bool:
    """yes, true or 1; no, false or 0."""
    words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in words:
        raise ValueError("yes or no")
    return words[text.lower()]


def host_and_port(text: str) -> str:
    """`host:port`, as a client library takes it."""
    if not re.fullmatch(r"[\w.-]+:\d{1,5}|\[[0-9A-Fa-f:]+\]:\d{1,5}", text):
        raise ValueError("host:port")
    return text


def name(text: str) -> str:
    """A name of letters, digits, dashes, dots, colons and parentheses."""
    if not re.fullmatch(r"[\w.:()-]+", text):
        raise ValueError("a name of letters, digits and dashes")
    return text


def account(text: str) -> str:
    """The email address of a service account."""
    if not re.fullmatch(r"[\w.+-]+@[\w.-]+", text):
        raise ValueError("a service account's email address")
    return text


def sender(text: str) -> str:
    """The sender of mail: an address, with or without a name."""
    address = parseaddr(text)[1]
    if not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", address) or not text.isprintable():
        raise ValueError("an address, with or without a name: Desk <desk@example.com>")
    return text


def recipients(text: str) -> tuple[str, ...]:
    """Addresses and `@domain`s, separated by commas, in lower case."""
    entries = tuple(entry.lower() for entry in re.split(r"[\s,;]+", text) if entry)
    if (text and not entries) or not all(re.fullmatch(r"[^@]*@[^@]+", entry) for entry in entries):
        raise ValueError("addresses and @domains, separated by commas")
    return entries


def seconds(text: str) -> float:
    """A number of seconds above 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError("a number of seconds above 0")
    return seconds


def delay(text: str) -> timedelta:
    """A number of seconds, 0 to ten years, as a duration."""
    try:
        delay = timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        delay = timedelta(-1)
    if not timedelta(0) <= delay <= timedelta(days=3650):
        raise ValueError("a number of seconds, 0 to ten years")
    return delay


def count(text: str) -> int:
    """A whole number, 1 to 9999."""
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise ValueError("a whole number, 1 to 9999")
    return int(text)


def token(text: str) -> str:
    """A key as a header can carry it: printable ASCII without blank space."""
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("printable ASCII characters without blank space")
    return text


def secret(text: str) -> str:
    """A text of at least 16 characters."""
    if len(text) < 16:
        raise ValueError("16 characters or more")
    return text
