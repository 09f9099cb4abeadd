"""From a CloudEvent to an acknowledgement: what a message is, and which work it is."""

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from cloudevents.http import CloudEvent
from werkzeug.exceptions import Conflict, InternalServerError

from common.cloud.memory import MemoryFirestore, MemoryTasks
from common.errors import (
    InProgressError,
    NothingToDoError,
    NotYetError,
    PermanentError,
    TransientError,
    UnavailableError,
)
from common.idempotency import Outcome, Work
from common.process import times
from common.triggers import pubsub
from common.triggers.events import Event, EventType
from common.triggers.pubsub import Message, unwrap
from tests.common.logged import entries, entry

Handler = Callable[[Event, Work], Outcome]
Log = pytest.CaptureFixture[str]
ATTRIBUTES = {
    "type": "google.cloud.pubsub.topic.v1.messagePublished",
    "source": "//s",
    "id": "ce-1",
}


PUBLISHED = "2026-11-26T10:00:00.123Z"


def envelope(message: Any, **more: Any) -> CloudEvent:
    """What the platform delivers around a message."""
    return CloudEvent(ATTRIBUTES, {"message": message, **more})


def receive(data: bytes, handler: Handler, message: Any = None, **options: Any) -> None:
    """One delivery of these bytes to a function that handles events of type `t`; returning
    acknowledges it."""
    more = options.pop("envelope", {})
    given = {"data": base64.b64encode(data).decode(), **(message or {})}
    declared = EventType(name="t", fields={}, handler=handler, **options)
    pubsub.receive(envelope(given, **more), "consumer", {"t": declared})


def deliver(event_id: str, handler: Handler, event_type: str = "t", **options: Any) -> None:
    """One delivery of an event."""
    event = {"event_id": event_id, "event_type": event_type, "user_id": "u", "payload": {}}
    receive(json.dumps(event).encode(), handler, **options)


def done(event: Event, work: Work) -> Outcome:
    return Outcome()


def never(event: Event, work: Work) -> NoReturn:
    raise AssertionError("the handler ran")


def charging(event: Event, work: Work) -> Outcome:
    """A payment whose answer is lost."""

    def charge(key: str) -> None:
        raise TransientError("no answer")

    return Outcome(result=work.step("charge", charge))


def raising(error: Exception) -> Handler:
    def failing(event: Event, work: Work) -> Outcome:
        raise error

    return failing


def letters(documents: MemoryFirestore) -> list[dict[str, Any]]:
    """The dead letters."""
    return list(documents.documents("dead_letters").values())


def record(documents: MemoryFirestore) -> dict[str, Any]:
    """The only record of work."""
    (found,) = documents.documents("idempotency").values()
    return found


class TestUnwrap:
    def test_a_message_is_its_data_its_id_and_its_attributes(self) -> None:
        message = unwrap(envelope({"data": "e30=", "messageId": "7", "attributes": {"a": "b"}}))
        assert message == Message(data=b"{}", message_id="7", attributes={"a": "b"})

    def test_a_message_without_data_or_attributes_has_empty_ones(self) -> None:
        message = unwrap(envelope({"messageId": "7", "attributes": None}))
        assert (message.data, message.attributes, message.problem) == (b"", {}, None)

    def test_a_message_without_an_id_has_that_of_its_delivery(self) -> None:
        assert unwrap(envelope({"data": "e30="})).message_id == "ce-1"

    @pytest.mark.parametrize(
        ("attempt", "is_first"), [(1, True), (2, False), (0, False), ("1", False), (None, False)]
    )
    def test_only_what_the_platform_counts_as_the_first_delivery_is_one(
        self, attempt: object, is_first: bool
    ) -> None:
        assert unwrap(envelope({}, deliveryAttempt=attempt)).is_first is is_first

    def test_a_delivery_that_nobody_counts_is_not_known_to_be_the_first(self) -> None:
        assert unwrap(envelope({})).is_first is False

    @pytest.mark.parametrize(
        ("body", "kept"),
        [
            (b"\xff\x00", b"\xff\x00"),
            ("text", b"text"),
            (None, b"null"),
            ([1], b"[1]"),
            ({"other": "thing"}, b'{"other": "thing"}'),
            ({"message": "text"}, b'{"message": "text"}'),
        ],
    )
    def test_what_is_no_message_is_kept_with_its_problem(self, body: object, kept: bytes) -> None:
        message = unwrap(CloudEvent(ATTRIBUTES, body))
        assert (message.data, message.problem) == (kept, "the body is no Pub/Sub message")

    @pytest.mark.parametrize(
        ("data", "kept"),
        [
            ("e30", b"e30"),
            ("e30=!", b"e30=!"),
            ("é", "é".encode()),
            (7, b"7"),
            ({"a": 1}, b'{"a": 1}'),
        ],
    )
    def test_what_is_no_base64_is_kept_without_what_differs_in_a_repeat(
        self, data: object, kept: bytes
    ) -> None:
        message = unwrap(envelope({"data": data, "messageId": "7"}, deliveryAttempt=3))
        assert (message.data, message.problem) == (kept, "the message's data is not base64")


