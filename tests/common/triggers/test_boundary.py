"""Each row of the boundary's table, for a function that events trigger and one that is called."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from werkzeug.datastructures import Headers
from werkzeug.exceptions import Conflict, HTTPException, InternalServerError
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from common import errors
from common.cloud.memory import MemoryFirestore
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
    UnavailableError,
)
from common.idempotency import Answer, Outcome
from common.idempotency.origin import Received
from common.triggers import boundary, http, pubsub
from common.triggers.events import EventType
from common.triggers.http import Reply
from tests.common.callers import CALLERS, bearer
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
    """What Pub/Sub's delivery ends with; None: it is acknowledged, or handed over."""

    def __str__(self) -> str:
        return repr(self.does)


def answer(status: Any, result: Any = None) -> Answer:
    return Answer(status=status, result=result)


BROKEN = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//s"}
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
    Row(does=answer("waiting", "down"), code=200, status="waiting"),
    Row(
        does=UnavailableError("down"), code=500, status="error", error="down"
    ),
    Row(does=NotYetError("not yet"), code=500, status="error", error="not yet"),
    Row(does=UnauthorizedError("who"), code=401, status="unauthorized", error="who"),
    Row(does=ForbiddenError("not you"), code=403, status="forbidden", error="not you"),
    Row(does=TransientError("x"), code=500, status="error", error="TransientError"),
    Row(does=KeyError("x"), code=500, status="error", error="KeyError"),
]  # fmt: skip


pytestmark = pytest.mark.usefixtures("documents")


def letters(documents: MemoryFirestore) -> list[dict[str, Any]]:
    """The dead letters."""
    return list(documents.documents("dead_letters").values())


def nothing() -> Received:
    return Received(payload=b"")


def doing(what: Answer | Exception) -> Callable[..., Answer]:
    def do(*given: object) -> Answer:
        if isinstance(what, Exception):
            raise what
        return what

    return do


def called(do: Callable[..., Answer]) -> Reply:
    """The answer of a function that is called over HTTP and does this."""
    headers = Headers({"Authorization": bearer()})
    builder = EnvironBuilder(method="POST", data=b'{"a": 1}', headers=headers)
    request: Any = Request(builder.get_environ())
    return http.serve(request, "reminder", do, callers=CALLERS)


def delivered(do: Callable[..., Any]) -> None:
    """The delivery of an event to a function whose handler does this."""
    event = {"event_id": "e", "event_type": "t", "user_id": "u", "payload": {}}
    message = {"data": base64.b64encode(json.dumps(event).encode()).decode(), "messageId": "m"}
    attributes = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//s"}
    declared = EventType(name="t", fields={}, handler=do)
    pubsub.receive(CloudEvent(attributes, {"message": message}), "consumer", {"t": declared})


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_call_is_answered_as_the_table_says(row: Row) -> None:
    body, code, headers = called(doing(row.does))
    expected = {"status": row.status} | ({"error": row.error} if row.error else {})
    assert (code, body) == (row.code, expected)
    assert headers == ({"Retry-After": row.retry_after} if row.retry_after else {})


@pytest.mark.parametrize("row", [it for it in ROWS if isinstance(it.does, Exception)], ids=str)
def test_a_delivery_is_acknowledged_as_the_table_says(row: Row) -> None:
    refusal = None
    try:
        delivered(doing(row.does))
    except HTTPException as error:
        refusal = error
    assert type(refusal) is (row.refusal or type(None))


def test_a_delivery_that_is_done_is_acknowledged_and_so_is_its_duplicate() -> None:
    for _ in range(2):
        delivered(lambda event, work: Outcome(result="sent"))


def test_the_table_has_every_error_that_is_answered_in_a_way_of_its_own() -> None:
    """A new branch of the tree of errors is decided here, and not by whichever row comes first."""
    answered = {type(row.does) for row in ROWS}
    branches = {*BundleError.__subclasses__(), *CallerRefusedError.__subclasses__()}
    inside = {errors.SettledError, errors.ClaimFirstError, errors.StoppedError}
    undecided = branches - answered - inside - {errors.ConfigurationError}
    assert undecided == {CallerRefusedError}, "its two classes are in the table"


