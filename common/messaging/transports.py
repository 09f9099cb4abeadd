"""How a message leaves: over HTTP to a provider, over SMTP, or not at all (it is only recorded)."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Protocol

from msgspec import Struct, field

from common.errors import ConfigurationError, PermanentError
from common.messaging import addresses, mail
from common.messaging.addresses import Address
from common.outside import http, smtp
from common.outside.destinations import Destination
from common.outside.smtp import Mail
from common.process.parsers import Smtp
from common.process.settings import Settings

Post = Callable[..., None]
"""Posts JSON, as `http.post_json` does."""
Send = Callable[..., None]
"""Sends a mail, as `smtp.send` does."""


class Outgoing(Struct, frozen=True, kw_only=True):
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

        Raises PermanentError, KeyKnownError or UnavailableError; after one of the last with
        `outcome_unknown` it may have arrived all the same.
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
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = http.READ_TIMEOUT,
        post: Post = http.post_json,
    ) -> None:
        self.timeout = timeout
        """Seconds that the provider may take."""
        self.destination = http.destination(url, token)
        self._url = url
        self._token = token
        self._post = post

    def deliver(self, message: Outgoing) -> None:
        """Post the message, with its key as `Idempotency-Key`."""
        names = ("subject", "text", "html", "template", "user_id")
        self._post(
            self._url,
            {"to": str(_address(message.to)), **{name: getattr(message, name) for name in names}},
            key=message.key,
            headers=message.headers,
            token=self._token,
            timeout=self.timeout,
        )


class SmtpTransport:
    """Sends messages as mail. A repeat is the same bytes, with the same `Message-ID`."""

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
        self._sender_name, address = parseaddr(sender)
        self._sender = _sender(address)
        self.destination = smtp.destination(server, str(self._sender))
        self._send = send

    def deliver(self, message: Outgoing) -> None:
        """Compose the mail and send it."""
        to = _address(message.to)
        sent = Mail(
            sender=str(self._sender),
            recipient=str(to),
            content=self._content(message, to),
            is_recipient_international=to.is_international,
            is_sender_international=self._sender.is_international,
        )
        self._send(self._server, sent, timeout=self.timeout)

    def _content(self, message: Outgoing, to: Address) -> bytes:
        return mail.compose(
            sender=self._sender,
            sender_name=self._sender_name,
            to=to,
            subject=message.subject,
            text=message.text,
            html=message.html,
            key=message.key,
            sent_at=message.sent_at,
            headers=message.headers,
        )


def transport(config: Settings) -> Transport:
    """The transport that these settings choose, or that a test uses instead."""
    return _used or _chosen(config)


def destination(config: Settings) -> Destination | None:
    """Who is called to send a message; None: nobody is."""
    chosen = transport(config)
    return chosen.destination if isinstance(chosen, HttpTransport | SmtpTransport) else None


def key_memory(config: Settings) -> timedelta:
    """For how long whoever sends our messages knows a key, from the first attempt on; a mail server
    knows none."""
    return config.provider_key_memory if config.messaging_url else timedelta(0)


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
        return HttpTransport(
            config.messaging_url,
            token=config.messaging_token,
            timeout=timeout,
        )
    if config.smtp_url and config.message_from:
        timeout = min(smtp.TIMEOUT, config.handler_budget / 8)
        return SmtpTransport(config.smtp_url, config.message_from, timeout=timeout)
    return RecordTransport()


def _address(text: str) -> Address:
    found = addresses.parse(text)
    if found is None:
        raise PermanentError("The email is not an address that can be written to.")
    return found


def _sender(text: str) -> Address:
    found = addresses.parse(text)
    if found is None:
        raise ConfigurationError("MESSAGE_FROM is no address that mail can be sent from.")
    return found
