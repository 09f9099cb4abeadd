"""A message as a mail: read with the standard library, and as the bytes that they are."""

import base64
import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import compat32, default
from typing import Any

import pytest

from common.messaging import mail
from common.messaging.addresses import Address

HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
]
HOSTILE = [
    "=?utf-8?q?1=0D=0ABcc:_other=40evil.example=0D=0A=0D=0ACall_this_number?=",
    "=?utf-8?b?DQpCY2M6IG90aGVyQGV2aWwuZXhhbXBsZQ0K?=",
    "=?utf-8?q?a?= =?utf-8?q?b?=",
    "7\r\nBcc: other@evil.example",
    "7\n\nCall this number",
    "7\rX: y",
    "7\u2028Bcc: x@y.z",
    "7\x85Bcc: x@y.z",
    "7\x0bBcc: x@y.z",
    "7\n",
    "7\x00",
    "\ud800",
    "x" * 5000,
    "é" * 2000,
    '"quoted" \\ <tag@x.example>, other@evil.example',
    "",
]


def content(**changes: Any) -> bytes:
    """The mail with these changes."""
    given: dict[str, Any] = {
        "sender": Address("shop", "pulsecart.example"),
        "sender_name": "PulseCart",
        "to": Address("ada", "example.com"),
        "subject": "Your order is confirmed",
        "text": "Hi,\n\nthank you: 1 × Café Mug.\n.\nFrom here\n",
        "html": "<p>thank you: 1 × Café Mug</p>\n",
        "key": "order.placed:o-1:confirmation",
        "sent_at": datetime(2025, 3, 3, 8, 30, tzinfo=UTC),
        "headers": {},
    }
    return mail.compose(**{**given, **changes})


def read(**changes: Any) -> Any:
    """The mail as it arrives."""
    return message_from_bytes(content(**changes), policy=default)


def header_names(raw: bytes) -> list[str]:
    """The names of the headers, without any parser's help."""
    head = raw.split(b"\r\n\r\n")[0]
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b" ")]
    return [line.split(b":")[0].decode() for line in lines]


def test_the_same_message_is_the_same_bytes() -> None:
    assert content() == content()
    assert content() != content(key="another")


def test_it_arrives_as_it_was() -> None:
    arrived = read()
    assert arrived["From"] == "PulseCart <shop@pulsecart.example>"
    assert (arrived["To"], arrived["Subject"]) == ("ada@example.com", "Your order is confirmed")
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert arrived["Date"].datetime == datetime(2025, 3, 3, 8, 30, tzinfo=UTC)
    assert arrived.get_content_type() == "multipart/alternative"
    assert arrived.defects == []


@pytest.mark.parametrize("kind", ["plain", "html"])
@pytest.mark.parametrize(
    "text",
    [
        "Hi,\n\n.\nFrom here\n ends with blanks \t\nand = and é 🐎\n",
        "no end of line",
        "",
        "\n\n\n",
        "x" * 5000 + "\n",
        "--=_boundary--\n",
    ],
)
def test_a_body_arrives_as_it_was(kind: str, text: str) -> None:
    body = read(**{"text" if kind == "plain" else "html": text}).get_body((kind,))
    assert body
    assert body.get_content().replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("place", ["subject", "text", "html", "sender_name", "key"])
def test_nothing_in_a_value_becomes_a_header_a_recipient_or_a_part(place: str, value: str) -> None:
    raw = content(**{place: value})
    assert header_names(raw) == HEADERS
    for policy in (default, compat32):
        arrived: Any = message_from_bytes(raw, policy=policy)
        assert list(arrived.keys()) == HEADERS
        assert len(arrived.get_payload()) == 2
        assert "ada@example.com" in str(arrived["To"])


@pytest.mark.parametrize("value", HOSTILE)
def test_a_subject_arrives_literally_on_one_line(value: str) -> None:
    """Encoded words in a value are text."""
    shown = re.sub(r"[\s\x00-\x1f\x85\u2028\ud800]+", " ", value).strip()
    assert str(read(subject=value)["Subject"]) == shown


@pytest.mark.parametrize("value", ["Žluťoučký kůň 🐎 " * 20, "a" * 900, "=?x", "👩\u200d🚀" * 30])
@pytest.mark.parametrize("place", ["subject", "sender_name"])
def test_lines_are_folded_and_encoded_words_short(place: str, value: str) -> None:
    raw = content(**{place: value})
    lines = raw.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    words = re.findall(rb"=\?utf-8\?b\?[^?]*\?=", raw)
    assert words
    assert max(map(len, words)) <= 75
    # Decoded one by one: the standard library's parser puts spaces between those of a name.
    text = b"".join(base64.b64decode(word[10:-2]) for word in words).decode()
    assert text == value.strip()


@pytest.mark.parametrize("name", ['Desk, "Shop" \\ Co.', "Desk: Shop; <x>", "Bücher", "=?a?="])
def test_a_senders_name_of_any_characters_arrives(name: str) -> None:
    (address,) = read(sender_name=name)["From"].addresses
    assert (address.display_name, address.addr_spec) == (name, "shop@pulsecart.example")


def test_a_sender_without_a_name_is_an_address() -> None:
    assert b"From: shop@pulsecart.example\r\n" in content(sender_name="")


def test_a_long_link_stays_whole() -> None:
    link = "<https://example.com/u?token=" + "0123456789abcdef" * 50 + ">"
    raw = content(headers={"List-Unsubscribe": link})
    assert f"List-Unsubscribe: {link}\r\n".encode() in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("value", ["<https://x.example/\r\nBcc: a@b.c>", "<ü>", "x" * 990, ""])
def test_a_header_that_cannot_be_kept_whole_is_left_out(value: str) -> None:
    assert header_names(content(headers={"List-Unsubscribe": value})) == HEADERS


def test_an_international_recipient_is_written_as_it_is() -> None:
    assert "To: jörg@example.com\r\n".encode() in content(to=Address("jörg", "example.com"))
    assert content().isascii()


def test_every_line_ends_with_both() -> None:
    raw = content(text="a\rb\r\nc\nd")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert raw.endswith(b"--\r\n")
