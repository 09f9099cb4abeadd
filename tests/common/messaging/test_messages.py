"""Who gets a message, and what the record of it says."""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from common.errors import (
    ConfigurationError,
    InProgressError,
    PermanentError,
    TransientError,
    UnavailableError,
)
from common.messaging import messages
from common.messaging.messages import Mailing, Message, Sent
from common.messaging.recipients import Recipient
from common.messaging.rendering import Templates
from common.messaging.transports import Outgoing
from common.outside.breaker import OPENS_AFTER
from common.process import settings
from tests.common.logged import entry
from tests.common.process.test_settings import load
from tests.common.web_server import Answer, serving

NOW = datetime(2025, 3, 3, 8, 30, tzinfo=UTC)
SECRET = "a secret of the shop"
MAILING = Mailing(
    templates=Templates(folder=Path(__file__).with_name("templates"), filters={"shout": str.upper}),
    recipients=lambda user_id, to: Recipient(user_id=user_id),
)
NEWS = Message("news", MAILING, transactional=False)
RECEIPT = Message("receipt", MAILING, transactional=True)
ADA = Recipient(user_id="u-1", address="ada@example.com", name="Ada")


@dataclass
class Box:
    """A transport that keeps what it is given, or refuses it."""

    name: str = "box"
    error: Exception | None = None
    messages: list[Outgoing] = field(default_factory=list)

    def deliver(self, message: Outgoing) -> None:
        """Keep it."""
        if self.error:
            raise self.error
        self.messages.append(message)


def send(
    box: Box | None = None,
    *,
    message: Message = NEWS,
    recipient: Recipient = ADA,
    to: Any = None,
    now: datetime = NOW,
    context: dict[str, Any] | None = None,
    **environ: str,
) -> Sent:
    """Send one message to Ada."""
    return messages.send(
        message,
        recipient,
        {"number": 7, **(context or {})},
        key="news:2025-W10:u-1",
        now=now,
        to=to,
        config=load(**environ),
        transport=box,
    )


def test_a_message_goes_to_the_users_address_and_names_them() -> None:
    box = Box()
    send(box)
    (message,) = box.messages
    assert (message.to, message.user_id) == ("ada@example.com", "u-1")
    assert message.text.startswith("Dear Ada,\n")


def test_another_address_wins_over_the_recipients_own() -> None:
    assert send(Box(), to=" new@example.com ").to == "new@example.com"


@pytest.mark.parametrize("email", [None, ""])
def test_an_empty_one_does_not_win(email: str | None) -> None:
    assert send(Box(), to=email).to == "ada@example.com"


def test_without_an_address_there_is_no_message_ever() -> None:
    with pytest.raises(PermanentError, match="no address"):
        send(Box(), message=RECEIPT, recipient=Recipient(user_id="u-1"))


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
        "=?utf-8?q?a?=@b.c",
        "a@-.example",
        "a@b..c",
        7,
        ["ada@example.com"],
        {"a": 1},
    ],
)
def test_an_address_that_could_be_more_than_one_is_permanent(email: object) -> None:
    box = Box()
    with pytest.raises(PermanentError, match="not an address"):
        send(box, to=email)
    assert box.messages == []


def test_who_has_unsubscribed_gets_nothing_that_is_not_transactional() -> None:
    box = Box()
    sent = send(box, recipient=replace(ADA, is_unsubscribed=True))
    assert (sent.state, sent.transport, box.messages) == ("skipped", "none", [])


def test_an_unsubscribed_user_without_an_address_is_skipped_not_dead() -> None:
    assert send(Box(), recipient=Recipient(user_id="u-1", is_unsubscribed=True)).state == "skipped"


def test_who_is_not_known_gets_nothing_that_is_not_transactional() -> None:
    box = Box()
    sent = send(box, recipient=replace(ADA, is_known=False), to="new@example.com")
    assert (sent.state, sent.transport, box.messages) == ("skipped", "none", [])


@pytest.mark.parametrize("change", [{"is_unsubscribed": True}, {"is_known": False}])
def test_a_transactional_message_is_sent_all_the_same(change: dict[str, Any]) -> None:
    box = Box()
    send(box, message=RECEIPT, recipient=replace(ADA, **change))
    assert len(box.messages) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_unsubscribed": True}, "the user has unsubscribed"),
        ({"is_known": False}, "there is no such user"),
    ],
)
def test_the_log_says_why_a_message_is_skipped(
    change: dict[str, Any], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    send(recipient=replace(ADA, **change))
    found = entry(capfd)
    assert (found["action"], found["template"], found["user_id"]) == ("skipped", "news", "u-1")
    assert found["message"] == f"Message news not sent: {reason}."


def test_a_message_that_does_not_say_whether_it_is_transactional_is_refused() -> None:
    with pytest.raises(TypeError, match="transactional"):
        Message("news", MAILING)  # type: ignore[call-arg]


def test_a_message_without_its_templates_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"half\.subject\.txt"):
        Message("half", MAILING, transactional=True)


