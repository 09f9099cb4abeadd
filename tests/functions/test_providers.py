"""What providers do wrong, to the functions in memory and over a socket of the provider's."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from common.process import settings
from tests.common.web_server import Answer, Asked, WebServer, serving
from tests.functions.in_memory import Bundle

YES, LOST = Answer(status=202), Answer(status=0)
GONE = Answer(status=422, body=b'{"ErrorCode": 406}')
OTHER_CONTENT = Answer(status=409, body=b'{"name": "invalid_idempotent_request"}')


@contextmanager
def provider(
    environment: pytest.MonkeyPatch, answer: Callable[[Asked], Answer]
) -> Iterator[WebServer]:
    """A provider that answers so, and that the functions send their messages to."""
    with serving(answer) as server:
        environment.setenv("MESSAGING_URL", f"{server.url}/send?key=rosehip")
        environment.setenv("MESSAGING_TOKEN", "rose")
        settings.current.cache_clear()
        yield server


def sent(server: WebServer, template: str) -> list[tuple[str, dict[str, Any]]]:
    """Key and content of each message of this template that was posted, in order."""
    posted = [(asked.headers["idempotency-key"], json.loads(asked.body)) for asked in server.asked]
    return [(key, body) for key, body in posted if body["template"] == template]


@pytest.mark.parametrize("last", [YES, OTHER_CONTENT])
def test_after_a_lost_answer_the_provider_sees_one_content_under_one_key(
    bundle: Bundle, environment: pytest.MonkeyPatch, last: Answer
) -> None:
    answers = iter([LOST, LOST, last])
    with provider(environment, lambda asked: next(answers, YES)) as server:
        bundle.publish("user.signed_up", "ada", email="ada@example.com", name="Ada")
        bundle.publish("user.signed_up", "ada", email="new@example.com", name="Countess")
        bundle.advance(hours=6)
    first, *again = sent(server, "welcome")
    assert len(again) == 2
    assert again == [first, first]
    assert bundle.messages("ada") == ["welcome"]
    (message,) = bundle.documents("messages")
    assert (message["to"], message["state"]) == ("ada@example.com", "sent")
    assert bundle.documents("sends") == []


@pytest.mark.parametrize("status", [401, 403, 404, 307, 503])
def test_a_day_without_the_provider_ends_by_itself(
    bundle: Bundle, environment: pytest.MonkeyPatch, status: int
) -> None:
    end = bundle.firestore.now.timestamp() + 86_400

    def answer(asked: Asked) -> Answer:
        is_over = bundle.firestore.now.timestamp() > end
        return YES if is_over else Answer(status=status, headers={"Location": "/elsewhere"})

    with provider(environment, answer) as server:
        for user in ("ada", "bob", "eve", "kim"):
            assert bundle.publish("user.signed_up", user, email=f"{user}@example.com") == 200
        bundle.advance(days=2)
    for user in ("ada", "bob", "eve", "kim"):
        assert "welcome" in bundle.messages(user)
        assert bundle.messages(user).count("welcome") == 1
    assert bundle.documents("dead_letters") == []
    assert len(server.asked) < 400


def test_a_refused_address_is_one_messages_fault(
    bundle: Bundle, environment: pytest.MonkeyPatch
) -> None:
    def answer(asked: Asked) -> Answer:
        return GONE if json.loads(asked.body)["user_id"] == "ada" else YES

    with provider(environment, answer):
        bundle.publish("user.signed_up", "ada", email="ada@example.com")
        bundle.publish("user.signed_up", "bob", email="bob@example.com")
    (letter,) = bundle.documents("dead_letters")
    assert (letter["reason"], letter["user_id"]) == ("permanent", "ada")
    assert bundle.messages("bob") == ["welcome"]


def test_a_422_is_the_messages_fault_where_others_are_accepted(
    bundle: Bundle, environment: pytest.MonkeyPatch
) -> None:
    refused = Answer(status=422, body=b"no")
    answers = iter([refused, YES])
    with provider(environment, lambda asked: next(answers, refused)):
        bundle.publish("user.signed_up", "ada", email="ada@example.com")
        assert bundle.documents("dead_letters") == []
        bundle.publish("user.signed_up", "bob", email="bob@example.com")
        assert len(bundle.documents("destinations")) == 1
        bundle.advance(minutes=5)
    (letter,) = bundle.documents("dead_letters")
    assert letter["user_id"] == "ada"


def test_no_key_of_the_provider_is_in_a_line_or_a_document(
    bundle: Bundle, environment: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said = b'{"ErrorCode": 411, "Message": "rose may not send to ada@example.com"}'
    answers = iter([LOST, Answer(status=401, body=said), Answer(status=422, body=said)])
    with provider(environment, lambda asked: next(answers, YES)) as server:
        bundle.publish("user.signed_up", "ada", email="ada@example.com")
        bundle.advance(hours=2)
    assert server.asked[0].headers["authorization"] == "Bearer rose"
    assert len(bundle.documents("dead_letters")) == 1
    kept = [bundle.documents(it) for it in ("dead_letters", "idempotency", "destinations")]
    assert "rose" not in capfd.readouterr().out + repr(kept)
