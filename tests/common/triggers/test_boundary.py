"""Each row of the boundary's table, for a function that events trigger and one that is called."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytest
from cloudevents.http import CloudEvent
from werkzeug.exceptions import Conflict, HTTPException, InternalServerError
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from common import errors, idempotency
from common.errors import (
    BundleError,
    CallerRefusedError,
    ForbiddenError,
    InProgressError,
    LostClaimError,
    NothingToDoError,
    NotYetError,
    PermanentError,
    TransientError,
    UnauthorizedError,
)
from common.idempotency import Answer, Outcome, Work, dead_letters
from common.triggers import boundary, http, oidc, pubsub
from common.triggers.events import Event, EventType
from common.triggers.http import Reply
from tests.common.logged import entry

Log = pytest.CaptureFixture[str]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the work does, and how both triggers answer."""

    does: Answer | Exception
    code: int
    status: str
    error: str | None = None
    retry_after: str | None = None
    refusal: type[HTTPException] | None = None
    """What Pub/Sub's delivery ends with; None: it is acknowledged."""

    def __str__(self) -> str:
        return repr(self.does)


def answer(status: Any, result: Any = None) -> Answer:
    return Answer(status=status, result=result)


E500 = InternalServerError
ROWS = [
    Row(does=answer("done", "sent"), code=200, status="sent"),
    Row(does=answer("done", "skipped"), code=200, status="skipped"),
    Row(does=answer("duplicate", "sent"), code=200, status="duplicate"),
    Row(does=answer("dead_lettered", "it was no use"), code=200, status="dead_lettered"),
    Row(does=NothingToDoError("enqueued"), code=200, status="enqueued"),
    Row(does=NothingToDoError("duplicate"), code=200, status="duplicate"),
    Row(does=PermanentError("never"), code=200, status="dead_lettered", error="never"),
    Row(
        does=InProgressError("busy", retry_after=7),
        code=409, status="in_progress", error="busy", retry_after="7", refusal=Conflict,
    ),
    Row(
        does=LostClaimError("lost"),
        code=409, status="in_progress", error="lost", retry_after="10", refusal=Conflict,
    ),
    Row(does=NotYetError("not yet"), code=500, status="error", error="not yet", refusal=E500),
    Row(does=UnauthorizedError("who"), code=401, status="unauthorized", error="who", refusal=E500),
    Row(does=ForbiddenError("not you"), code=403, status="forbidden", error="not you",
        refusal=E500),
    Row(does=TransientError("x"), code=500, status="error", error="TransientError", refusal=E500),
    Row(does=KeyError("x"), code=500, status="error", error="KeyError", refusal=E500),
]  # fmt: skip


@dataclass
class Letters:
    """Where dead letters go; or it cannot be reached."""

    error: Exception | None = None
    recorded: list[dict[str, Any]] = field(default_factory=list)

    def record(self, **letter: Any) -> None:
        if self.error:
            raise self.error
        self.recorded.append(letter)


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch, environment: object) -> Letters:
    """The dead letters of input that is refused."""
    made = Letters()
    monkeypatch.setattr(dead_letters, "record_refused", made.record)
    monkeypatch.setattr(oidc, "check", lambda *given, **named: "tasks@example.com")
    return made


def doing(what: Answer | Exception) -> Callable[..., Answer]:
    def do(*given: object) -> Answer:
        if isinstance(what, Exception):
            raise what
        return what

    return do


def never(event: Event, work: Work) -> NoReturn:
    raise AssertionError("the handler ran")


def called(do: Callable[..., Answer]) -> Reply:
    """The answer of a function that is called over HTTP and does this."""
    request: Any = Request(EnvironBuilder(method="POST", data=b'{"a": 1}').get_environ())
    return http.serve(request, "reminder", do, audience="us", emails=["tasks@example.com"])


