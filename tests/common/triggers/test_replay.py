"""A replay is let through only for the work of the dead letter that it names."""

import base64
import json
from typing import Any, NoReturn

import pytest
from cloudevents.http import CloudEvent
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from common.cloud import firestore
from common.cloud.firestore import Create, Merge
from common.cloud.memory import MemoryFirestore
from common.errors import PermanentError
from common.idempotency import Answer, Call, Outcome, Work
from common.triggers import http, pubsub
from common.triggers.events import Event, EventType, Handler
from tests.common.callers import CALLERS, bearer

ATTRIBUTES = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//s"}

pytestmark = pytest.mark.usefixtures("documents")


def publish(handler: Handler, data: bytes | None, **attributes: str) -> None:
    """One delivery of a message."""
    declared = EventType(name="t", fields={"n": int}, handler=handler)
    message: dict[str, Any] = {"messageId": "m", "attributes": attributes}
    if data is not None:
        message["data"] = base64.b64encode(data).decode()
    pubsub.receive(CloudEvent(ATTRIBUTES, {"message": message}), "consumer", {"t": declared})


def event(event_id: str = "e-1", n: Any = 1) -> bytes:
    fields = {"event_id": event_id, "event_type": "t", "user_id": "u", "payload": {"n": n}}
    return json.dumps(fields).encode()


def failing(event: Event, work: Work) -> NoReturn:
    raise PermanentError("never")


def never(event: Event, work: Work) -> NoReturn:
    raise AssertionError("the handler ran")


class Done:
    """A handler that remembers what it was given."""

    def __init__(self) -> None:
        self.payloads: list[Any] = []

    def __call__(self, event: Event, work: Work) -> Outcome:
        self.payloads.append(event.payload["n"])
        return Outcome()


def letters(documents: MemoryFirestore) -> dict[str, dict[str, Any]]:
    """The dead letters by their ids."""
    found = documents.documents("dead_letters")
    return {path.partition("/")[2]: fields for path, fields in found.items()}


def give_up(documents: MemoryFirestore, data: bytes | None = None) -> str:
    """The dead letter of an event that was given up."""
    before = letters(documents)
    publish(failing, data or event())
    (letter_id,) = letters(documents).keys() - before.keys()
    return letter_id


@pytest.mark.parametrize("data", [None, b"", event()])
def test_with_no_data_or_the_same_the_letters_own_is_done(
    documents: MemoryFirestore, data: bytes | None
) -> None:
    letter_id, done = give_up(documents), Done()
    publish(done, data, replay_of=letter_id)
    assert (done.payloads, letters(documents)[letter_id]["state"]) == ([1], "replayed")


def test_other_data_is_the_correction(documents: MemoryFirestore) -> None:
    letter_id, done = give_up(documents), Done()
    publish(done, event(n=2), replay_of=letter_id)
    assert (done.payloads, letters(documents)[letter_id]["state"]) == ([2], "replayed")


def test_a_malformed_event_is_done_once_it_is_corrected(documents: MemoryFirestore) -> None:
    letter_id, done = give_up(documents, event(n="one")), Done()
    publish(done, event(n=1), replay_of=letter_id)
    publish(never, event(n=1), replay_of=letter_id)
    (letter,) = letters(documents).values()
    assert (done.payloads, letter["state"]) == ([1], "replayed")


@pytest.mark.parametrize("data", [None, event(n="two")])
def test_a_malformed_event_that_is_still_malformed_is_the_same_letter(
    documents: MemoryFirestore, data: bytes | None
) -> None:
    letter_id = give_up(documents, event(n="one"))
    publish(never, data, replay_of=letter_id)
    assert list(letters(documents)) == [letter_id]
    assert (
        letters(documents)[letter_id] | {"attempts": 2, "state": "open"}
        == (letters(documents)[letter_id])
    )


def test_of_what_was_no_event_any_event_is_the_correction(documents: MemoryFirestore) -> None:
    letter_id, done = give_up(documents, b"{broken"), Done()
    publish(done, event(), replay_of=letter_id)
    assert (done.payloads, letters(documents)[letter_id]["state"]) == ([1], "replayed")


def test_what_was_replayed_already_is_a_duplicate(documents: MemoryFirestore) -> None:
    letter_id = give_up(documents)
    publish(Done(), None, replay_of=letter_id)
    before = letters(documents)
    for data in (None, event(), event(n=2)):
        publish(never, data, replay_of=letter_id)
    assert letters(documents) == before


@pytest.mark.parametrize(
    "named",
    ["0" * 64, "", " ", ".", "..", "a/b", "../idempotency/x", "ü", "x" * 501, "__x__/y", "\x00"],
)
@pytest.mark.parametrize("data", [None, event()])
def test_what_names_no_letter_does_nothing_and_leaves_one_letter_of_its_own(
    documents: MemoryFirestore, named: str, data: bytes | None
) -> None:
    for _ in range(2):
        publish(never, data, replay_of=named)
    (letter,) = letters(documents).values()
    assert (letter["reason"], letter["attempts"], letter["source"]) == (
        "replay_refused",
        2,
        "consumer",
    )
    assert letter["attributes"] == {"replay_of": named}
    assert documents.documents("idempotency") == {}