def test_the_record_has_what_the_contract_names() -> None:
    document = send(Box()).document()
    assert document == document | {
        "user_id": "u-1",
        "template": "news",
        "to": "ada@example.com",
        "subject": "News 7 for Ada",
        "state": "sent",
        "sent_at": NOW,
        "key": "news:2025-W10:u-1",
        "transport": "box",
    }


def test_the_record_holds_no_more_text_than_a_document_should() -> None:
    document = send(Box(), context={"text": "9" * 100_000}).document()
    assert len(document["text"]) == messages.TEXT_LIMIT


def test_the_record_has_the_page_that_its_reader_sees_unless_that_is_too_large() -> None:
    sent = send(Box())
    assert sent.document()["html"] == sent.html != ""
    assert send(Box(), context={"text": "9" * 100_000}).document()["html"] == ""


def test_without_a_provider_the_message_is_only_recorded() -> None:
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
def test_staging_writes_to_nobody_else(to: str, goes: bool) -> None:
    box = Box()
    sent = send(box, to=to, MESSAGE_ALLOW="ada@example.com, @shop.example")
    assert (len(box.messages), sent.state) == (int(goes), "sent")
    assert sent.transport == ("box" if goes else "withheld")


@pytest.mark.parametrize("error", [PermanentError, TransientError])
def test_what_the_transport_raises_is_raised(error: type[Exception]) -> None:
    with pytest.raises(error):
        send(Box(error=error("no")))


def test_a_context_cannot_choose_where_unsubscribing_leads() -> None:
    box = Box()
    send(box, context={"unsubscribe": "https://evil.example"})
    assert "evil" not in box.messages[0].html + box.messages[0].text


@pytest.mark.parametrize(
    "name", ["Claim 500 EUR at https://evil.example/x now", "#1001", "\u202eevil.example", 7, None]
)
@pytest.mark.parametrize("is_in_payload", [True, False])
def test_what_is_no_name_is_not_greeted(name: Any, is_in_payload: bool) -> None:
    box = Box()
    if is_in_payload:
        send(box, context={"name": name})
    else:
        send(box, recipient=replace(ADA, name=name))
    assert not box.messages[0].text.startswith("Dear")
    assert box.messages[0].subject == "News 7 for you"


def test_the_unsubscribe_page_gets_the_user_and_a_token_that_proves_it() -> None:
    box = Box()
    send(box, UNSUBSCRIBE_URL="https://example.com/u?lang=en", UNSUBSCRIBE_SECRET=SECRET)
    link = box.messages[0].headers["List-Unsubscribe"]
    token = hmac.new(SECRET.encode(), b"u-1", hashlib.sha256).hexdigest()
    asked = parse_qs(urlsplit(link.strip("<>")).query)
    assert asked == {"lang": ["en"], "user": ["u-1"], "token": [token]}
    assert link.strip("<>") in box.messages[0].text


def test_one_click_is_offered_for_a_page_only() -> None:
    page, mailbox = Box(), Box()
    send(page, UNSUBSCRIBE_URL="https://example.com/u", UNSUBSCRIBE_SECRET=SECRET)
    send(mailbox, UNSUBSCRIBE_URL="mailto:stop@example.com")
    assert page.messages[0].headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mailbox.messages[0].headers == {
        "List-Unsubscribe": "<mailto:stop@example.com?subject=unsubscribe%20u-1>"
    }


def test_without_a_page_the_sender_takes_the_wish() -> None:
    box = Box()
    send(box, MESSAGE_FROM="PulseCart <shop@example.com>")
    assert box.messages[0].headers["List-Unsubscribe"].startswith("<mailto:shop@example.com?")


def test_a_transactional_message_offers_no_unsubscribing() -> None:
    box = Box()
    send(box, message=RECEIPT, MESSAGE_FROM="shop@example.com")
    assert box.messages[0].headers == {}
    assert "nsubscribe" not in box.messages[0].text


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        send(Box(), now=NOW.replace(tzinfo=None))


def test_the_log_names_the_user_and_no_address(capfd: pytest.CaptureFixture[str]) -> None:
    send()
    found = entry(capfd)
    assert (found["action"], found["user_id"], found["transport"]) == ("message", "u-1", "record")
    assert "@" not in json.dumps(found)


@pytest.mark.usefixtures("documents")
def test_the_settings_decide_the_way_out() -> None:
    with serving(lambda asked: Answer(status=202)) as provider:
        sent = send(MESSAGING_URL=provider.url)
    assert sent.transport == "http"
    assert json.loads(provider.asked[0].body)["to"] == "ada@example.com"
    assert provider.asked[0].headers["idempotency-key"] == "news:2025-W10:u-1"


@pytest.mark.usefixtures("documents")
def test_before_a_claim_the_provider_is_asked_for(environment: pytest.MonkeyPatch) -> None:
    messages.ensure_open()
    with serving(lambda asked: Answer(status=503)) as provider:
        environment.setenv("MESSAGING_URL", provider.url)
        settings.current.cache_clear()
        messages.ensure_open()
        for _ in range(OPENS_AFTER):
            with pytest.raises(UnavailableError):
                send(MESSAGING_URL=provider.url)
        with pytest.raises(InProgressError, match="is unavailable"):
            messages.ensure_open()
    assert len(provider.asked) == OPENS_AFTER
