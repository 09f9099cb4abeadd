"""Functions called over HTTP: who gets in, and what of the request a call is made of."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from common.cloud import firestore
from common.cloud.firestore import Create
from common.cloud.memory import MemoryFirestore
from common.errors import MalformedError
from common.idempotency import Answer, Call
from common.process import settings
from common.triggers import http, oidc
from common.triggers.http import MAX_BODY, Reply
from tests.common.callers import CALLERS, bearer
from tests.common.logged import entries

Log = pytest.CaptureFixture[str]
TASK = {
    "X-CloudTasks-TaskName": "t-1",
    "X-CloudTasks-TaskETA": "1900000000.5",
    "X-CloudScheduler-ScheduleTime": "2030-03-17T17:46:40Z",
}
NOBODY = {"Authorization": ""}
SOMEBODY_ELSE = {"Authorization": bearer("somebody@example.com")}


pytestmark = pytest.mark.usefixtures("documents")


def errors(documents: MemoryFirestore) -> list[str]:
    """The errors of the dead letters that were recorded."""
    return [it["error"] for it in documents.documents("dead_letters").values()]


class Stream:
    """A body that tells whether anybody has read it."""

    was_read = False

    def read(self, *size: int) -> bytes:
        self.was_read = True
        return b""

    readinto = readline = read


def request(data: bytes = b"{}", headers: dict[str, str] | None = None, **options: Any) -> Any:
    """A request as the framework hands it over, by default of the rightful caller."""
    headers = {"Authorization": bearer(), **(headers or {})}
    given = {"method": "POST", "data": data, "headers": headers, **options}
    return Request(EnvironBuilder(**given).get_environ())


def serve(asked: Any, handle: Callable[[Call], Answer]) -> Reply:
    return http.serve(asked, "reminder", handle, callers=CALLERS)


def never(call: Call) -> NoReturn:
    raise AssertionError("the function ran")


def refusing(call: Call) -> NoReturn:
    raise MalformedError("it is no body of ours")


def sent(call: Call) -> Answer:
    return Answer(status="done", result="sent")


def call_of(asked: Any) -> Call:
    """The call that a request becomes."""
    calls: list[Call] = []

    def keep(call: Call) -> Answer:
        calls.append(call)
        return sent(call)

    assert serve(asked, keep)[1] == 200
    (call,) = calls
    return call


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_is_ok_for_anybody(method: str) -> None:
    asked = request(method=method, path="/health", headers=NOBODY)
    assert serve(asked, never) == ({"status": "ok"}, 200, {})


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("PUT", "/"), ("DELETE", "/health")])
def test_nothing_else_but_a_post_is_served(method: str, path: str) -> None:
    body, code, _ = serve(request(method=method, path=path), never)
    assert (code, body) == (405, {"status": "error", "error": f"{method} is not served"})


def test_a_post_to_health_is_a_call_like_any_other() -> None:
    assert serve(request(path="/health", headers=NOBODY), never)[1] == 401


@pytest.mark.parametrize(("headers", "code"), [(NOBODY, 401), (SOMEBODY_ELSE, 403)])
def test_the_body_of_a_caller_who_is_refused_is_not_read(
    headers: dict[str, str], code: int, documents: MemoryFirestore
) -> None:
    stream, asked = Stream(), request(b"not JSON", headers)
    asked.environ["wsgi.input"] = stream
    assert serve(asked, never)[1] == code
    assert (stream.was_read, documents.documents()) == (False, {})


def test_the_audience_of_a_token_is_that_of_the_function() -> None:
    asked = request(headers={"Authorization": bearer(audience="https://fanout.example.com")})
    assert serve(asked, never)[1] == 401


@pytest.mark.parametrize(("more", "code"), [({}, 200), ({"X-Serverless-Authorization": "B"}, 401)])
def test_a_signature_that_the_platform_took_off_counts_only_where_it_checks_callers(
    more: dict[str, str], code: int, environment: pytest.MonkeyPatch
) -> None:
    """The platform checks the header X-Serverless-Authorization in place of the other one."""
    environment.setenv("PLATFORM_CHECKS_CALLERS", "yes")
    settings.current.cache_clear()
    unsigned = f"{bearer().rpartition('.')[0]}.{oidc.REMOVED}"
    assert serve(request(headers={"Authorization": unsigned, **more}), sent)[1] == code


def test_a_call_has_the_body_as_received_and_as_an_object() -> None:
    call = call_of(request(b'{"n":  1}'))
    assert (call.body, call.raw) == ({"n": 1}, b'{"n":  1}')


def test_a_call_knows_its_task_its_tick_and_the_dead_letter_it_replays() -> None:
    fields = {"source": "reminder", "state": "open", "payload": "{}"}
    firestore.commit([Create(path="dead_letters/letter-1", fields=fields)])
    call = call_of(request(headers={**TASK, "X-Replay-Of": "letter-1"}))
    assert (call.task, call.tick, call.replay_of) == ("t-1", "2030-03-17T17:46:40Z", "letter-1")
    assert call.due_at == datetime(2030, 3, 17, 17, 46, 40, 500_000, tzinfo=UTC)


def test_a_call_by_hand_has_none_of_them() -> None:
    call = call_of(request())
    assert (call.task, call.tick, call.replay_of, call.due_at) == (None, None, None, None)


@pytest.mark.parametrize(
    ("said", "tries"),
    [(None, 0), ("0", 0), ("17", 17), ("", 0), ("-1", 0), ("x", 0), ("9" * 30, 0)],
)
def test_a_call_knows_how_often_it_was_tried(said: str | None, tries: int) -> None:
    headers = {} if said is None else {"X-CloudTasks-TaskRetryCount": said}
    assert call_of(request(headers=headers)).tries == tries


@pytest.mark.parametrize("time", ["", "soon", "nan", "inf", "1e300", "-1e300"])
def test_a_time_that_cannot_be_read_is_no_time(time: str) -> None:
    assert call_of(request(headers={"X-CloudTasks-TaskETA": time})).due_at is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the body is not JSON: "),
        (b"{", "the body is not JSON: "),
        (b"\xff", "the body is not UTF-8: "),
        (b"[]", "the body is a list, not an object"),
        (b" " * (MAX_BODY + 1), "the body has 1000001 bytes, more than 1000000"),
    ],
)
def test_a_body_that_is_no_object_is_dead_lettered(
    data: bytes, says: str, documents: MemoryFirestore
) -> None:
    body, code, _ = serve(request(data), never)
    assert (code, body["status"], errors(documents)) == (200, "dead_lettered", [body["error"]])
    assert body["error"].startswith(says)


def test_a_refused_body_is_found_by_its_task_its_tick_and_its_user(
    documents: MemoryFirestore,
) -> None:
    with_user = http.serve(
        request(b'{"user_id": "u-1"}', TASK), "reminder", refusing, callers=CALLERS
    )
    (letter,) = documents.documents("dead_letters").values()
    assert with_user[1] == 200
    found = [letter[name] for name in ("task", "tick", "user_id", "payload")]
    assert found == ["t-1", "2030-03-17T17:46:40Z", "u-1", '{"user_id": "u-1"}']


def test_every_entry_of_the_log_names_the_function_the_task_and_the_tick(capfd: Log) -> None:
    serve(request(headers=TASK), sent)
    found = entries(capfd)
    assert [it["action"] for it in found] == ["received", "done"]
    ids = {"function": "reminder", "task": "t-1", "tick": "2030-03-17T17:46:40Z"}
    assert all(it == it | ids for it in found)


def test_the_log_of_a_refused_call_names_the_task_too(capfd: Log) -> None:
    serve(request(headers={**TASK, **SOMEBODY_ELSE}), never)
    (found,) = entries(capfd)
    assert (found["action"], found["task"]) == ("refused", "t-1")


def test_the_log_carries_the_trace_of_the_request_in_the_project(capfd: Log) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    serve(request(headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}), sent)
    names = {it["logging.googleapis.com/trace"] for it in entries(capfd)}
    assert names == {f"projects/shop/traces/{trace}"}


def test_an_answer_is_json_that_flask_can_send() -> None:
    body, code, headers = serve(request(), sent)
    assert (json.dumps(body), code, headers) == ('{"status": "sent"}', 200, {})
