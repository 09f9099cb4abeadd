"""How a message leaves: over HTTP, over SMTP, or not at all (recorded only).

A transport delivers or raises: PermanentError when the other side refused this message,
TransientError when it is worth another try. After a TransientError the message may have arrived all
the same (its answer was lost), which is why every message carries a key: a provider that honours
`Idempotency-Key` drops the repeat; mail repeats its `Message-ID`, by which it can be recognised.
"""

import contextlib
import functools
import hashlib
import re
import smtplib
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Protocol

import requests
import urllib3

from common.errors import PermanentError, TransientError
from common.process.settings import Settings
from common.process.variables import Smtp

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 20.0
"""Seconds; less where a handler's budget is small, so that a silent provider does not use it up."""

RETRIED = frozenset({408, 409, 425, 429})
"""4xx answers that pass: 409 says that the same key is being worked on right now."""

SHOWN = 500
"""Bytes of a refusal kept for whoever reads the dead letter."""

# Unfolded: folding would turn a long unsubscribe link into an encoded word.
POLICY = SMTP.clone(max_line_length=990)


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message on its way."""

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

    @property
    def header_key(self) -> str:
        """The key as a header can carry it: as it is if it is short ASCII, else its hash."""
        if re.fullmatch(r"[!-~]{1,200}", self.key):
            return self.key
        return hashlib.sha256(self.key.encode("utf-8", "surrogatepass")).hexdigest()


class Transport(Protocol):
    """A way out."""

    name: str

    def deliver(self, message: Message) -> None:
        """Hand the message over; return once the other side has taken responsibility for it."""


class RecordTransport:
    """Delivers nothing: the caller's record of the message is all there is."""

    name = "record"

    def deliver(self, message: Message) -> None:
        """Nothing to do."""


class HttpTransport:
    """Posts messages as JSON to a provider; 2xx is its yes.

    The body has exactly the six fields the contract names. More headers of the message, such as
    List-Unsubscribe, travel as headers of the request.
    """

    name = "http"

    def __init__(self, url: str, *, read_timeout: float = READ_TIMEOUT) -> None:
        self._url = url
        self._timeout = (min(CONNECT_TIMEOUT, read_timeout), read_timeout)
        self._local = threading.local()

    def deliver(self, message: Message) -> None:
        names = ("to", "subject", "text", "html", "template", "user_id")
        body = {name: getattr(message, name) for name in names}
        headers = {**message.headers, "Idempotency-Key": message.header_key}
        try:
            with self._session().post(
                self._url,
                json=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                self._judge(response.status_code, _start(response))
        except requests.RequestException as error:
            raise TransientError(
                f"The messaging provider did not answer ({type(error).__name__})."
            ) from error

    def _judge(self, status: int, body: str) -> None:
        if 200 <= status < 300:
            return
        answer = f"The messaging provider answered {status}: {body}"
        if status in RETRIED or status >= 500:
            raise TransientError(answer)
        raise PermanentError(answer)

    def _session(self) -> requests.Session:
        """This thread's session: it keeps its connection open, and is not shared safely."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # no proxies and no .netrc: the URL says it all
            self._local.session = session
        return session


class SmtpTransport:
    """Sends mail through one server, a connection per message."""

    name = "smtp"

    def __init__(self, server: Smtp, sender: str, *, timeout: float = CONNECT_TIMEOUT) -> None:
        self._server = server
        self._sender = sender
        self._timeout = timeout

    def deliver(self, message: Message) -> None:
        mail = self._mail(message)
        try:
            with self._connected() as connection:
                connection.send_message(mail, parseaddr(self._sender)[1], [message.to])
        except smtplib.SMTPRecipientsRefused as error:
            code, reason = next(iter(error.recipients.values()))
            raise _smtp_error(code, reason) from error
        except smtplib.SMTPResponseException as error:
            raise _smtp_error(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            raise PermanentError(f"The mail server cannot take this message: {error}.") from error
        except (smtplib.SMTPException, OSError) as error:
            raise TransientError(
                f"The mail server did not answer ({type(error).__name__})."
            ) from error

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """A connection ready to send. Its end never fails: the message has been accepted by then,
        and an error would send it again."""
        connection = self._open()
        try:
            if self._server.starttls:
                connection.starttls(context=ssl.create_default_context())
            if self._server.user is not None:
                connection.login(self._server.user, self._server.password or "")
            yield connection
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()

    def _open(self) -> smtplib.SMTP:
        host, port, timeout = self._server.host, self._server.port, self._timeout
        if self._server.tls:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
        return smtplib.SMTP(host, port, timeout=timeout)

    def _mail(self, message: Message) -> EmailMessage:
        try:
            return self._composed(message)
        except (ValueError, IndexError, HeaderParseError) as error:  # a header refused a value
            raise PermanentError(f"This cannot be written as a mail: {error}.") from error

    def _composed(self, message: Message) -> EmailMessage:
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

    def _message_id(self, message: Message) -> str:
        """The same for every attempt at one message, so that a repeat can be recognised."""
        digest = hashlib.sha256(message.key.encode("utf-8", "surrogatepass")).hexdigest()[:40]
        return f"<{digest}@{parseaddr(self._sender)[1].rpartition('@')[2]}>"


@functools.lru_cache(maxsize=4)
def transport(chosen: Settings) -> Transport:
    """The way out that these settings choose, made once."""
    patience = min(READ_TIMEOUT, chosen.handler_budget / 2)
    if chosen.messaging_url:
        return HttpTransport(chosen.messaging_url, read_timeout=patience)
    if chosen.smtp_url and chosen.message_from:
        # A dialogue has about eight turns, each of which may take this long.
        timeout = min(CONNECT_TIMEOUT, chosen.handler_budget / 8)
        return SmtpTransport(chosen.smtp_url, chosen.message_from, timeout=timeout)
    return RecordTransport()


def _address(text: str) -> Address:
    """The address as a header takes it; only an ASCII one can be parsed by the standard library."""
    if text.isascii():
        return Address(addr_spec=text)
    user, _, domain = text.rpartition("@")
    return Address(username=user, domain=domain)


def _start(response: requests.Response) -> str:
    """How the body begins. A short one is read whole, which lets the connection be used again."""
    try:
        start: bytes = response.raw.read(SHOWN, decode_content=True)
    except (urllib3.exceptions.HTTPError, OSError):
        return ""  # the status has been given, and it decides
    return start.decode("utf-8", "replace")


def _smtp_error(code: int, reason: bytes | str) -> PermanentError | TransientError:
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
    answer = f"The mail server answered {code}: {text[:SHOWN]}"
    return PermanentError(answer) if 500 <= code < 600 else TransientError(answer)
