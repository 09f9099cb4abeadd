"""Who gets a message, and what the record of it says."""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from common.errors import PermanentError, TransientError
from common.messaging import messages
from common.messaging.messages import Sent
from common.messaging.transports import Message
from tests.common.process.test_settings import load
from tests.common.web_server import Answer, serving

NOW = datetime(2025, 3, 3, 8, 30, tzinfo=UTC)
ADA = {"email": "ada@example.com", "name": "Ada"}
SECRET = "a secret of the shop"
OPTIONAL = ["cart_abandonment_reminder", "onboarding_day_1", "onboarding_day_3"]
OPTIONAL += ["onboarding_day_7", "weekly_digest"]
TRANSACTIONAL = ["welcome", "order_confirmation", "payment_retry"]
CONTEXT = {"order_id": "o-7", "orders": 1, "spending": 20}


@dataclass
class Box:
    """A transport that keeps what it is given, or refuses it."""

    name: str = "box"
    error: Exception | None = None
    messages: list[Message] = field(default_factory=list)

    def deliver(self, message: Message) -> None:
        """Keep it."""
        if self.error:
            raise self.error
        self.messages.append(message)


def send(
    box: Box | None = None,
    *,
    template: str = "weekly_digest",
    user: dict[str, Any] = ADA,
    payload: dict[str, Any] | None = None,
    now: datetime = NOW,
    **settings: str,
) -> Sent:
    """Send one message to Ada."""
    return messages.send(
        template=template,
        user=user,
        user_id="u-1",
        payload=payload or {},
        context=CONTEXT,
        key="digest:2025-W10:u-1",
        now=now,
        chosen=load(**settings),
        transport=box,
    )


def test_a_message_goes_to_the_users_address_and_names_them():
    box = Box()
    send(box)
    (message,) = box.messages
    assert (message.to, message.user_id) == ("ada@example.com", "u-1")
    assert message.text.startswith("Hi Ada,\n")


def test_an_email_in_the_payload_wins():
    assert send(Box(), payload={"email": " new@example.com "}).to == "new@example.com"


@pytest.mark.parametrize("email", [None, ""])
def test_an_empty_email_in_the_payload_does_not_win(email: str | None):
    assert send(Box(), payload={"email": email}).to == "ada@example.com"


def test_without_an_address_there_is_no_message_ever():
    with pytest.raises(PermanentError, match="neither the payload nor the user has an email"):
        send(Box(), user={})


@pytest.mark.parametrize(
    "email",
    [
        "nobody",
        "a@b@c",
        "a@b.c, d@e.f",
        "a@b.c\nBcc: d@e.f",
        "Ada <ada@example.com>",
        "a b@example.com",
        "a@b\x00.c",
        "a@b\u2028.c",
        "a@" + "b" * 260,
        '"a"@b.c',
        7,
        ["ada@example.com"],
        {"a": 1},
    ],
)
def test_an_address_that_could_be_more_than_one_is_permanent(email: object):
    box = Box()
    with pytest.raises(PermanentError, match="not an address"):
        send(box, payload={"email": email})
    assert box.messages == []


@pytest.mark.parametrize("template", OPTIONAL)
def test_who_has_unsubscribed_gets_no_such_message(template: str):
    box = Box()
    sent = send(box, template=template, user={**ADA, "unsubscribed": True})
    assert (sent.state, sent.transport, box.messages) == ("skipped", "none", [])


def test_an_unsubscribed_user_without_an_address_is_skipped_not_dead():
    assert send(Box(), user={"unsubscribed": True}).state == "skipped"


@pytest.mark.parametrize("template", TRANSACTIONAL)
def test_a_transactional_message_is_sent_all_the_same(template: str):
    box = Box()
    send(box, template=template, user={**ADA, "unsubscribed": True})
    assert len(box.messages) == 1


def test_every_template_is_one_or_the_other():
    assert sorted(messages.TRANSACTIONAL) == sorted(TRANSACTIONAL)


