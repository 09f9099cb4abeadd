"""Pub/Sub: an event on a topic, and what the service's answers mean."""

import base64
import json
from collections.abc import Iterator

import pytest

from common import idempotency
from common.cloud import pubsub
from common.cloud.memory import MemoryFirestore, MemoryTopics
from common.errors import PermanentError, UnavailableError
from common.idempotency import Job, Outcome, Work
from common.process import settings
from tests.common.web_server import Answer, Asked, WebServer, serving

EVENT = {"event_type": "shipment.sent", "user_id": "ada", "payload": {"n": 1}}


@pytest.fixture
def answers(environment: pytest.MonkeyPatch) -> Iterator[tuple[WebServer, list[int]]]:
    """A service, and the statuses that it answers next."""
    statuses: list[int] = []

    def answer(asked: Asked) -> Answer:
        return Answer(status=statuses.pop(0) if statuses else 200, body=b"{}")

    with serving(answer) as server:
        environment.setenv("PUBSUB_EMULATOR_HOST", server.url.removeprefix("http://"))
        settings.current.cache_clear()
        pubsub._made.cache_clear()
        yield server, statuses
    pubsub._made.cache_clear()


def test_an_event_is_published_as_json(answers: tuple[WebServer, list[int]]) -> None:
    server, _ = answers
    pubsub.publish("shipments", EVENT)
    (asked,) = server.asked
    assert asked.path == "/v1/projects/shop/topics/shipments:publish"
    (message,) = json.loads(asked.body)["messages"]
    assert json.loads(base64.b64decode(message["data"])) == EVENT


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503, 302])
def test_what_may_pass_waits(answers: tuple[WebServer, list[int]], status: int) -> None:
    answers[1].append(status)
    with pytest.raises(UnavailableError, match=f"cannot publish on shipments: {status}"):
        pubsub.publish("shipments", EVENT)


def test_what_is_never_taken_is_given_up(answers: tuple[WebServer, list[int]]) -> None:
    answers[1].append(400)
    with pytest.raises(PermanentError):
        pubsub.publish("shipments", EVENT)


def test_nobody_listening_is_an_outage(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    settings.current.cache_clear()
    pubsub._made.cache_clear()
    with pytest.raises(UnavailableError, match="cannot publish on shipments"):
        pubsub.publish("shipments", EVENT)
    pubsub._made.cache_clear()


@pytest.mark.parametrize("event", [{"x": b""}, {"x": "x" * pubsub.MAX_EVENT}])
def test_what_is_no_event_is_never_published(event: dict[str, object]) -> None:
    with pubsub.using(MemoryTopics()) as memory, pytest.raises(PermanentError):
        pubsub.publish("shipments", event)
    assert memory.published == []


def test_a_handler_s_event_has_one_id_however_often_it_is_published(
    documents: MemoryFirestore,
) -> None:
    """The first answer is lost, the second attempt publishes again; a consumer drops the repeat."""
    job = Job(scope="consumer", key="e", identity="e", payload=b"")

    def handle(work: Work) -> Outcome:
        first = work.publish("shipments", {**EVENT, "event_id": "mine"})
        second = work.publish("shipments", EVENT, name="another")
        return Outcome(result=[first, second])

    with pubsub.using(MemoryTopics()) as memory:
        memory.lost = 1
        with pytest.raises(UnavailableError):
            idempotency.run(job, handle)
        answer = idempotency.run(job, handle)
    ids = [event["event_id"] for event in memory.events("shipments")]
    first, second = answer.result
    assert ids == [first, second, first], "the second did not wait for the first"
    assert first != second
