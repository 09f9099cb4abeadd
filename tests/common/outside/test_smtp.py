"""Mail through a server of this machine: what is final, what passes, and what is encrypted."""

import datetime
import ipaddress
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from common.errors import PermanentError, TransientError
from common.outside import smtp
from common.process.parsers import Smtp
from tests.common.mail_server import MailServer, serving

SENDER, ADA = "shop@pulsecart.example", "ada@example.com"
MAIL = EmailMessage(policy=SMTP)
MAIL["From"], MAIL["To"], MAIL["Subject"] = SENDER, ADA, "Your order is confirmed"
MAIL.set_content("Hi,\n.\nBye\n")


def take(server: MailServer, recipient: str = ADA, **options: Any) -> MailServer:
    """Send the mail through this server."""
    with serving(server):
        host = Smtp(**{"host": "127.0.0.1", "port": server.port, **options})
        smtp.send(host, MAIL, sender=SENDER, recipient=recipient)
    return server


def test_the_envelope_names_the_recipient_and_the_mail_arrives_whole() -> None:
    server = take(MailServer(), "other@example.com")
    assert server.recipients == ["other@example.com"]
    (sent,) = server.mails
    assert sent.get_content().replace("\r\n", "\n") == "Hi,\n.\nBye\n"


def test_an_international_address_needs_a_server_that_knows_them() -> None:
    with pytest.raises(PermanentError, match="SMTPUTF8"):
        take(MailServer(), "jörg@example.com")
    server = take(MailServer(extensions=("SMTPUTF8", "8BITMIME")), "jörg@example.com")
    assert server.recipients == ["jörg@example.com"]


def test_every_turn_of_the_dialogue_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    class Slow(smtplib.SMTP):
        def __init__(self, host: str, port: int, timeout: float) -> None:
            given.append(timeout)
            raise TimeoutError

    monkeypatch.setattr(smtplib, "SMTP", Slow)
    with pytest.raises(TransientError, match="TimeoutError"):
        smtp.send(Smtp(host="mail", port=25), MAIL, sender=SENDER, recipient=ADA, timeout=2.5)
    assert given == [2.5]


@pytest.mark.parametrize("verb", ["CONNECT", "MAIL", "RCPT", "."])
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"451 try later", TransientError),
        (b"421 closing", TransientError),
        (b"", TransientError),
        (b"550 no", PermanentError),
    ],
)
def test_4xx_and_silence_pass_and_5xx_is_final(
    verb: str, reply: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        take(MailServer(answers={verb: reply}))


def test_a_refusal_says_what_the_server_said() -> None:
    with pytest.raises(PermanentError, match=r"550: 5\.1\.1 no such mailbox"):
        take(MailServer(answers={"RCPT": b"550 5.1.1 no such mailbox"}))


def test_what_a_mail_server_says_at_length_is_cut() -> None:
    with pytest.raises(PermanentError) as refused:
        take(MailServer(answers={"RCPT": b"550 " + b"x" * 5000}))
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("reply", [b"", b"421 too late", b"550 never"])
def test_what_follows_the_servers_yes_does_not_matter(reply: bytes) -> None:
    """A failing goodbye after the message was accepted must not send it again."""
    assert len(take(MailServer(answers={"QUIT": reply})).mails) == 1


def test_a_mail_server_that_is_down_is_worth_another_try() -> None:
    with serving(MailServer()) as server:
        pass
    with pytest.raises(TransientError):
        smtp.send(Smtp(host="127.0.0.1", port=server.port), MAIL, sender=SENDER, recipient=ADA)


def test_user_and_password_are_used() -> None:
    server = take(MailServer(extensions=("AUTH PLAIN",)), user="shop", password="p/w@1")
    assert server.logins == [("shop", "p/w@1")]


def test_no_password_is_sent_to_a_server_without_the_encryption_asked_for() -> None:
    server = MailServer(extensions=("AUTH PLAIN",))
    with pytest.raises(PermanentError, match="STARTTLS"):
        take(server, user="shop", password="secret", starttls=True)
    assert server.logins == []


def test_starttls_encrypts_before_the_password(trusted: ssl.SSLContext) -> None:
    server = MailServer(extensions=("STARTTLS", "AUTH PLAIN"), tls=trusted)
    take(server, user="shop", password="secret", starttls=True)
    (login,) = [line for line in server.lines if "AUTH" in line]
    assert login.startswith("TLS ")
    assert len(server.mails) == 1


def test_smtps_encrypts_from_the_first_byte(trusted: ssl.SSLContext) -> None:
    server = take(MailServer(tls=trusted, implicit_tls=True), tls=True)
    assert all(line.startswith("TLS ") for line in server.lines)
    assert len(server.mails) == 1


def test_a_server_with_a_foreign_certificate_gets_nothing(certificate: Path) -> None:
    """Nobody told the system to trust this certificate."""
    server = MailServer(tls=_context(certificate), implicit_tls=True)
    with pytest.raises(TransientError, match="SSL"):
        take(server, tls=True)
    assert server.lines == []


def test_starttls_with_a_foreign_certificate_gets_no_password(certificate: Path) -> None:
    """Nobody told the system to trust this certificate."""
    server = MailServer(extensions=("STARTTLS", "AUTH PLAIN"), tls=_context(certificate))
    with pytest.raises(TransientError, match="SSL"):
        take(server, user="shop", password="secret", starttls=True)
    assert (server.logins, server.mails) == ([], [])


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS with a certificate that this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return _context(certificate)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(signed.public_bytes(pem) + key.private_bytes(pem, *plain))
    return file


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
