"""The ways out, against real servers on this machine."""

import datetime
import ipaddress
import json
import ssl
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from common.errors import PermanentError, TransientError
from common.messaging import transports
from common.messaging.transports import HttpTransport, Outgoing, RecordTransport, SmtpTransport
from common.outside import http
from common.process.parsers import Smtp
from tests.common.mail_server import MailServer
from tests.common.mail_server import serving as serving_mail
from tests.common.process.test_settings import load
from tests.common.web_server import Answer
from tests.common.web_server import serving as serving_web

MESSAGE = Outgoing(
    to="ada@example.com",
    subject="Your order is confirmed",
    text="Hi,\n\nthank you: 1 × Café Mug.\n.\nBye\n",
    html="<p>thank you: 1 × Café Mug</p>\n",
    template="order_confirmation",
    user_id="u-1",
    key="order.placed:o-1:confirmation",
    sent_at=datetime.datetime(2025, 3, 3, 8, 30, tzinfo=datetime.UTC),
)
SENDER = "PulseCart <shop@pulsecart.example>"


def post(answer: Answer, message: Outgoing = MESSAGE) -> Any:
    """Post one message to a provider that answers so; what it was asked."""
    with serving_web(lambda asked: answer) as provider:
        HttpTransport(f"{provider.url}/send").deliver(message)
    (asked,) = provider.asked
    return asked


def mail(server: MailServer, message: Outgoing = MESSAGE, **options: Any) -> MailServer:
    """Mail one message through this server."""
    with serving_mail(server):
        host = Smtp(**{"host": "127.0.0.1", "port": server.port, **options})
        SmtpTransport(host, SENDER).deliver(message)
    return server


def test_the_provider_gets_exactly_the_six_fields():
    asked = post(Answer(status=202))
    assert (asked.method, asked.path) == ("POST", "/send")
    assert asked.headers["content-type"] == "application/json"
    fields = ("to", "subject", "text", "html", "template", "user_id")
    assert json.loads(asked.body) == {name: getattr(MESSAGE, name) for name in fields}


def test_the_key_is_the_idempotency_key():
    assert post(Answer()).headers["idempotency-key"] == MESSAGE.key


@pytest.mark.parametrize("key", ["schlüssel", "a\r\nX-Evil: 1", "k" * 2000, "a b", ""])
def test_a_key_no_header_can_carry_is_hashed(key: str):
    sent = post(Answer(), replace(MESSAGE, key=key)).headers["idempotency-key"]
    assert len(sent) == 64
    assert sent == http.header_key(key) != http.header_key(MESSAGE.key)


def test_further_headers_travel_with_the_request():
    message = replace(MESSAGE, headers={"List-Unsubscribe": "<https://example.com/u>"})
    assert post(Answer(), message).headers["list-unsubscribe"] == "<https://example.com/u>"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_a_yes(status: int):
    assert post(Answer(status=status))


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 599])
def test_an_answer_that_may_pass_is_worth_another_try(status: int):
    with pytest.raises(TransientError, match=f"answered {status}: busy"):
        post(Answer(status=status, body=b"busy"))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_a_refusal_is_permanent_and_says_why(status: int):
    with pytest.raises(PermanentError, match=f"answered {status}: no such user"):
        post(Answer(status=status, body=b"no such user"))


def test_a_long_refusal_is_cut():
    with pytest.raises(PermanentError) as refused:
        post(Answer(status=400, body=b"x" * 1_000_000))
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int):
    """A message goes where the setting says and nowhere else."""
    with serving_web(lambda asked: Answer()) as elsewhere:
        with pytest.raises(PermanentError, match=str(status)):
            post(Answer(status=status, headers={"Location": elsewhere.url}))
        assert elsewhere.asked == []


def test_a_connection_closed_without_an_answer_is_worth_another_try():
    with pytest.raises(TransientError):
        post(Answer(status=0))


def test_a_provider_that_is_down_is_worth_another_try():
    with serving_web(lambda asked: Answer()) as gone:
        url = gone.url
    with pytest.raises(TransientError):
        HttpTransport(url).deliver(MESSAGE)


def test_a_silent_provider_is_given_up_in_time():
    done = threading.Event()
    with serving_web(lambda asked: Answer(status=200 if done.wait(10) else 0)) as silent:
        with pytest.raises(TransientError, match="ReadTimeout"):
            HttpTransport(silent.url, timeout=0.1).deliver(MESSAGE)
        done.set()


def test_a_yes_whose_body_breaks_off_is_a_yes():
    """Sending again because of an answer's end would be sending twice."""
    broken = {"Content-Length": "100", "Connection": "close"}
    assert post(Answer(status=200, body=b"{", headers=broken))


def test_a_thread_keeps_its_connection():
    with serving_web(lambda asked: Answer(body=b"ok")) as provider:
        transport = HttpTransport(provider.url)
        transport.deliver(MESSAGE)
        transport.deliver(MESSAGE)
    assert len({asked.peer for asked in provider.asked}) == 1