def test_a_letter_that_is_not_there_is_said_to_be_so(documents: MemoryFirestore) -> None:
    publish(never, event(), replay_of="0" * 64)
    (letter,) = letters(documents).values()
    assert letter["error"] == f"there is no dead letter '{'0' * 64}'"


@pytest.mark.parametrize("data", [event("e-2"), event("e-2", n="one"), b"{broken"])
def test_the_letter_of_other_work_stays_as_it_is(documents: MemoryFirestore, data: bytes) -> None:
    letter_id = give_up(documents)
    before = letters(documents)[letter_id]
    publish(never, data, replay_of=letter_id)
    found = letters(documents)
    assert (found.pop(letter_id), [it["reason"] for it in found.values()]) == (
        before,
        ["replay_refused"],
    )


def test_a_refused_replay_is_not_the_letter_of_the_event_itself(documents: MemoryFirestore) -> None:
    letter_id = give_up(documents, event(n="one"))
    publish(never, event(n="one"), replay_of="0" * 64)
    assert sorted(it["reason"] for it in letters(documents).values()) == [
        "malformed",
        "replay_refused",
    ]
    assert letters(documents)[letter_id]["attempts"] == 1


def test_the_letter_of_another_function_is_refused(documents: MemoryFirestore) -> None:
    fields = {"source": "reminder", "state": "open", "payload": event().decode()}
    firestore.commit([Create(path="dead_letters/of-reminder", fields=fields)])
    publish(never, event(), replay_of="of-reminder")
    assert documents.documents("idempotency") == {}


@pytest.mark.parametrize("n", [1, 2])
def test_an_input_that_was_refused_for_its_key_is_no_correction(
    documents: MemoryFirestore, n: int
) -> None:
    publish(Done(), event(n=1))
    letter_id = give_up(documents, event(n=2))
    publish(never, event(n=n), replay_of=letter_id)
    reasons = {it["reason"]: it["attempts"] for it in letters(documents).values()}
    assert reasons == {"key_reused": 1, "replay_refused": 1}


def test_a_payload_that_was_cut_is_not_replayed_in_part(documents: MemoryFirestore) -> None:
    letter_id, done = give_up(documents), Done()
    cut = Merge(path=f"dead_letters/{letter_id}", fields={"payload_truncated": True})
    firestore.commit([cut])
    publish(never, None, replay_of=letter_id)
    assert letters(documents)[letter_id]["state"] == "open"
    publish(done, event(), replay_of=letter_id)
    assert done.payloads == [1]


class TestCalls:
    def call(self, letter_id: str, body: bytes = b"", **more: str) -> tuple[list[Call], Any]:
        """What a request that replays this letter calls for, and the answer."""
        calls: list[Call] = []

        def handle(call: Call) -> Answer:
            calls.append(call)
            return Answer(status="done", result="sent")

        headers = Headers({"Authorization": bearer(), "X-Replay-Of": letter_id, **more})
        builder = EnvironBuilder(method="POST", data=body, headers=headers)
        request: Any = Request(builder.get_environ())
        answer = http.serve(request, "reminder", handle, callers=CALLERS)
        return calls, answer[0]["status"]

    def letter(self, **fields: Any) -> str:
        """There is this letter."""
        given = {"source": "reminder", "state": "open", "payload": '{"n": 1}', "key": "k"}
        firestore.commit([Create(path="dead_letters/id", fields={**given, **fields})])
        return "id"

    @pytest.mark.parametrize("body", [b"", b'{"n":1}'])
    def test_with_no_body_or_the_same_it_is_the_letters_own(self, body: bytes) -> None:
        (call,), status = self.call(self.letter(), body)
        assert (call.body, call.replay_of, status) == ({"n": 1}, "id", "sent")

    def test_a_tick_is_replayed_as_that_of_its_time(self) -> None:
        (call,), _ = self.call(self.letter(tick="2030-01-07T08:00:00Z"))
        assert call.tick == "2030-01-07T08:00:00Z"

    def test_another_body_is_other_work(self, documents: MemoryFirestore) -> None:
        assert self.call(self.letter(), b'{"n": 2}') == ([], "dead_lettered")
        reasons = {it["reason"] for it in letters(documents).values() if "reason" in it}
        assert reasons == {"replay_refused"}

    def test_a_body_that_could_not_be_read_can_be_corrected(self) -> None:
        (call,), _ = self.call(self.letter(key=None, payload="{broken"), b'{"n": 2}')
        assert call.body == {"n": 2}

    @pytest.mark.parametrize("named", ["", "nobody", "a/b"])
    def test_what_names_no_letter_calls_nothing(self, named: str) -> None:
        assert self.call(named, b"{}") == ([], "dead_lettered")

    def test_what_was_replayed_already_is_a_duplicate(self) -> None:
        assert self.call(self.letter(state="replayed")) == ([], "duplicate")