HOSTILE: list[Any] = [
    {"data": 7},
    {"data": [], "messageId": []},
    {"data": "\ud800", "messageId": "\ud800"},
    {"messageId": {"a": 1}, "publishTime": 7},
    {"data": "e30=", "attributes": {"\ud800": "\udfff", "n": 7, "": None}},
    {"data": "e30=", "attributes": [["replay_of", "x"]], "publishTime": "yesterday"},
    {"data": "e30=", "attributes": "replay_of"},
    {"data": "e30=", "attributes": {"replay_of": "\ud800/"}},
    {"data": {"a": [[["x"]]]}, "attributes": {"__x__": "y"}},
]


class TestHostile:
    @pytest.mark.parametrize("message", HOSTILE)
    def test_whatever_is_in_an_envelope_it_is_acknowledged_with_a_letter(
        self, documents: MemoryFirestore, message: Any
    ) -> None:
        pubsub.receive(envelope(message, deliveryAttempt="x"), "consumer", {})
        assert len(letters(documents)) == 1

    @pytest.mark.parametrize("body", [None, [], {}, 7, "\ud800", b"\xff", {"message": None}])
    def test_whatever_stands_in_place_of_one_too(
        self, documents: MemoryFirestore, body: Any
    ) -> None:
        pubsub.receive(CloudEvent(ATTRIBUTES, body), "consumer", {})
        assert [it["error"] for it in letters(documents)] == ["the body is no Pub/Sub message"]

    def test_also_what_cannot_even_be_written_down(self, documents: MemoryFirestore) -> None:
        deep: Any = []
        for _ in range(10_000):
            deep = [deep]
        pubsub.receive(CloudEvent(ATTRIBUTES, {"message": {"data": deep}}), "consumer", {})
        assert len(letters(documents)) == 1


class TestPublished:
    def test_a_message_knows_when_it_was_first_published(self) -> None:
        message = unwrap(envelope({"publishTime": PUBLISHED}))
        assert message.published_at == times.parse(PUBLISHED)

    def test_in_the_slow_lane_it_was_published_before(self) -> None:
        attributes = {"CloudPubSubDeadLetterSourceTopicPublishTime": PUBLISHED}
        later = {"publishTime": "2026-11-27T00:00:00Z", "attributes": attributes}
        assert unwrap(envelope(later)).published_at == times.parse(PUBLISHED)

    def test_a_handler_can_ask_for_it(self, documents: MemoryFirestore) -> None:
        seen: list[Event] = []

        def see(event: Event, work: Work) -> Outcome:
            seen.append(event)
            return Outcome()

        deliver("e-1", see, message={"publishTime": PUBLISHED, "attributes": {"trace": "x"}})
        (origin,) = [it.origin for it in seen]
        assert (origin.published_at, origin.attributes) == (times.parse(PUBLISHED), {"trace": "x"})


class TestWork:
    def test_its_key_is_the_producers(self, documents: MemoryFirestore) -> None:
        deliver("e-1", done)
        found = record(documents)
        assert (found["scope"], found["key"]) == ("consumer", "e-1")

    def test_its_payload_is_kept_as_received(self, documents: MemoryFirestore) -> None:
        data = b'{"event_id":  "e-1", "event_type": "t", "user_id": "u"}'
        receive(data, raising(PermanentError("never")))
        (letter,) = letters(documents)
        assert letter["payload"] == data.decode()

    def test_what_the_platform_says_of_the_delivery_does_not_make_it_other_work(
        self, documents: MemoryFirestore
    ) -> None:
        deliver("e-1", done, message={"messageId": "1", "attributes": {"a": "1"}})
        deliver("e-1", never, message={"messageId": "2", "attributes": {"a": "2"}})
        assert (record(documents)["state"], letters(documents)) == ("done", [])

    def test_an_attribute_names_the_dead_letter_of_a_replay(
        self, documents: MemoryFirestore
    ) -> None:
        deliver("e-1", raising(PermanentError("never")))
        deliver("e-1", never)
        (letter_id,) = (path.partition("/")[2] for path in documents.documents("dead_letters"))
        deliver("e-1", done, message={"attributes": {"replay_of": letter_id}})
        assert record(documents)["state"] == "done"
        assert [it["state"] for it in letters(documents)] == ["replayed"]

    def test_on_the_first_delivery_the_claim_waits(self, documents: MemoryFirestore) -> None:
        deliver("e-1", done, envelope={"deliveryAttempt": 1})
        assert (record(documents)["state"], documents.commits) == ("done", 1)

    def test_on_any_other_it_comes_first(self, documents: MemoryFirestore) -> None:
        deliver("e-1", done, envelope={"deliveryAttempt": 2})
        assert (record(documents)["state"], documents.commits) == ("done", 2)


