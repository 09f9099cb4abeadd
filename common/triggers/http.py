"""Functions called over HTTP: who may call, and the answer in JSON.

200 sent, skipped, enqueued   done now, or nothing to do any more
200 duplicate                 done already
200 dead_lettered             can never succeed, or was given up: recorded
200 waiting                   cannot be done now: handed over, an alarm will ring
409 in_progress               another delivery is at work on it; with Retry-After
500 error                     failed; worth another try
401 unauthorized, 403 forbidden, before anything is read or written
200 ok                        GET or HEAD /health
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Request

from common.idempotency import Answer, Call
from common.idempotency.fields import parse_object
from common.idempotency.origin import Origin, Received
from common.process import logs, settings
from common.triggers import boundary, events, oidc, replay
from common.triggers.boundary import Ending
from common.triggers.oidc import Callers
from common.triggers.replay import Letter

Reply = tuple[dict[str, Any], int, dict[str, str]]
"""Body, status code and headers, as Flask takes them."""

MAX_BODY = 1_000_000
"""Bytes; Cloud Tasks stores no more."""
LONGEST_WAIT = 300.0
"""Seconds, of a Retry-After."""
TRIES_HEADER = "X-CloudTasks-TaskRetryCount"
REPLAY_HEADER = "X-Replay-Of"
"""The header that names the dead letter which a call replays."""


def serve(
    request: Request,
    function: str,
    handle: Callable[[Call], Answer],
    *,
    callers: Callers | None = None,
) -> Reply:
    """Answer one request: check the caller, read the body, do the work, say how it ended.

    `callers` are those who may call (None: those of the function, as the settings name them).
    """
    if request.method in ("GET", "HEAD") and request.path == "/health":
        return {"status": "ok"}, 200, {}
    if request.method != "POST":
        return {"status": "error", "error": f"{request.method} is not served"}, 405, {}

    calling = _Calling(request, function)

    def do() -> Answer:
        _check_caller(request, callers or oidc.callers_of(function))
        return handle(calling.call())

    with logs.bound(function=function, **_log_fields(request)):
        return _reply(boundary.attend(function, calling.received, do))


def _check_caller(request: Request, callers: Callers) -> None:
    oidc.check(
        request.headers.get("Authorization"),
        audience=callers.audience,
        emails=callers.emails,
        keys=callers.keys,
        serverless_header=request.headers.get("X-Serverless-Authorization"),
    )


class _Calling:
    """One request of a caller who may call."""

    def __init__(self, request: Request, function: str) -> None:
        self.request = request
        self.function = function
        self.letter: Letter | None = None
        """The dead letter that the request replays, once that is known to be its own."""

    def call(self) -> Call:
        """What is called for. Raises MalformedError, and what `replay.find` raises."""
        header = self.request.headers.get
        raw = self._body(header(REPLAY_HEADER))
        logs.info("received", f"{len(raw)} bytes")
        return Call(
            body=parse_object(raw, "the body", MAX_BODY),
            raw=raw,
            task=header("X-CloudTasks-TaskName"),
            due_at=_epoch(header("X-CloudTasks-TaskETA")),
            tick=self._tick(),
            replay_of=header(REPLAY_HEADER),
            is_first=header(TRIES_HEADER) == "0",
            tries=_count(header(TRIES_HEADER)),
        )

    def received(self) -> Received:
        """The request, for the dead letter of what is refused before it has a record."""
        raw = self.request.get_data()
        ids, _ = events.readable(raw)
        task = self.request.headers.get("X-CloudTasks-TaskName")
        letter_id = self.letter.letter_id if self.letter else None
        refused = self.request.headers.get(REPLAY_HEADER) if self.letter is None else None
        return Received(
            payload=raw,
            origin=Origin(task=task, tick=self._tick(), **ids),
            # The letter of a call must not be that of a replay of the call, which is refused.
            identity=None if refused is None else [refused, raw.hex()],
            dead_letter=letter_id,
        )

    def _body(self, replay_of: str | None) -> bytes:
        raw: bytes = self.request.get_data()
        if replay_of is None:
            return raw
        letter = replay.find(replay_of, self.function)
        raw = raw or letter.payload
        letter.require_input(raw)
        letter.require_open()
        self.letter = letter
        return raw

    def _tick(self) -> str | None:
        """The tick's time; a replay of a tick is of the same time."""
        kept = self.letter.fields.get("tick") if self.letter else None
        return self.request.headers.get("X-CloudScheduler-ScheduleTime") or kept


def _log_fields(request: Request) -> dict[str, Any]:
    project = settings.current().google_cloud_project
    return {
        "task": request.headers.get("X-CloudTasks-TaskName"),
        "tick": request.headers.get("X-CloudScheduler-ScheduleTime"),
        **logs.request_fields(request.headers, project),
    }


def _reply(ending: Ending) -> Reply:
    body = {"status": ending.status}
    if ending.error is not None:
        body["error"] = ending.error
    return body, ending.code, _retry_after(ending.retry_after)


def _retry_after(seconds: float | None) -> dict[str, str]:
    if seconds is None:
        return {}
    return {"Retry-After": str(max(1, math.ceil(min(seconds, LONGEST_WAIT))))}


def _count(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _epoch(text: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text), UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None
