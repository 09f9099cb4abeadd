"""How a message leaves: over HTTP to a provider, over SMTP, or not at all (it is only recorded)."""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Protocol

from common.errors import PermanentError
from common.outside import http, smtp
from common.process.parsers import Smtp
from common.process.settings import Settings

Post = Callable[..., None]
"""Posts JSON, as `http.post_json` does."""
Send = Callable[..., None]
"""Sends a mail, as `smtp.send` does."""

# Unfolded: folding would turn a long unsubscribe link into an encoded word.
POLICY = SMTP.clone(max_line_length=990)


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One rendered message on its way to one address."""

    to: str
    subject: str
    text: str
    html: str
    template: str
    user_id: str
    key: str
    """The same for every attempt at this message, and for no other."""
    sent_at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers, such as List-Unsubscribe."""


class Transport(Protocol):
    """Sends one message: over HTTP, over SMTP, or only records it."""

    name: str
    """What the record of the message calls it."""

    def deliver(self, message: Outgoing) -> None:
        """Hand the message over; return once the other side has taken responsibility for it.

        Raises PermanentError or TransientError; after the latter it may have arrived all the same.
        """


class RecordTransport:
    """Delivers nothing: the caller's record of the message is all there is."""

    name = "record"

    def deliver(self, message: Outgoing) -> None:
        """Do nothing."""


class HttpTransport:
    """Posts messages as JSON to a provider; 2xx is its yes.

    The body has exactly the six fields the contract names. More headers of the message, such as
    List-Unsubscribe, travel as headers of the request.
    """

    name = "http"

    def __init__(
        self, url: str, *, timeout: float = http.READ_TIMEOUT, post: Post = http.post_json
    ) -> None:
        self.timeout = timeout
        """Seconds that the provider may take."""
        self._url = url
        self._post = post

    def deliver(self, message: Outgoing) -> None:
        """Post the message, with its key as `Idempotency-Key`."""
        names = ("to", "subject", "text", "html", "template", "user_id")
        body = {name: getattr(message, name) for name in names}
        self._post(self._url, body, key=message.key, headers=message.headers, timeout=self.timeout)


class SmtpTransport:
    """Sends messages as mail. A repeat has the same `Message-ID`, by which it can be recognised."""

    name = "smtp"

    def __init__(
        self,
        server: Smtp,
        sender: str,
        *,
        timeout: float = smtp.TIMEOUT,
        send: Send = smtp.send,
    ) -> None:
        self.timeout = timeout
        """Seconds that each turn of the dialogue may take."""
        self._server = server
        self._sender = sender
        self._send = send

    def deliver(self, message: Outgoing) -> None:
        """Compose the mail and send it."""
        mail = self._mail(message)
        sender = parseaddr(self._sender)[1]
        self._send(self._server, mail, sender=sender, recipient=message.to, timeout=self.timeout)

    def _mail(self, message: Outgoing) -> EmailMessage:
        try:
            return self._composed(message)
        except (ValueError, IndexError, HeaderParseError) as error:  # a header refused a value
            raise PermanentError(f"This cannot be written as a mail: {error}.") from error

    def _composed(self, message: Outgoing) -> EmailMessage:
        mail = EmailMessage(policy=POLICY)
        mail["From"] = self._sender
        mail["To"] = _address(message.to)
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(message.sent_at)
        mail["Message-ID"] = self._message_id(message)
        mail["Auto-Submitted"] = "auto-generated"
        for name, value in message.headers.items():
            mail[name] = value
        mail.set_content(message.text, cte="quoted-printable")
        mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
        return mail

    def _message_id(self, message: Outgoing) -> str:
        digest = hashlib.sha256(message.key.encode("utf-8", "surrogatepass")).hexdigest()[:40]
        return f"<{digest}@{parseaddr(self._sender)[1].rpartition('@')[2]}>"


def transport(config: Settings) -> Transport:
    """The transport that these settings choose, or that a test uses instead."""
    return _used or _chosen(config)


@contextlib.contextmanager
def using(transport: Transport) -> Iterator[None]:
    """For a test: every message leaves through this transport, inside the `with` block."""
    global _used
    earlier, _used = _used, transport
    try:
        yield
    finally:
        _used = earlier


_used: Transport | None = None


@functools.lru_cache(maxsize=4)
def _chosen(config: Settings) -> Transport:
    """The transport that these settings choose, made once.

    Its timeout leaves a small handler's budget enough, so that a silent provider does not use it
    up.
    """
    if config.messaging_url:
        timeout = min(http.READ_TIMEOUT, config.handler_budget / 2)
        return HttpTransport(config.messaging_url, timeout=timeout)
    if config.smtp_url and config.message_from:
        timeout = min(smtp.TIMEOUT, config.handler_budget / 8)
        return SmtpTransport(config.smtp_url, config.message_from, timeout=timeout)
    return RecordTransport()


def _address(text: str) -> Address:
    """The address as a header takes it; only an ASCII one can be parsed by the standard library."""
    if text.isascii():
        return Address(addr_spec=text)
    user, _, domain = text.rpartition("@")
    return Address(username=user, domain=domain)