class TestEnding:
    def test_done_and_done_before_are_acknowledged(self, documents: MemoryFirestore) -> None:
        deliver("e", done)
        deliver("e", never)
        assert letters(documents) == []

    def test_what_another_is_at_is_not_acknowledged(self, documents: MemoryFirestore) -> None:
        with pytest.raises(Conflict):
            deliver("e", raising(InProgressError()))

    @pytest.mark.parametrize(
        "error", [NotYetError(), UnavailableError(), TransientError(), ValueError()]
    )
    def test_what_cannot_be_done_now_is_handed_over(
        self, documents: MemoryFirestore, queues: MemoryTasks, error: Exception
    ) -> None:
        deliver("e", raising(error))
        assert record(documents)["state"] == "waiting"
        (handed,) = documents.documents("reminders").values()
        assert (handed["kind"], handed["state"]) == ("resume", "pending")
        (alarm,) = queues.take()
        assert alarm.body == {
            "reminder_id": handed["reminder_id"],
            "generation": handed["generation"],
            "at": handed["due_at"].isoformat(),
            "format": 1,
        }
        assert alarm.at == handed["due_at"] > documents.now

    def test_it_is_recorded_also_where_no_alarm_can_be_set(
        self, documents: MemoryFirestore, queues: MemoryTasks
    ) -> None:
        queues.is_unreachable = True
        deliver("e", raising(UnavailableError()))
        (handed,) = documents.documents("reminders").values()
        assert handed["overdue_at"] > handed["due_at"]

    def test_what_turns_out_to_be_settled_is_acknowledged(self, documents: MemoryFirestore) -> None:
        deliver("e", raising(NothingToDoError("skipped", "it is settled")))
        deliver("e", never)
        assert letters(documents) == []

    def test_an_unknown_outcome_is_tried_again(self, documents: MemoryFirestore) -> None:
        deliver("e", charging)
        assert (record(documents)["state"], letters(documents)) == ("waiting", [])

    def test_an_unknown_outcome_is_held_where_the_handler_says_so(
        self, documents: MemoryFirestore
    ) -> None:
        deliver("e", charging, on_unknown_outcome="hold")
        deliver("e", never, on_unknown_outcome="hold")
        (letter,) = letters(documents)
        assert (letter["reason"], letter["state"], letter["key"]) == (
            "unknown_outcome",
            "open",
            "e",
        )

    def test_an_event_that_is_ignored_leaves_nothing(self, documents: MemoryFirestore) -> None:
        deliver("e", never, event_type="parrot.squawked")
        assert documents.documents() == {}

    def test_while_firestore_is_away_nothing_is_acknowledged(
        self, documents: MemoryFirestore
    ) -> None:
        documents.failing_reads = 100
        documents.mishaps = ["error"] * 100
        for data in (b"broken", b'{"event_id": "e", "event_type": "t", "user_id": "u"}'):
            with pytest.raises(InternalServerError):
                receive(data, done)


