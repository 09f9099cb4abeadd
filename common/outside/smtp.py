"""Mail through one server, a connection per mail.

`send` returns once the server has taken the mail, or raises: PermanentError when the server refuses
this mail for good, UnavailableError when it is down or refuses us. After one with `outcome_unknown`
the mail may have been taken all the same: its end was sent, and the answer to that was lost.
"""

import contextlib
import re
import smtplib
import ssl
from collections.abc import Iterator

from msgspec import Struct

from common.errors import BundleError, PermanentError, UnavailableError
from common.outside import destinations, mail_answers
from common.outside.destinations import Destination
from common.outside.mail_answers import Turn
from common.process.parsers import Smtp

TIMEOUT = 5.0
"""Seconds for each turn of the dialogue; a mail takes about eight."""


class Mail(Struct, frozen=True, kw_only=True):
    """One mail in its envelope."""

    sender: str
    recipient: str
    """Plain addresses, their domains in ASCII."""
    content: bytes
    """Headers and body, lines ended by CRLF."""
    is_recipient_international: bool = False
    """Whether the part before the recipient's @ is not ASCII."""
    is_sender_international: bool = False


class _Refusal(Exception):
    """A turn of the dialogue was refused."""

    def __init__(self, code: int, said: bytes) -> None:
        super().__init__(code)
        self.code = code
        self.said = said


class _NotOfferedError(Exception):
    """The server does not offer what the mail needs."""


def send(server: Smtp, mail: Mail, *, timeout: float = TIMEOUT) -> None:
    """Send one mail. Raises PermanentError or UnavailableError."""
    destinations.reach(
        destination(server, mail.sender), lambda: _Dialogue(server, timeout).send(mail)
    )


def destination(server: Smtp, sender: str) -> Destination:
    """This server, used by this sender."""
    name = f"{'smtps' if server.tls else 'smtp'}://{server.host}:{server.port}"
    return destinations.named(name, "smtp", name, server.user or "", server.password or "", sender)


class _Dialogue:
    """One connection to the server, and how far it has come."""

    def __init__(self, server: Smtp, timeout: float) -> None:
        self._server = server
        self._timeout = timeout
        self._turn: Turn = "connect"

    def send(self, mail: Mail) -> None:
        """Hand the mail over; translates whatever goes wrong."""
        try:
            with self._connected() as connection:
                self._deliver(connection, mail)
            return
        except _Refusal as error:
            failure = self._refused(error.code, error.said, mail)
        except smtplib.SMTPResponseException as error:
            failure = self._refused(error.smtp_code, error.smtp_error, mail)
        except (_NotOfferedError, smtplib.SMTPNotSupportedError) as error:
            failure = _not_offered(error, mail)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            failure = self._lost(f"The mail server did not answer ({type(error).__name__}).")
        # Outside of the block above: what the library says of its error may have an address in it.
        raise failure

    def _deliver(self, connection: smtplib.SMTP, mail: Mail) -> None:
        connection.ehlo_or_helo_if_needed()
        self._turn = "mail"
        self._expect(250, connection.mail(mail.sender, _options(connection, mail)))
        self._turn = "rcpt"
        self._expect(250, connection.rcpt(mail.recipient))
        self._turn = "data"
        self._expect(354, connection.docmd("DATA"))
        connection.send(re.sub(rb"(?m)^\.", b"..", mail.content))
        # Only what follows can make the server take the mail.
        self._turn = "end"
        self._expect(250, connection.docmd("."))

    def _expect(self, code: int, reply: tuple[int, bytes]) -> None:
        is_yes = reply[0] == code or (code == 250 and reply[0] == 251)
        if not is_yes:
            raise _Refusal(*reply)

    def _refused(self, code: int, said: bytes | str, mail: Mail) -> BundleError:
        if not 400 <= code < 600:
            return self._lost(f"The mail server gave no proper answer ({code}).")
        password = self._server.password or ""
        return mail_answers.error_of(self._turn, code, said, (mail.recipient, password))

    def _lost(self, text: str) -> UnavailableError:
        return UnavailableError(text, outcome_unknown=self._turn == "end")

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """A connection ready to send. Its end never fails: the mail has been accepted by then, and
        an error would send it again."""
        connection = _open(self._server, self._timeout)
        try:
            if self._server.starttls:
                connection.starttls(context=ssl.create_default_context())
            self._turn = "login"
            if self._server.user is not None:
                connection.login(self._server.user, self._server.password or "")
            yield connection
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()


def _open(server: Smtp, timeout: float) -> smtplib.SMTP:
    if not server.tls:
        return smtplib.SMTP(server.host, server.port, timeout=timeout)
    context = ssl.create_default_context()
    return smtplib.SMTP_SSL(server.host, server.port, timeout=timeout, context=context)


def _options(connection: smtplib.SMTP, mail: Mail) -> list[str]:
    if not (mail.is_recipient_international or mail.is_sender_international):
        return [f"SIZE={len(mail.content)}"] if connection.has_extn("size") else []
    if not connection.has_extn("smtputf8"):
        raise _NotOfferedError("SMTPUTF8")
    return ["SMTPUTF8", "BODY=8BITMIME"]


def _not_offered(error: Exception, mail: Mail) -> BundleError:
    """Without SMTPUTF8 there is no way to such a recipient; all else is about the server and us."""
    text = f"The mail server does not offer what is needed: {error}"
    is_message = isinstance(error, _NotOfferedError) and not mail.is_sender_international
    return PermanentError(text) if is_message else UnavailableError(text)
