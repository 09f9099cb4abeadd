"""Mail through one server, a connection per mail.

`send` returns once the server has taken the mail, or raises: PermanentError when the server refused
this mail, TransientError when it is worth another try. After a TransientError the mail may have
been taken all the same.
"""

import contextlib
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage

from common.errors import PermanentError, TransientError
from common.outside.answers import smtp_error
from common.process.parsers import Smtp

TIMEOUT = 5.0
"""Seconds for each turn of the dialogue; a mail takes about eight."""


def send(
    server: Smtp, mail: EmailMessage, *, sender: str, recipient: str, timeout: float = TIMEOUT
) -> None:
    """Send one mail; `sender` and `recipient` are the addresses of its envelope."""
    try:
        with _connected(server, timeout) as connection:
            connection.send_message(mail, sender, [recipient])
    except smtplib.SMTPRecipientsRefused as error:
        code, reason = next(iter(error.recipients.values()))
        raise smtp_error(code, reason) from error
    except smtplib.SMTPResponseException as error:
        raise smtp_error(error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise PermanentError(f"The mail server cannot take this message: {error}.") from error
    except (smtplib.SMTPException, OSError) as error:
        raise TransientError(f"The mail server did not answer ({type(error).__name__}).") from error


@contextlib.contextmanager
def _connected(server: Smtp, timeout: float) -> Iterator[smtplib.SMTP]:
    """A connection ready to send. Its end never fails: the mail has been accepted by then, and an
    error would send it again."""
    connection = _open(server, timeout)
    try:
        if server.starttls:
            connection.starttls(context=ssl.create_default_context())
        if server.user is not None:
            connection.login(server.user, server.password or "")
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