class TestDeadLetter:
    def test_one_input_has_one_whatever_the_platform_calls_it(
        self, documents: MemoryFirestore
    ) -> None:
        for number in ("1", "2", "3"):
            message = {"messageId": number, "attributes": {"n": number}}
            receive(b"broken", never, message, envelope={"deliveryAttempt": int(number)})
        (letter,) = letters(documents)
        assert (letter["reason"], letter["attempts"], letter["payload"]) == (
            "malformed",
            3,
            "broken",
        )

    def test_so_has_one_whose_data_cannot_be_decoded(self, documents: MemoryFirestore) -> None:
        for number in ("1", "2"):
            message = {"data": "e30", "messageId": number}
            receive(b"", never, message, envelope={"deliveryAttempt": int(number)})
        (letter,) = letters(documents)
        assert (letter["attempts"], letter["payload"]) == (2, "e30")
        assert letter["error"] == "the message's data is not base64"

    def test_a_refused_event_is_found_by_its_ids(self, documents: MemoryFirestore) -> None:
        event = {"event_id": "e-1", "event_type": "t", "user_id": "u", "payload": []}
        message = {"messageId": "7", "attributes": {"trace": "x"}, "publishTime": PUBLISHED}
        receive(json.dumps(event).encode(), never, message)
        (letter,) = letters(documents)
        names = ("event_id", "event_type", "user_id", "message_id", "attributes")
        assert [letter[name] for name in names] == ["e-1", "t", "u", "7", {"trace": "x"}]
        assert letter["published_at"] == times.parse(PUBLISHED)

    def test_a_refused_event_has_one_however_often_it_is_stamped(
        self, documents: MemoryFirestore
    ) -> None:
        event = {"event_id": "e-1", "event_type": "t", "user_id": "u", "payload": []}
        for hour in (1, 2, 3):
            stamped = {**event, "occurred_at": f"2026-11-26T0{hour}:00:00Z"}
            receive(json.dumps(stamped).encode(), never, {"messageId": str(hour)})
        (letter,) = letters(documents)
        assert (letter["attempts"], letter["message_id"]) == (3, "1")

    def test_an_event_that_is_given_up_is_found_by_its_ids_too(
        self, documents: MemoryFirestore
    ) -> None:
        attributes = {"trace": "x", "__x__": "y"}
        failing = raising(PermanentError("never"))
        deliver("e-1", failing, message={"messageId": "7", "attributes": attributes})
        (letter,) = letters(documents)
        names = ("event_id", "event_type", "user_id", "message_id", "key")
        assert [letter[name] for name in names] == ["e-1", "t", "u", "7", "e-1"]
        assert letter["attributes"] == {"trace": "x", "more": '{"__x__": "y"}'}

    def test_a_message_of_attributes_alone_has_one_with_them(
        self, documents: MemoryFirestore
    ) -> None:
        for number in ("1", "2"):
            attributes = {"order": "o-1", "CloudPubSubDeadLetterSourceDeliveryCount": number}
            receive(b"", never, {"messageId": number, "attributes": attributes})
        receive(b"", never, {"messageId": "3", "attributes": {"order": "o-2"}})
        found = {it["attributes"]["order"]: it["attempts"] for it in letters(documents)}
        assert found == {"o-1": 2, "o-2": 1}
        assert {it["error"] for it in letters(documents)} == {"the message has no data"}

    def test_what_is_compressed_is_kept_with_what_says_so(self, documents: MemoryFirestore) -> None:
        data = gzip.compress(b"{}")
        receive(data, never, {"attributes": {"content-encoding": "gzip"}})
        (letter,) = letters(documents)
        assert (letter["payload"], letter["attributes"]) == (data, {"content-encoding": "gzip"})

    def test_another_input_has_another(self, documents: MemoryFirestore) -> None:
        receive(b"broken", never)
        receive(b"broken too", never)
        assert {it["payload"] for it in letters(documents)} == {"broken", "broken too"}


class TestLog:
    def test_every_entry_names_the_event_and_the_message(
        self, documents: MemoryFirestore, capfd: Log
    ) -> None:
        deliver("e-1", done, message={"messageId": "7"})
        ids = {"function": "consumer", "message_id": "7", "event_id": "e-1", "event_type": "t"}
        found = entries(capfd)
        assert [it["action"] for it in found] == ["received", "claimed", "done"]
        assert all(it == it | ids | {"user_id": "u"} for it in found)

    @pytest.mark.parametrize(
        ("event", "read"),
        [
            ({"event_type": "t", "user_id": 7}, {"event_type": "t"}),
            ({"event_type": "t"}, {"event_type": "t"}),
            ({"user_id": "u"}, {"user_id": "u"}),
            ({"event_type": ["t"], "user_id": "u"}, {"user_id": "u"}),
        ],
    )
    def test_of_an_event_that_is_refused_it_names_what_can_be_read(
        self, documents: MemoryFirestore, event: dict[str, Any], read: dict[str, str], capfd: Log
    ) -> None:
        data = json.dumps({"event_id": "e-1", **event}).encode()
        receive(data, never, {"messageId": "7"})
        found = entry(capfd)
        names = ("event_id", "event_type", "user_id", "message_id", "action")
        assert {name: found[name] for name in names if name in found} == {
            "event_id": "e-1",
            "message_id": "7",
            "action": "dead_lettered",
            **read,
        }

    def test_of_an_event_that_is_ignored_it_names_the_type(
        self, documents: MemoryFirestore, capfd: Log
    ) -> None:
        deliver("e-1", never, event_type="parrot.squawked")
        found = entry(capfd)
        assert (found["severity"], found["action"]) == ("INFO", "ignored")
        assert (found["event_type"], found["event_id"]) == ("parrot.squawked", "e-1")
        assert found["message"] == "'parrot.squawked' is no type of event handled here"

    def test_what_was_bound_for_one_delivery_is_not_bound_for_the_next(
        self, documents: MemoryFirestore, capfd: Log
    ) -> None:
        deliver("e-1", done)
        receive(b'{"event_type": "parrot.squawked"}', never)
        assert "event_id" not in entries(capfd)[-1]
