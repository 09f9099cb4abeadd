"""Mail through a server of this machine: what is final, what passes, and what is encrypted."""

import datetime
import ipaddress
import smtplib
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from common.errors import DeferredError, PermanentError, UnavailableError
from common.outside import smtp
from common.outside.smtp import Mail
from common.process.parsers import Smtp
from tests.common.mail_server import MailServer, serving

SENDER, ADA = "shop@pulsecart.example", "ada@example.com"
CONTENT = b"Subject: Your order is confirmed\r\n\r\nHi,\r\n.\r\n..\r\nBye\r\n"
MAIL = Mail(sender=SENDER, recipient=ADA, content=CONTENT)


def take(server: MailServer, mail: Mail = MAIL, **options: Any) -> MailServer:
    """Send the mail through this server."""
    with serving(server):
        smtp.send(Smtp(**{"host": "127.0.0.1", "port": server.port, **options}), mail)
    return server


def test_the_envelope_names_the_recipient_and_the_mail_arrives_whole() -> None:
    server = take(MailServer(), replace(MAIL, recipient="other@example.com"))
    assert server.recipients == ["other@example.com"]
    (sent,) = server.mails
    assert sent.get_content().replace("\r\n", "\n") == "Hi,\n.\n..\nBye\n"


def test_an_international_recipient_needs_a_server_that_knows_them() -> None:
    mail = replace(MAIL, recipient="jörg@example.com", is_recipient_international=True)
    with pytest.raises(PermanentError, match="SMTPUTF8"):
        take(MailServer(), mail)
    server = take(MailServer(extensions=("SMTPUTF8", "8BITMIME")), mail)
    assert server.recipients == ["jörg@example.com"]


def test_an_international_sender_is_our_configuration() -> None:
    with pytest.raises(UnavailableError, match="SMTPUTF8"):
        take(MailServer(), replace(MAIL, sender="läden@x.example", is_sender_international=True))


def test_a_server_with_a_limit_is_told_the_size() -> None:
    lines = take(MailServer(extensions=("SIZE 1000",))).lines
    assert any(line.lower().endswith(f" size={len(CONTENT)}") for line in lines)


def test_every_turn_of_the_dialogue_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    class Slow(smtplib.SMTP):
        def __init__(self, host: str, port: int, timeout: float) -> None:
            given.append(timeout)
            raise TimeoutError

    monkeypatch.setattr(smtplib, "SMTP", Slow)
    with pytest.raises(UnavailableError, match="TimeoutError"):
        smtp.send(Smtp(host="mail", port=25), MAIL, timeout=2.5)
    assert given == [2.5]


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("reply", [b"421 closing", b"554 rejected by policy", b""])
def test_what_is_not_about_this_mail_waits(verb: str, reply: bytes) -> None:
    with pytest.raises(UnavailableError) as refused:
        take(MailServer(answers={verb: reply, "HELO": reply}))
    assert refused.value.outcome_unknown is (verb == "." and reply == b"")


@pytest.mark.parametrize(
    ("verb", "reply", "error"),
    [
        ("RCPT", b"550 5.1.1 no such mailbox", PermanentError),
        ("RCPT", b"550 5.4.5 daily quota", UnavailableError),
        ("RCPT", b"450 4.7.1 greylisted", DeferredError),
        (".", b"554 5.6.0 malformed", PermanentError),
        (".", b"250", None),
        ("RCPT", b"251 forwarded", None),
        ("AUTH", b"535 5.7.8 bad credentials", UnavailableError),
        ("AUTH", b"454 4.7.0 later", UnavailableError),
    ],
)
def test_the_turn_and_the_code_say_whose_fault_it_is(
    verb: str, reply: bytes, error: type[Exception] | None
) -> None:
    server = MailServer(answers={verb: reply}, extensions=("AUTH PLAIN",))
    if error is None:
        assert len(take(server, user="shop", password="p").mails) == 1
        return
    with pytest.raises(error):
        take(server, user="shop", password="p")


def test_an_answer_that_is_none_may_have_been_a_yes() -> None:
    with pytest.raises(UnavailableError) as lost:
        take(MailServer(answers={".": b"399 what"}))
    assert lost.value.outcome_unknown


def test_a_refusal_says_what_the_server_said_and_shows_no_address() -> None:
    with pytest.raises(PermanentError, match=r"550: 5\.1\.1 <…> has no mailbox") as refused:
        take(MailServer(answers={"RCPT": b"550 5.1.1 <ada@example.com> has no mailbox"}))
    assert refused.value.__context__ is None


def test_what_a_mail_server_says_at_length_is_cut() -> None:
    with pytest.raises(UnavailableError) as refused:
        take(MailServer(answers={"MAIL": b"550 " + b"x" * 400}))
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("reply", [b"", b"421 too late", b"550 never"])
def test_what_follows_the_servers_yes_does_not_matter(reply: bytes) -> None:
    """A failing goodbye after the message was accepted must not send it again."""
    assert len(take(MailServer(answers={"QUIT": reply})).mails) == 1


def test_a_mail_server_that_is_down_is_worth_another_try() -> None:
    with serving(MailServer()) as server:
        pass
    with pytest.raises(UnavailableError) as down:
        smtp.send(Smtp(host="127.0.0.1", port=server.port), MAIL)
    assert not down.value.outcome_unknown


def test_user_and_password_are_used() -> None:
    server = take(MailServer(extensions=("AUTH PLAIN",)), user="shop", password="p/w@1")
    assert server.logins == [("shop", "p/w@1")]


def test_no_password_is_sent_to_a_server_without_the_encryption_asked_for() -> None:
    server = MailServer(extensions=("AUTH PLAIN",))
    with pytest.raises(UnavailableError, match="STARTTLS"):
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
    with pytest.raises(UnavailableError, match="SSL"):
        take(server, tls=True)
    assert server.lines == []


def test_starttls_with_a_foreign_certificate_gets_no_password(certificate: Path) -> None:
    """Nobody told the system to trust this certificate."""
    server = MailServer(extensions=("STARTTLS", "AUTH PLAIN"), tls=_context(certificate))
    with pytest.raises(UnavailableError, match="SSL"):
        take(server, user="shop", password="secret", starttls=True)
    assert (server.logins, server.mails) == ([], [])


def test_another_password_or_sender_is_another_destination() -> None:
    server = Smtp(host="mail", port=25, user="shop", password="rose")
    made = smtp.destination(server, SENDER)
    assert made.name == "smtp://mail:25"
    assert made != smtp.destination(replace(server, password="tulip"), SENDER)
    assert made != smtp.destination(server, "other@pulsecart.example")


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
