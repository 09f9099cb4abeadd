"""A message as the effect of a step: sent once, and recorded with the step's mark."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from common.cloud import firestore
from common.cloud.firestore import Delete, Merge
from common.cloud.memory import MemoryFirestore
from common.errors import (
    KeyKnownError,
    NotYetError,
    PermanentError,
    TransientError,
    UnavailableError,
    UnknownOutcomeError,
)
from common.idempotency import Outcome
from common.messaging import kept, transports
from common.messaging.messages import Mailing, Message
from common.messaging.recipients import Recipient
from common.messaging.steps import RETENTION, sending
from common.process import settings
from tests.common.messaging.test_messages import ADA, NEWS, NOW, RECEIPT, Box


@dataclass
class Work:
    """As much of the work as a message needs to know."""

    now: datetime = NOW
    attempt: int = 1
    key: str = "e-1"
    is_held: bool = False


@pytest.fixture
def box(environment: object) -> Iterator[Box]:
    """The only way out."""
    made = Box()
    with transports.using(made), firestore.using(MemoryFirestore()):
        yield made


def effect(
    message: Message,
    recipient: Recipient,
    *,
    number: int = 7,
    attempt: int = 1,
    now: datetime = NOW,
    is_held: bool = False,
    **options: Any,
) -> Outcome:
    """What a step does that sends this message to this recipient."""
    mailing = replace(message.mailing, recipients=lambda user_id, to: recipient)
    work: Any = Work(now=now, attempt=attempt, is_held=is_held)
    context = {"number": number}
    return sending(replace(message, mailing=mailing), work, "u-1", context, **options)("k-1")


def test_the_message_is_sent_with_the_key_of_the_step(box: Box) -> None:
    assert effect(NEWS, ADA).result == "sent"
    (message,) = box.messages
    assert (message.key, message.to, message.sent_at) == ("k-1", "ada@example.com", NOW)


def test_its_record_is_under_the_key_so_that_a_repeat_is_the_same_record(box: Box) -> None:
    (write,) = effect(NEWS, ADA).writes
    assert isinstance(write, Merge)
    assert write.path == "messages/k-1"
    named = {"user_id": "u-1", "template": "news", "state": "sent", "to": "ada@example.com"}
    named["cause"] = "e-1"
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
    def looked_up(user_id: str, to: str | None) -> Recipient:
        raise AssertionError(f"{user_id} was looked up")

    mailing = Mailing(templates=NEWS.mailing.templates, recipients=looked_up)
    work: Any = Work(datetime(2030, 1, 1, tzinfo=UTC))
    assert callable(sending(replace(NEWS, mailing=mailing), work, "u-1", {}))


LOST = UnavailableError("the answer was lost", outcome_unknown=True)


def lose_the_answer(box: Box) -> None:
    """The first attempt at message 7 is sent, and its answer lost."""
    box.error = UnavailableError("the answer was lost", outcome_unknown=True)
    with pytest.raises(UnavailableError, match="lost"):
        effect(NEWS, ADA)
    box.error = None


def test_when_the_answer_is_lost_the_same_content_is_sent_again(box: Box) -> None:
    lose_the_answer(box)
    changed = replace(ADA, address="new@example.com", name="Ada King")
    outcome = effect(NEWS, changed, number=8, attempt=2)
    (message,) = box.messages
    assert (message.subject, message.to) == ("News 7 for Ada", "ada@example.com")
    assert (message.key, message.sent_at) == ("k-1", NOW)
    record, forget = outcome.writes
    assert isinstance(record, Merge)
    assert (record.path, record.fields["subject"]) == ("messages/k-1", "News 7 for Ada")
    assert forget == Delete(path="sends/k-1")


def test_what_did_not_arrive_is_made_anew(box: Box) -> None:
    box.error = UnavailableError("down")
    with pytest.raises(UnavailableError):
        effect(NEWS, ADA)
    assert kept.read("k-1") is None
    box.error = None
    (record,) = effect(NEWS, ADA, number=8, attempt=2).writes
    assert box.messages[0].subject == "News 8 for Ada"
    assert isinstance(record, Merge)


def test_before_the_same_is_sent_again_the_reader_is_looked_up(box: Box) -> None:
    lose_the_answer(box)
    outcome = effect(NEWS, replace(ADA, is_unsubscribed=True), attempt=2)
    assert (outcome.result, box.messages) == ("skipped", [])
    assert list(outcome.writes) == [Delete(path="sends/k-1")]


def test_a_key_that_the_provider_knows_means_that_it_was_sent(box: Box) -> None:
    lose_the_answer(box)
    box.error = KeyKnownError("409")
    outcome = effect(NEWS, ADA, number=8, attempt=2)
    record, forget = outcome.writes
    assert isinstance(record, Merge)
    assert outcome.result == "sent"
    assert (record.fields["subject"], record.fields["transport"]) == ("News 7 for Ada", "box")
    assert forget == Delete(path="sends/k-1")


def test_so_it_does_where_the_first_attempt_vanished(box: Box) -> None:
    box.error = KeyKnownError("409")
    (record,) = effect(NEWS, ADA, attempt=2).writes
    assert isinstance(record, Merge)
    assert record.fields["state"] == "sent"


def test_a_key_that_is_known_at_the_first_attempt_is_somebody_elses(box: Box) -> None:
    box.error = KeyKnownError("409")
    with pytest.raises(KeyKnownError):
        effect(NEWS, ADA)


def test_what_cannot_be_kept_is_raised_as_it_was(box: Box) -> None:
    class Down(MemoryFirestore):
        def commit(self, writes: object) -> Any:
            raise TransientError("down")

    box.error = LOST
    with firestore.using(Down()), pytest.raises(UnavailableError, match="lost"):
        effect(NEWS, ADA)


DAY = timedelta(days=1)


def test_while_the_provider_knows_the_key_a_repeat_is_safe(
    box: Box, environment: pytest.MonkeyPatch
) -> None:
    with_provider(environment)
    box.error = LOST
    for now, is_repeatable in [(NOW, True), (NOW + DAY / 2, True), (NOW + DAY, False)]:
        with pytest.raises(UnavailableError) as lost:
            effect(NEWS, ADA, attempt=1 + (now > NOW), now=now)
        assert lost.value.is_repeatable is is_repeatable


def test_a_mail_server_knows_no_keys(box: Box) -> None:
    box.error = LOST
    with pytest.raises(UnavailableError) as lost:
        effect(NEWS, ADA)
    assert not lost.value.is_repeatable


def test_what_must_not_happen_twice_is_sent_again_while_the_key_is_known(
    box: Box, environment: pytest.MonkeyPatch
) -> None:
    with_provider(environment)
    lose_the_answer(box)
    assert effect(NEWS, ADA, attempt=2, now=NOW + DAY / 2, is_held=True).result == "sent"
    with pytest.raises(UnknownOutcomeError, match="forgotten the key"):
        effect(NEWS, ADA, attempt=2, now=NOW + DAY, is_held=True)
    assert len(box.messages) == 1
    assert effect(NEWS, ADA, attempt=2, now=NOW + DAY).result == "sent"


@pytest.mark.parametrize(("name", "is_repeatable"), [("http", True), ("smtp", False)])
def test_what_a_mail_server_took_is_marked_at_once(
    box: Box, name: str, is_repeatable: bool
) -> None:
    box.name = name
    assert effect(NEWS, ADA).is_repeatable is is_repeatable


def with_provider(environment: pytest.MonkeyPatch) -> None:
    """A provider is set up that knows keys for a day; messages go into the box all the same."""
    environment.setenv("MESSAGING_URL", "https://provider.example")
    settings.current.cache_clear()


def test_a_first_attempt_reads_nothing_that_was_kept(box: Box) -> None:
    class Down(MemoryFirestore):
        def read_all(self, paths: object) -> Any:
            raise TransientError("down")

    with firestore.using(Down()):
        assert effect(NEWS, ADA).result == "sent"
