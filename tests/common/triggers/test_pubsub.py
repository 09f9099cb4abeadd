"""From a CloudEvent to an acknowledgement, with the record in a real Firestore."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from werkzeug.exceptions import Conflict, InternalServerError

from common.cloud import firestore
from common.errors import InProgressError, NothingToDoError, NotYetError, TransientError
from common.idempotency import Outcome, Work
from common.idempotency.store import record_id
from common.triggers import pubsub
from common.triggers.events import Event, EventType
from tests.common.wire import Wire, running

Handler = Callable[[Event, Work], Outcome]


@pytest.fixture(scope="module", autouse=True)
def wire() -> Iterator[Wire]:
    with running() as made:
        yield made


def deliver(event_id: str, handler: Handler, event_type: str = "t", **options: Any) -> None:
    """One delivery of an event to a function that handles those of type `t`; returning
    acknowledges it."""
    event = {"event_id": event_id, "event_type": event_type, "user_id": "u", "payload": {}}
    data = base64.b64encode(json.dumps(event).encode()).decode()
    attributes = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//s"}
    envelope = {"message": {"data": data, "messageId": event_id}}
    declared = EventType(name="t", fields={}, handler=handler, **options)
    pubsub.receive(CloudEvent(attributes, envelope), "consumer", {"t": declared})


def letter(event_id: str) -> dict[str, Any]:
    """The dead letter of an event's record."""
    found = firestore.read(f"dead_letters/{record_id('consumer', event_id)}")
    return dict(found.data)


def done(event: Event, work: Work) -> Outcome:
    return Outcome()


def never(event: Event, work: Work) -> Outcome:
    raise AssertionError("the handler ran")


def charging(event: Event, work: Work) -> Outcome:
    """A payment whose answer is lost."""

    def charge(key: str) -> None:
        raise TransientError("no answer")

    return Outcome(result=work.step("charge", charge))


def test_done_and_done_before_are_acknowledged() -> None:
    deliver("done", done)
    deliver("done", never)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (InProgressError(), Conflict),
        (NotYetError(), InternalServerError),
        (TransientError(), InternalServerError),
        (ValueError(), InternalServerError),
    ],
)
def test_what_is_not_settled_is_not_acknowledged(error: Exception, answer: Any) -> None:
    def failing(event: Event, work: Work) -> Outcome:
        raise error

    with pytest.raises(answer):
        deliver(f"open {type(error).__name__}", failing)


def test_what_turns_out_to_be_settled_is_acknowledged() -> None:
    def settled(event: Event, work: Work) -> Outcome:
        raise NothingToDoError("skipped", "it is settled")

    deliver("settled", settled)
    deliver("settled", never)


def test_what_is_ignored_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    deliver("odd", never, event_type="parrot.squawked")
    (line,) = capfd.readouterr().out.splitlines()
    logged = json.loads(line)
    assert (logged["severity"], logged["action"]) == ("INFO", "ignored")
    assert "'parrot.squawked'" in logged["message"]


def test_an_unknown_outcome_is_tried_again() -> None:
    with pytest.raises(InternalServerError):
        deliver("rerun", charging)
    assert letter("rerun") == {}


def test_an_unknown_outcome_is_held_where_the_handler_says_so() -> None:
    deliver("held", charging, on_unknown_outcome="hold")
    deliver("held", never, on_unknown_outcome="hold")
    assert (letter("held")["reason"], letter("held")["state"]) == ("unknown_outcome", "open")
