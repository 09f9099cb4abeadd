"""The ways out: what each makes of a message, and which of them the settings choose."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from msgspec.structs import replace

from common.errors import ConfigurationError, PermanentError, TransientError
from common.messaging import transports
from common.messaging.transports import HttpTransport, Outgoing, RecordTransport, SmtpTransport
from common.outside.smtp import Mail
from common.process.parsers import Smtp
from tests.common.process.test_settings import load

MESSAGE = Outgoing(
    to="ada@example.com",
    subject="Your order is confirmed",
    text="Hi,\n\nthank you: 1 × Café Mug.\n.\nBye\n",
    html="<p>thank you: 1 × Café Mug</p>\n",
    template="order_confirmation",
    user_id="u-1",
    key="order.placed:o-1:confirmation",
    sent_at=datetime(2025, 3, 3, 8, 30, tzinfo=UTC),
)
SENDER = "PulseCart <shop@pulsecart.example>"
SERVER = Smtp(host="mail", port=25)


@dataclass
class Outside:
    """What was sent outside, and with what; or nobody answers."""

    error: Exception | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)

    def post_json(self, url: str, body: Mapping[str, Any], **options: Any) -> None:
        self._keep({"url": url, "body": body, **options})

    def send(self, server: Smtp, mail: Mail, **options: Any) -> None:
        arrived: Any = message_from_bytes(mail.content, policy=default)
        self.mails.append(arrived)
        self._keep({"server": server, "mail": replace(mail, content=b""), **options})

    def _keep(self, call: dict[str, Any]) -> None:
        if self.error:
            raise self.error
        self.calls.append(call)


@pytest.fixture
def outside() -> Outside:
    """The world outside of the process."""
    return Outside()


def post(outside: Outside, message: Outgoing = MESSAGE, **options: Any) -> None:
    """Post a message to a provider."""
    HttpTransport("https://provider.example/send", post=outside.post_json, **options).deliver(
        message
    )


def mail(outside: Outside, message: Outgoing = MESSAGE, **options: Any) -> None:
    """Mail a message."""
    SmtpTransport(SERVER, SENDER, send=outside.send, **options).deliver(message)


def mailed(outside: Outside, message: Outgoing = MESSAGE) -> EmailMessage:
    """The mail that a message becomes, as it arrives."""
    mail(outside, message)
    return outside.mails[-1]


class TestHttp:
    def test_the_provider_gets_exactly_the_six_fields(self, outside: Outside) -> None:
        post(outside)
        fields = ("to", "subject", "text", "html", "template", "user_id")
        (call,) = outside.calls
        assert call["url"] == "https://provider.example/send"
        assert call["body"] == {name: getattr(MESSAGE, name) for name in fields}

    def test_it_gets_the_key_and_further_headers(self, outside: Outside) -> None:
        message = replace(MESSAGE, headers={"List-Unsubscribe": "<https://example.com/u>"})
        post(outside, message, timeout=3.0)
        (call,) = outside.calls
        assert (call["key"], call["timeout"]) == (MESSAGE.key, 3.0)
        assert call["headers"] == {"List-Unsubscribe": "<https://example.com/u>"}

    def test_its_token_travels_apart_from_its_url(self, outside: Outside) -> None:
        post(outside, token="rose")
        assert outside.calls[0]["token"] == "rose"

    def test_an_international_domain_goes_in_ascii(self, outside: Outside) -> None:
        post(outside, replace(MESSAGE, to="kunde@bücher.example"))
        assert outside.calls[0]["body"]["to"] == "kunde@xn--bcher-kva.example"

    def test_another_token_is_another_destination(self) -> None:
        made = [HttpTransport("https://provider.example/send", token=it) for it in ("a", "b", "b")]
        assert made[0].destination != made[1].destination == made[2].destination

    def test_its_refusal_is_the_messages(self, outside: Outside) -> None:
        outside.error = TransientError("busy")
        with pytest.raises(TransientError, match="busy"):
            post(outside)


class TestSmtp:
    def test_the_envelope_is_the_address_of_the_sender_and_of_the_recipient(
        self, outside: Outside
    ) -> None:
        mail(outside, timeout=2.0)
        assert outside.calls == [
            {
                "server": SERVER,
                "mail": Mail(
                    sender="shop@pulsecart.example", recipient="ada@example.com", content=b""
                ),
                "timeout": 2.0,
            }
        ]

    @pytest.mark.parametrize(
        ("to", "recipient", "is_international"),
        [
            ("kunde@bücher.example", "kunde@xn--bcher-kva.example", False),
            ("jörg@example.com", "jörg@example.com", True),
        ],
    )
    def test_a_domain_goes_in_ascii_and_only_a_local_part_needs_more(
        self, outside: Outside, to: str, recipient: str, is_international: bool
    ) -> None:
        mail(outside, replace(MESSAGE, to=to))
        sent = outside.calls[0]["mail"]
        assert (sent.recipient, sent.is_recipient_international) == (recipient, is_international)

    def test_the_senders_domain_goes_in_ascii_too(self, outside: Outside) -> None:
        transport = SmtpTransport(SERVER, "Bücher <shop@bücher.example>", send=outside.send)
        transport.deliver(MESSAGE)
        assert outside.calls[0]["mail"].sender == "shop@xn--bcher-kva.example"
        assert str(outside.mails[0]["From"]) == "Bücher <shop@xn--bcher-kva.example>"

    def test_a_sender_that_cannot_send_is_our_configuration(self) -> None:
        with pytest.raises(ConfigurationError, match="MESSAGE_FROM"):
            SmtpTransport(SERVER, "shop@-.example")

    @pytest.mark.parametrize("kind", ["plain", "html"])
    def test_a_mail_has_both_bodies_as_they_were(self, outside: Outside, kind: str) -> None:
        body = mailed(outside).get_body((kind,))
        assert body
        content = body.get_content().replace("\r\n", "\n")
        assert content == (MESSAGE.text if kind == "plain" else MESSAGE.html)

    def test_a_mail_has_the_headers_of_an_automatic_message(self, outside: Outside) -> None:
        sent = mailed(outside)
        assert (sent["From"], sent["To"], sent["Subject"]) == (SENDER, MESSAGE.to, MESSAGE.subject)
        assert (sent["Auto-Submitted"], sent["Date"].datetime) == (
            "auto-generated",
            MESSAGE.sent_at,
        )

    def test_every_attempt_at_one_message_has_one_message_id(self, outside: Outside) -> None:
        first, again = mailed(outside)["Message-ID"], mailed(outside)["Message-ID"]
        other = mailed(outside, replace(MESSAGE, key="another"))["Message-ID"]
        assert first == again != other
        assert first.endswith("@pulsecart.example>")

    def test_a_long_unsubscribe_link_arrives_whole(self, outside: Outside) -> None:
        link = "<https://example.com/u?token=" + "0123456789abcdef" * 30 + ">"
        message = replace(MESSAGE, headers={"List-Unsubscribe": link})
        assert mailed(outside, message)["List-Unsubscribe"] == link

    def test_a_subject_in_any_language_arrives(self, outside: Outside) -> None:
        subject = "Žluťoučký kůň 🐎 " * 8
        assert mailed(outside, replace(MESSAGE, subject=subject))["Subject"].strip() == (
            subject.strip()
        )

    @pytest.mark.parametrize(
        "to", ["a@b.c\r\nBcc: x@y.z", "a@b.c, x@y.z", "a..b@example.com", "nobody", "", "<a@b.c>"]
    )
    def test_an_address_that_is_none_is_permanent(self, outside: Outside, to: str) -> None:
        with pytest.raises(PermanentError, match="not an address"):
            mailed(outside, replace(MESSAGE, to=to))
        assert outside.calls == []


class TestChoice:
    @pytest.fixture(autouse=True)
    def _fresh(self) -> None:
        transports._chosen.cache_clear()

    @pytest.mark.parametrize(
        ("environ", "chosen"),
        [
            ({}, RecordTransport),
            ({"MESSAGING_URL": "https://example.com"}, HttpTransport),
            ({"SMTP_URL": "smtp://mail", "MESSAGE_FROM": SENDER}, SmtpTransport),
            ({"MESSAGE_FROM": SENDER}, RecordTransport),
        ],
    )
    def test_the_settings_choose_the_way_out(
        self, environ: dict[str, str], chosen: type[object]
    ) -> None:
        assert type(transports.transport(load(**environ))) is chosen

    def test_a_way_out_is_made_once(self) -> None:
        assert transports.transport(load()) is transports.transport(load())

    @pytest.mark.parametrize(("budget", "timeout"), [("50", 20.0), ("10", 5.0)])
    def test_a_silent_provider_leaves_half_of_the_budget(self, budget: str, timeout: float) -> None:
        config = load(MESSAGING_URL="https://example.com", HANDLER_BUDGET=budget)
        made = transports.transport(config)
        assert isinstance(made, HttpTransport)
        assert made.timeout == timeout

    @pytest.mark.parametrize(("budget", "timeout"), [("50", 5.0), ("16", 2.0)])
    def test_a_silent_mail_server_leaves_time_for_its_eight_turns(
        self, budget: str, timeout: float
    ) -> None:
        config = load(SMTP_URL="smtp://mail", MESSAGE_FROM=SENDER, HANDLER_BUDGET=budget)
        made = transports.transport(config)
        assert isinstance(made, SmtpTransport)
        assert made.timeout == timeout

    def test_only_a_provider_knows_keys(self) -> None:
        provider = {"MESSAGING_URL": "https://example.com", "PROVIDER_KEY_MEMORY": "1800"}
        server = {"SMTP_URL": "smtp://mail", "MESSAGE_FROM": SENDER}
        memories = [transports.key_memory(load(**it)) for it in (provider, server, {})]
        assert memories == [timedelta(minutes=30), timedelta(0), timedelta(0)]

    def test_the_token_of_the_settings_is_the_providers(self) -> None:
        url = "https://example.com"
        with_token = load(MESSAGING_URL=url, MESSAGING_TOKEN="rose")
        expected = HttpTransport(url, token="rose").destination
        assert transports.destination(with_token) == expected
        assert transports.destination(load()) is None
        assert "rose" not in repr(with_token)

    def test_a_test_may_choose_another_for_a_while(self) -> None:
        mine = RecordTransport()
        with transports.using(mine):
            assert transports.transport(load()) is mine
        assert transports.transport(load()) is not mine
