"""The templates of the shop: what a customer reads, whatever the data."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import PermanentError
from common.messaging.messages import Message
from common.messaging.rendering import Rendering
from functions.shop import messages

REQUIRED: dict[str, dict[str, Any]] = {
    "welcome": {},
    "order_confirmation": {"order_id": "o-7"},
    "payment_retry": {"order_id": "o-7"},
    "cart_abandonment_reminder": {},
    "onboarding_day_1": {},
    "onboarding_day_3": {},
    "onboarding_day_7": {},
    "weekly_digest": {"orders": 0, "spending": 0},
}
MESSAGES = {each.template: each for each in vars(messages).values() if isinstance(each, Message)}
TEMPLATES = messages.MAILING.templates
TRANSACTIONAL = {"welcome", "order_confirmation", "payment_retry"}
"""What a user has caused and expects."""


def rendered(template: str, **context: Any) -> Rendering:
    """A template with what it must have and more."""
    return TEMPLATES.message(template, {**REQUIRED[template], **context})


def test_there_is_a_template_for_every_message_and_no_other() -> None:
    found = {path.name.split(".")[0] for path in TEMPLATES.folder.glob("*.subject.txt")}
    assert found == set(REQUIRED) == set(MESSAGES)


def test_what_a_user_has_caused_and_expects_is_transactional_and_nothing_else() -> None:
    assert {name for name, each in MESSAGES.items() if each.transactional} == TRANSACTIONAL


@pytest.mark.parametrize("template", REQUIRED)
def test_a_template_needs_only_what_the_contract_requires(template: str) -> None:
    """Name, items and total may be missing; no hole and no markup shows in the text."""
    message = rendered(template)
    assert message.subject
    assert message.text.startswith("Hi,\n\n")
    assert message.html.startswith("<!doctype html>")
    assert not any(sign in message.text for sign in ("{", "<", "None", "Undefined", "\n\n\n"))


@pytest.mark.parametrize("template", REQUIRED)
def test_a_name_is_greeted_and_escaped_in_html_only(template: str) -> None:
    message = rendered(template, name="Ada <script>")
    assert message.text.startswith("Hi Ada <script>,\n")
    assert "Hi Ada &lt;script&gt;," in message.html
    assert "<script>" not in message.html


@pytest.mark.parametrize("name", [None, "", "  ", "\r\n", 7, ["x"], {"a": 1}])
def test_what_is_no_name_is_not_greeted(name: object) -> None:
    assert rendered("welcome", name=name).text.startswith("Hi,\n\n")


def test_a_name_cannot_become_a_letter_of_its_own() -> None:
    """Sign-up forms are abused to mail strangers a text of the abuser's."""
    text = rendered("welcome", name="You won!\n\nVisit http://evil.example " + "x" * 500).text
    greeting = text.split(",\n")[0]
    assert "\n" not in greeting
    assert len(greeting) < 70


@pytest.mark.parametrize("template", REQUIRED)
def test_all_but_transactional_messages_say_how_to_unsubscribe(template: str) -> None:
    message = rendered(template, unsubscribe="https://example.com/u?user=1&token=2")
    told = template not in TRANSACTIONAL
    assert ("https://example.com/u?user=1&token=2" in message.text) is told
    assert ('href="https://example.com/u?user=1&amp;token=2"' in message.html) is told
    assert ("unsubscribe" in rendered(template).text) is told


@pytest.mark.parametrize(
    "evil", ["o\r\nBcc: all@example.com", "o\nX: y", "o\u2028X", "o\x00X", "o\x85X", "o\x0bX"]
)
def test_a_subject_stays_one_line(evil: str) -> None:
    subject = rendered("order_confirmation", order_id=evil).subject
    assert subject.isprintable()
    assert len(subject.splitlines()) == 1


def test_a_subject_is_cut() -> None:
    assert len(rendered("order_confirmation", order_id="9" * 5000).subject) == 200


def test_no_value_breaks_out_of_its_line() -> None:
    text = rendered("payment_retry", reason="declined\n\nPay at http://evil.example").text
    assert "Reason given: declined Pay at http://evil.example\n" in text


def test_an_amount_carries_its_currency() -> None:
    text = rendered("order_confirmation", total=20, currency="EUR").text
    assert "Total: 20.00 EUR\n" in text


@pytest.mark.parametrize("items", [None, "Mug", 3, {"name": "Mug"}])
def test_what_is_no_list_has_no_items(items: object) -> None:
    assert rendered("order_confirmation", items=items) == rendered("order_confirmation")


def test_items_are_listed_escaped() -> None:
    message = rendered("cart_abandonment_reminder", items=["Mug & <Tea>"])
    assert "  * Mug & <Tea>\n" in message.text
    assert "<li>Mug &amp; &lt;Tea&gt;</li>" in message.html


def test_a_digest_tells_the_weeks_orders_and_spending() -> None:
    message = rendered("weekly_digest", orders=2, spending=61.5, period="2025-W40")
    assert message.subject == "Your week at PulseCart: 2 orders"
    assert "(2025-W40)" in message.text
    assert "Orders: 2\nSpent:  61.50\n" in message.text


def test_a_digest_of_one_order_counts_in_the_singular() -> None:
    assert rendered("weekly_digest", orders=1, spending=5).subject.endswith(": 1 order")


def test_an_empty_week_has_a_digest_of_its_own() -> None:
    message = rendered("weekly_digest", orders=0, spending=0)
    assert "quiet week" in message.text
    assert "Spent" not in message.text


def test_a_missing_required_value_is_permanent_and_named() -> None:
    with pytest.raises(PermanentError, match="order_id"):
        TEMPLATES.message("order_confirmation", {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("name", "order_id", "total", "items", "reason", "currency", "period", "unsubscribe")


@given(st.sampled_from(sorted(REQUIRED)), st.fixed_dictionaries(dict.fromkeys(FIELDS, JSON)))
def test_whatever_a_payload_holds_the_message_can_be_sent(
    template: str, payload: dict[str, Any]
) -> None:
    message = TEMPLATES.message(template, {**payload, "orders": 1, "spending": payload["total"]})
    assert not any(unicodedata.category(character) == "Cc" for character in message.subject)
    assert len(message.subject.splitlines()) == 1