def test_threads_do_not_share_a_connection():
    together = threading.Barrier(2, timeout=10)
    with serving_web(lambda asked: Answer(status=200 + 0 * together.wait())) as provider:
        transport = HttpTransport(provider.url)
        threads = [threading.Thread(target=transport.deliver, args=(MESSAGE,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({asked.peer for asked in provider.asked}) == 2


def test_no_proxy_and_no_netrc_has_a_say(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert post(Answer())


def test_a_mail_has_both_bodies_as_they_were():
    (sent,) = mail(MailServer()).mails
    text = sent.get_body(("plain",))
    html = sent.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == MESSAGE.text
    assert html.get_content().replace("\r\n", "\n") == MESSAGE.html


def test_a_mail_has_the_headers_of_an_automatic_message():
    (sent,) = mail(MailServer()).mails
    assert (sent["From"], sent["To"], sent["Subject"]) == (SENDER, MESSAGE.to, MESSAGE.subject)
    assert sent["Auto-Submitted"] == "auto-generated"
    assert sent["Date"].datetime == MESSAGE.sent_at


def test_every_attempt_at_one_message_has_one_message_id():
    first, again = mail(MailServer()).mails[0], mail(MailServer()).mails[0]
    other = mail(MailServer(), replace(MESSAGE, key="another")).mails[0]
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert first["Message-ID"].endswith("@pulsecart.example>")


def test_a_long_unsubscribe_link_arrives_whole():
    link = "<https://example.com/u?token=" + "0123456789abcdef" * 30 + ">"
    (sent,) = mail(MailServer(), replace(MESSAGE, headers={"List-Unsubscribe": link})).mails
    assert sent["List-Unsubscribe"] == link


def test_a_subject_in_any_language_arrives():
    (sent,) = mail(MailServer(), replace(MESSAGE, subject="Žluťoučký kůň 🐎 " * 8)).mails
    assert sent["Subject"].strip() == ("Žluťoučký kůň 🐎 " * 8).strip()


def test_a_header_cannot_be_injected_through_the_subject():
    with pytest.raises(PermanentError):
        mail(MailServer(), replace(MESSAGE, subject="Hi\r\nBcc: all@example.com"))


@pytest.mark.parametrize(
    "to", ["a@b.c\r\nBcc: x@y.z", "a@b.c, x@y.z", "a..b@example.com", "nobody", "", "<a@b.c>"]
)
def test_an_address_that_is_none_is_permanent(to: str):
    server = MailServer()
    with pytest.raises(PermanentError):
        mail(server, replace(MESSAGE, to=to))
    assert server.mails == []


def test_an_international_address_needs_a_server_that_knows_them():
    message = replace(MESSAGE, to="jörg@example.com")
    with pytest.raises(PermanentError, match="SMTPUTF8"):
        mail(MailServer(), message)
    assert mail(MailServer(extensions=("SMTPUTF8", "8BITMIME")), message).recipients == [message.to]


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
def test_4xx_and_silence_pass_and_5xx_is_final(verb: str, reply: bytes, error: type[Exception]):
    with pytest.raises(error):
        mail(MailServer(answers={verb: reply}))


def test_a_refusal_says_what_the_server_said():
    with pytest.raises(PermanentError, match=r"550: 5\.1\.1 no such mailbox"):
        mail(MailServer(answers={"RCPT": b"550 5.1.1 no such mailbox"}))


def test_what_a_mail_server_says_at_length_is_cut():
    with pytest.raises(PermanentError) as refused:
        mail(MailServer(answers={"RCPT": b"550 " + b"x" * 5000}))
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("reply", [b"", b"421 too late", b"550 never"])
def test_what_follows_the_servers_yes_does_not_matter(reply: bytes):
    """A failing goodbye after the message was accepted must not send it again."""
    assert len(mail(MailServer(answers={"QUIT": reply})).mails) == 1


def test_a_mail_server_that_is_down_is_worth_another_try():
    with serving_mail(MailServer()) as server:
        pass
    with pytest.raises(TransientError):
        SmtpTransport(Smtp(host="127.0.0.1", port=server.port), SENDER).deliver(MESSAGE)


def test_user_and_password_are_used():
    server = mail(MailServer(extensions=("AUTH PLAIN",)), user="shop", password="p/w@1")
    assert server.logins == [("shop", "p/w@1")]


def test_no_password_is_sent_to_a_server_without_the_encryption_asked_for():
    server = MailServer(extensions=("AUTH PLAIN",))
    with pytest.raises(PermanentError, match="STARTTLS"):
        mail(server, user="shop", password="secret", starttls=True)
    assert server.logins == []


def test_starttls_encrypts_before_the_password(trusted: ssl.SSLContext):
    server = MailServer(extensions=("STARTTLS", "AUTH PLAIN"), tls=trusted)
    mail(server, user="shop", password="secret", starttls=True)
    (login,) = [line for line in server.lines if "AUTH" in line]
    assert login.startswith("TLS ")
    assert len(server.mails) == 1


def test_smtps_encrypts_from_the_first_byte(trusted: ssl.SSLContext):
    server = mail(MailServer(tls=trusted, implicit_tls=True), tls=True)
    assert all(line.startswith("TLS ") for line in server.lines)
    assert len(server.mails) == 1


def test_a_server_with_a_foreign_certificate_gets_nothing(certificate: Path):
    """Nobody told the system to trust this certificate."""
    server = MailServer(tls=_context(certificate), implicit_tls=True)
    with pytest.raises(TransientError, match="SSL"):
        mail(server, tls=True)
    assert server.lines == []


def test_the_settings_choose_the_way_out():
    assert isinstance(transports.transport(load()), RecordTransport)
    by_http = load(MESSAGING_URL="https://example.com")
    assert isinstance(transports.transport(by_http), HttpTransport)
    by_mail = load(SMTP_URL="smtp://mail", MESSAGE_FROM=SENDER)
    assert isinstance(transports.transport(by_mail), SmtpTransport)


def test_a_way_out_is_made_once():
    assert transports.transport(load()) is transports.transport(load())


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