@pytest.mark.parametrize(("seconds", "told"), [(0.0, "1"), (0.2, "1"), (7.1, "8"), (9e9, "300")])
def test_retry_after_is_whole_seconds_of_five_minutes_at_most(seconds: float, told: str) -> None:
    _, _, headers = called(doing(InProgressError(retry_after=seconds)))
    assert headers == {"Retry-After": told}


def permanent_errors() -> list[type[PermanentError]]:
    return [PermanentError, *PermanentError.__subclasses__()]


@pytest.mark.parametrize("error", permanent_errors())
def test_what_can_never_succeed_is_recorded_and_not_tried_again(
    error: type[PermanentError], documents: MemoryFirestore
) -> None:
    raised = error()
    assert called(doing(raised))[1] == 200
    (letter,) = letters(documents)
    recorded = {"source": "reminder", "error": str(raised), "payload": '{"a": 1}'}
    assert letter == letter | recorded


def test_nothing_else_leaves_a_dead_letter(documents: MemoryFirestore) -> None:
    for row in ROWS:
        if not isinstance(row.does, PermanentError):
            called(doing(row.does))
    assert letters(documents) == []


def test_a_call_whose_dead_letter_cannot_be_recorded_is_made_again(
    documents: MemoryFirestore,
) -> None:
    documents.mishaps = ["error"] * 10
    body, code, _ = called(doing(PermanentError("never")))
    assert (code, body) == (500, {"status": "error", "error": "TransientError"})


def test_an_event_whose_dead_letter_cannot_be_recorded_is_not_acknowledged(
    documents: MemoryFirestore,
) -> None:
    documents.mishaps = ["error"] * 10
    with pytest.raises(InternalServerError):
        pubsub.receive(CloudEvent(BROKEN, b"no message"), "consumer", {})


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (UnauthorizedError("who"), ("WARNING", "refused", "who")),
        (InProgressError("busy"), ("INFO", "in_progress", "busy")),
        (NothingToDoError("ignored", "a parrot"), ("INFO", "ignored", "a parrot")),
        (NothingToDoError("skipped", "a newer one"), ("INFO", "skipped", "a newer one")),
        (NothingToDoError("duplicate", "sent"), ("INFO", "skipped", "sent")),
        (NotYetError("no sign-up"), ("WARNING", "waiting", "no sign-up")),
        (ValueError("broken"), ("ERROR", "failed", "broken")),
    ],
    ids=str,
)
def test_each_ending_has_its_action_in_the_log(
    error: Exception, logged: tuple[str, str, str], capfd: Log
) -> None:
    boundary.attend("reminder", nothing, doing(error))
    found = entry(capfd)
    assert (found["severity"], found["action"], found["message"]) == logged


def test_only_a_failure_has_a_stack_in_the_log(capfd: Log) -> None:
    boundary.attend("reminder", nothing, doing(ValueError("broken")))
    assert entry(capfd)["stack_trace"].rstrip().endswith("ValueError: broken")
    boundary.attend("reminder", nothing, doing(NotYetError("not yet")))
    assert "stack_trace" not in entry(capfd)


def test_work_that_is_done_is_logged_with_its_result_and_a_duplicate_not_again(capfd: Log) -> None:
    boundary.attend("consumer", nothing, doing(answer("done", Outcome(result="sent").result)))
    assert entry(capfd)["result"] == "sent"
    boundary.attend("consumer", nothing, doing(answer("duplicate", "sent")))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "reason"), [(UnavailableError(), "unavailable"), (NotYetError(), "not_yet")]
)
def test_what_waits_says_why_in_the_log(error: Exception, reason: str, capfd: Log) -> None:
    boundary.attend("reminder", nothing, doing(error))
    found = entry(capfd)
    assert (found["reason"], found["error_type"]) == (reason, type(error).__name__)