def delivered(do: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    """The delivery of an event to a function that does this about it."""
    monkeypatch.setattr(idempotency, "run", do)
    event = {"event_id": "e", "event_type": "t", "user_id": "u", "payload": {}}
    message = {"data": base64.b64encode(json.dumps(event).encode()).decode(), "messageId": "m"}
    attributes = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//s"}
    declared = EventType(name="t", fields={}, handler=never)
    pubsub.receive(CloudEvent(attributes, {"message": message}), "consumer", {"t": declared})


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_call_is_answered_as_the_table_says(row: Row) -> None:
    body, code, headers = called(doing(row.does))
    expected = {"status": row.status} | ({"error": row.error} if row.error else {})
    assert (code, body) == (row.code, expected)
    assert headers == ({"Retry-After": row.retry_after} if row.retry_after else {})


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_delivery_is_acknowledged_as_the_table_says(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = None
    try:
        delivered(doing(row.does), monkeypatch)
    except HTTPException as error:
        refusal = error
    assert type(refusal) is (row.refusal or type(None))


def test_the_table_has_every_error_that_is_answered_in_a_way_of_its_own() -> None:
    """A new branch of the tree of errors is decided here, and not by whichever row comes first."""
    answered = {type(row.does) for row in ROWS}
    branches = {*BundleError.__subclasses__(), *CallerRefusedError.__subclasses__()}
    undecided = branches - answered - {errors.ConfigurationError, errors.SettledError}
    assert undecided == {CallerRefusedError}, "its two classes are in the table"


@pytest.mark.parametrize(("seconds", "told"), [(0.0, "1"), (0.2, "1"), (7.1, "8"), (9e9, "300")])
def test_retry_after_is_whole_seconds_of_five_minutes_at_most(seconds: float, told: str) -> None:
    _, _, headers = called(doing(InProgressError(retry_after=seconds)))
    assert headers == {"Retry-After": told}


def permanent_errors() -> list[type[PermanentError]]:
    return [PermanentError, *PermanentError.__subclasses__()]


@pytest.mark.parametrize("error", permanent_errors())
def test_what_can_never_succeed_is_recorded_and_not_tried_again(
    error: type[PermanentError], letters: Letters
) -> None:
    raised = error()
    assert called(doing(raised))[1] == 200
    assert letters.recorded == [{"source": "reminder", "error": raised, "payload": b'{"a": 1}'}]


def test_nothing_else_leaves_a_dead_letter(letters: Letters) -> None:
    for row in ROWS:
        if not isinstance(row.does, PermanentError):
            called(doing(row.does))
    assert letters.recorded == []


def test_a_call_whose_dead_letter_cannot_be_recorded_is_made_again(letters: Letters) -> None:
    letters.error = TransientError("Firestore is away")
    body, code, _ = called(doing(PermanentError("never")))
    assert (code, body) == (500, {"status": "error", "error": "TransientError"})


def test_an_event_whose_dead_letter_cannot_be_recorded_is_not_acknowledged(
    letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters.error = ConnectionError("Firestore is away")
    with pytest.raises(InternalServerError):
        delivered(doing(PermanentError("never")), monkeypatch)


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (UnauthorizedError("who"), ("WARNING", "refused", "who")),
        (InProgressError("busy"), ("INFO", "in_progress", "busy")),
        (NothingToDoError("ignored", "a parrot"), ("INFO", "ignored", "a parrot")),
        (NothingToDoError("skipped", "a newer one"), ("INFO", "skipped", "a newer one")),
        (NothingToDoError("duplicate", "sent"), ("INFO", "skipped", "sent")),
        (NotYetError("no sign-up"), ("INFO", "not_yet", "no sign-up")),
        (ValueError("broken"), ("ERROR", "failed", "broken")),
    ],
    ids=str,
)
def test_each_ending_has_its_action_in_the_log(
    error: Exception, logged: tuple[str, str, str], capfd: Log
) -> None:
    boundary.attend("reminder", bytes, doing(error))
    found = entry(capfd)
    assert (found["severity"], found["action"], found["message"]) == logged


def test_only_a_failure_has_a_stack_in_the_log(capfd: Log) -> None:
    boundary.attend("reminder", bytes, doing(ValueError("broken")))
    assert entry(capfd)["stack_trace"].rstrip().endswith("ValueError: broken")
    boundary.attend("reminder", bytes, doing(NotYetError("not yet")))
    assert "stack_trace" not in entry(capfd)


def test_work_that_is_done_is_logged_with_its_result_and_a_duplicate_not_again(capfd: Log) -> None:
    boundary.attend("consumer", bytes, doing(answer("done", Outcome(result="sent").result)))
    assert entry(capfd)["result"] == "sent"
    boundary.attend("consumer", bytes, doing(answer("duplicate", "sent")))
    assert capfd.readouterr().out == ""