def test_the_record_has_what_the_contract_names():
    document = send(Box()).document()
    assert document == document | {
        "user_id": "u-1",
        "template": "weekly_digest",
        "to": "ada@example.com",
        "subject": "Your week at PulseCart: 1 order",
        "state": "sent",
        "sent_at": NOW,
        "key": "digest:2025-W10:u-1",
        "transport": "box",
    }


def test_the_record_holds_no_more_text_than_a_document_should():
    document = send(Box(), payload={"period": "9" * 100_000}).document()
    assert len(document["text"]) == messages.TEXT_LIMIT


def test_without_a_provider_the_message_is_only_recorded():
    sent = send()
    assert (sent.state, sent.transport) == ("sent", "record")


@pytest.mark.parametrize(
    ("to", "goes"),
    [
        ("ada@example.com", True),
        ("ADA@Example.com", True),
        ("bob@example.com", False),
        ("any@shop.example", True),
        ("any@SHOP.example", True),
        ("any@notshop.example", False),
        ("any@mail.shop.example", False),
    ],
)
def test_staging_writes_to_nobody_else(to: str, goes: bool):
    box = Box()
    sent = send(box, payload={"email": to}, MESSAGE_ALLOW="ada@example.com, @shop.example")
    assert (len(box.messages), sent.state) == (int(goes), "sent")
    assert sent.transport == ("box" if goes else "withheld")


@pytest.mark.parametrize("error", [PermanentError, TransientError])
def test_what_the_transport_raises_is_raised(error: type[Exception]):
    with pytest.raises(error):
        send(Box(error=error("no")))


def test_a_context_cannot_choose_where_unsubscribing_leads():
    box = Box()
    send(box, payload={"unsubscribe": "https://evil.example"})
    assert "evil" not in box.messages[0].html + box.messages[0].text


def test_the_unsubscribe_page_gets_the_user_and_a_token_that_proves_it():
    box = Box()
    send(box, UNSUBSCRIBE_URL="https://example.com/u?lang=en", UNSUBSCRIBE_SECRET=SECRET)
    link = box.messages[0].headers["List-Unsubscribe"]
    token = hmac.new(SECRET.encode(), b"u-1", hashlib.sha256).hexdigest()
    asked = parse_qs(urlsplit(link.strip("<>")).query)
    assert asked == {"lang": ["en"], "user": ["u-1"], "token": [token]}
    assert link.strip("<>") in box.messages[0].text


def test_one_click_is_offered_for_a_page_only():
    page, mailbox = Box(), Box()
    send(page, UNSUBSCRIBE_URL="https://example.com/u", UNSUBSCRIBE_SECRET=SECRET)
    send(mailbox, UNSUBSCRIBE_URL="mailto:stop@example.com")
    assert page.messages[0].headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mailbox.messages[0].headers == {
        "List-Unsubscribe": "<mailto:stop@example.com?subject=unsubscribe%20u-1>"
    }


def test_without_a_page_the_sender_takes_the_wish():
    box = Box()
    send(box, MESSAGE_FROM="PulseCart <shop@example.com>")
    assert box.messages[0].headers["List-Unsubscribe"].startswith("<mailto:shop@example.com?")


@pytest.mark.parametrize("template", TRANSACTIONAL)
def test_a_transactional_message_offers_no_unsubscribing(template: str):
    box = Box()
    send(box, template=template, MESSAGE_FROM="shop@example.com")
    assert box.messages[0].headers == {}
    assert "nsubscribe" not in box.messages[0].text


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="aware"):
        send(Box(), now=NOW.replace(tzinfo=None))


def test_the_log_names_the_user_and_no_address(capfd: pytest.CaptureFixture[str]):
    send()
    out = capfd.readouterr().out
    entry = json.loads(out)
    assert (entry["action"], entry["user_id"], entry["transport"]) == ("message", "u-1", "record")
    assert "@" not in out


def test_the_settings_decide_the_way_out():
    with serving(lambda asked: Answer(status=202)) as provider:
        sent = send(MESSAGING_URL=provider.url)
    assert sent.transport == "http"
    assert json.loads(provider.asked[0].body)["to"] == "ada@example.com"
    assert provider.asked[0].headers["idempotency-key"] == "digest:2025-W10:u-1"
