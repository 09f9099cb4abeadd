"""The way out of what is not transactional."""

import hashlib
import hmac
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from common.messaging.unsubscribing import headers_of, link_for
from tests.common.process.test_settings import load

SECRET = "a secret of the shop"
PAGE = {"UNSUBSCRIBE_URL": "https://example.com/u?lang=en#top", "UNSUBSCRIBE_SECRET": SECRET}
TOKEN = hmac.new(SECRET.encode(), b"u-1", hashlib.sha256).hexdigest()


def test_a_page_gets_the_user_and_a_token_that_proves_it() -> None:
    link = link_for(load(**PAGE), "u-1")
    assert link == f"https://example.com/u?lang=en&user=u-1&token={TOKEN}#top"


def test_a_token_is_of_one_user_and_one_secret() -> None:
    other = {**PAGE, "UNSUBSCRIBE_SECRET": "another secret of the shop"}
    pairs = [(PAGE, "u-1"), (PAGE, "u-2"), (other, "u-1")]
    links = [urlsplit(link_for(load(**page), user) or "") for page, user in pairs]
    assert len({parse_qs(link.query)["token"][0] for link in links}) == 3


@pytest.mark.parametrize("user_id", ["a&user=b", "a b", "ü", "a%26", "#", "a=b"])
def test_no_user_id_becomes_another_parameter(user_id: str) -> None:
    asked = parse_qs(urlsplit(link_for(load(**PAGE), user_id) or "").query)
    assert (asked["user"], asked["lang"], len(asked["token"])) == ([user_id], ["en"], 1)


def test_a_mailbox_gets_the_user_in_its_subject() -> None:
    link = link_for(load(UNSUBSCRIBE_URL="mailto:stop@example.com"), "a&b=c/d")
    assert link == "mailto:stop@example.com?subject=unsubscribe%20a%26b%3Dc%2Fd"
    assert unquote(link.partition("=")[2]) == "unsubscribe a&b=c/d"


def test_without_a_page_the_sender_takes_the_wish() -> None:
    link = link_for(load(MESSAGE_FROM="PulseCart <shop@example.com>"), "u-1")
    assert link == "mailto:shop@example.com?subject=unsubscribe%20u-1"


def test_a_page_comes_before_the_sender() -> None:
    link = link_for(load(MESSAGE_FROM="shop@example.com", **PAGE), "u-1")
    assert link is not None
    assert link.startswith("https://example.com/u?")


def test_with_neither_there_is_no_link() -> None:
    assert link_for(load(), "u-1") is None


@pytest.mark.parametrize(
    ("link", "headers"),
    [
        (None, {}),
        ("mailto:stop@example.com", {"List-Unsubscribe": "<mailto:stop@example.com>"}),
        (
            "https://example.com/u",
            {
                "List-Unsubscribe": "<https://example.com/u>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            },
        ),
    ],
)
def test_one_click_is_offered_for_a_page_only(link: str | None, headers: dict[str, str]) -> None:
    assert headers_of(link) == headers


@pytest.mark.parametrize(
    ("sender", "mailbox"),
    [
        ("Bücher <shop@bücher.example>", "shop@xn--bcher-kva.example"),
        ("läden@x.example", "l%C3%A4den@x.example"),
    ],
)
def test_a_mailbox_in_other_letters_is_written_in_ascii(sender: str, mailbox: str) -> None:
    assert (
        link_for(load(MESSAGE_FROM=sender), "u-1") == f"mailto:{mailbox}?subject=unsubscribe%20u-1"
    )


def test_a_page_in_other_letters_is_written_in_ascii() -> None:
    page = {**PAGE, "UNSUBSCRIBE_URL": "https://bücher.example/abbestellen/größe?a=%20ü"}
    link = link_for(load(**page), "u-1") or ""
    assert link.startswith(
        "https://xn--bcher-kva.example/abbestellen/gr%C3%B6%C3%9Fe?a=%20%C3%BC&user=u-1&token="
    )


def test_a_user_id_of_any_characters_makes_a_link() -> None:
    assert "user=%3F&" in (link_for(load(**PAGE), "\ud800") or "")
