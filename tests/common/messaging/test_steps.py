"""A message as the effect of a step: sent once, and recorded with the step's mark."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from common.cloud.firestore import Merge
from common.errors import NotYetError, PermanentError, TransientError
from common.idempotency import Outcome
from common.messaging import transports
from common.messaging.messages import Mailing, Message
from common.messaging.recipients import Recipient
from common.messaging.steps import RETENTION, sending
from tests.common.messaging.test_messages import ADA, NEWS, NOW, RECEIPT, Box


@dataclass
class Work:
    """As much of the work as a message needs to know."""

    now: datetime = NOW


@pytest.fixture
def box(environment: object) -> Iterator[Box]:
    """The only way out."""
    made = Box()
    with transports.using(made):
        yield made


def effect(message: Message, recipient: Recipient, **options: Any) -> Outcome:
    """What a step does that sends this message to this recipient."""
    mailing = replace(message.mailing, recipients=lambda user_id: recipient)
    work: Any = Work()
    return sending(replace(message, mailing=mailing), work, "u-1", {"number": 7}, **options)("k-1")


def test_the_message_is_sent_with_the_key_of_the_step(box: Box) -> None:
    assert effect(NEWS, ADA).result == "sent"
    (message,) = box.messages
    assert (message.key, message.to, message.sent_at) == ("k-1", "ada@example.com", NOW)


def test_its_record_is_under_the_key_so_that_a_repeat_is_the_same_record(box: Box) -> None:
    (write,) = effect(NEWS, ADA).writes
    assert isinstance(write, Merge)
    assert write.path == "messages/k-1"
    named = {"user_id": "u-1", "template": "news", "state": "sent", "to": "ada@example.com"}
    fields = dict(write.fields)
    assert fields == fields | named | {"expire_at": NOW + RETENTION}


def test_an_address_of_the_payload_wins(box: Box) -> None:
    effect(NEWS, ADA, to="new@example.com")
    assert [message.to for message in box.messages] == ["new@example.com"]


def test_an_address_of_the_payload_is_enough(box: Box) -> None:
    assert effect(RECEIPT, Recipient(user_id="u-1"), to="new@example.com").result == "sent"


def test_who_has_unsubscribed_is_skipped_without_a_record(box: Box) -> None:
    assert effect(NEWS, replace(ADA, is_unsubscribed=True)) == Outcome(result="skipped")
    assert box.messages == []


def test_who_has_unsubscribed_and_has_no_address_is_skipped_and_not_waited_for(box: Box) -> None:
    nobody = Recipient(user_id="u-1", is_unsubscribed=True)
    assert effect(NEWS, nobody) == Outcome(result="skipped")


def test_who_is_not_known_is_skipped_and_not_waited_for(box: Box) -> None:
    assert effect(NEWS, Recipient(user_id="u-1", is_known=False)) == Outcome(result="skipped")


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_it_waits_for_one(box: Box, address: str | None) -> None:
    with pytest.raises(NotYetError, match="no address of user u-1 is known yet"):
        effect(RECEIPT, Recipient(user_id="u-1", address=address))


def test_what_is_not_transactional_waits_for_no_address(box: Box) -> None:
    assert effect(NEWS, Recipient(user_id="u-1")) == Outcome(result="skipped")
    assert effect(NEWS, Recipient(user_id="u-1"), to="new@example.com").result == "sent"


def test_a_receipt_waits_for_the_address_of_somebody_who_has_unsubscribed_too(box: Box) -> None:
    with pytest.raises(NotYetError, match="no address of user u-1 is known yet"):
        effect(RECEIPT, Recipient(user_id="u-1", is_unsubscribed=True))


@pytest.mark.parametrize("error", [PermanentError, TransientError])
def test_what_sending_raises_the_step_raises(box: Box, error: type[Exception]) -> None:
    box.error = error("no")
    with pytest.raises(error):
        effect(NEWS, ADA)


def test_nobody_is_looked_up_before_the_step_is_due() -> None:
    def looked_up(user_id: str) -> Recipient:
        raise AssertionError(f"{user_id} was looked up")

    mailing = Mailing(templates=NEWS.mailing.templates, recipients=looked_up)
    work: Any = Work(datetime(2030, 1, 1, tzinfo=UTC))
    assert callable(sending(replace(NEWS, mailing=mailing), work, "u-1", {}))
