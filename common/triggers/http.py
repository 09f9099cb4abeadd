"""Functions called over HTTP: who may call, what is answered.

200 sent, skipped, enqueued   done now, or nothing to do any more
200 duplicate                 done already
200 dead_lettered             can never succeed, or was given up: recorded
409 in_progress               another delivery is at it (Retry-After; 429 and 503 would throttle
                              the whole queue)
500 error                     failed; worth another try
401 unauthorized, 403 forbidden, before anything is read or written
200 ok                        GET /health
"""

import hashlib
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Request
from requests.structures import CaseInsensitiveDict

from common.errors import (
    CallerRefusedError,
    InProgressError,
    NothingToDoError,
    NotYetError,
    PermanentError,
)
from common.idempotency import Answer, dead_letters
from common.process import logs, settings
from common.triggers import events, oidc

Reply = tuple[dict[str, Any], int, dict[str, str]]

MAX_BODY = 1_000_000
"""Bytes; Cloud Tasks stores no more."""
LONGEST_WAIT = 300.0
"""Seconds, of a Retry-After."""
REPLAY_HEADER = "X-Replay-Of"
"""Names the dead letter that a call replays."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A checked call with a JSON object in its body."""

    body: Mapping[str, Any]
    raw: bytes
    task: str | None
    """The Cloud Tasks name, which correlates the log entries of its attempts."""
    due_at: datetime | None
    """When the task was due."""
    tick: str | None
    """The Cloud Scheduler tick (RFC 3339) that this is a firing of."""
    replay_of: str | None


def serve(
    request: Request,
    function: str,
    handle: Callable[[Call], Answer],
    *,
    audience: str,
    emails: Collection[str],
) -> Reply:
    """Answer one request: check the caller, read the body, do the work, say how it ended."""
    if request.method == "GET" and request.path == "/health":
        return {"status": "ok"}, 200, {}
    if request.method != "POST":
        return {"status": "error", "error": f"{request.method} is not served"}, 405, {}
    project = settings.current().google_cloud_project
    task = request.headers.get("X-CloudTasks-TaskName")
    tick = request.headers.get("X-CloudScheduler-ScheduleTime")
    trace = logs.request_fields(CaseInsensitiveDict(request.headers), project)
    with logs.bound(function=function, task=task, tick=tick, **trace):
        return _answer(request, function, handle, audience, emails)


def _answer(
    request: Request,
    function: str,
    handle: Callable[[Call], Answer],
    audience: str,
    emails: Collection[str],
) -> Reply:
    try:
        oidc.check(
            request.headers.get("Authorization"),
            audience=audience,
            emails=emails,
            serverless_header=request.headers.get("X-Serverless-Authorization"),
        )
        return _done(handle(_call(request)))
    except CallerRefusedError as error:
        logs.warning("refused", str(error))
        return {"status": error.status, "error": str(error)}, error.code, {}
    except InProgressError as error:
        logs.info("in_progress", str(error))
        return {"status": "in_progress", "error": str(error)}, 409, _retry_after(error)
    except NothingToDoError as error:
        logs.info("skipped", str(error))
        return {"status": error.status}, 200, {}
    except PermanentError as error:
        return _bury(request, function, error)
    except NotYetError as error:
        logs.info("not_yet", str(error))
        return {"status": "error", "error": str(error)}, 500, {}
    except Exception as error:
        logs.error("failed", str(error), exc=error)
        return {"status": "error", "error": type(error).__name__}, 500, {}


def _done(answer: Answer) -> Reply:
    if answer.status == "done":
        logs.info("done", str(answer.result), result=answer.result)
        return {"status": answer.result}, 200, {}
    return {"status": answer.status}, 200, {}


def _retry_after(error: InProgressError) -> dict[str, str]:
    seconds = max(1, math.ceil(min(error.retry_after, LONGEST_WAIT)))
    return {"Retry-After": str(seconds)}


def _bury(request: Request, function: str, error: PermanentError) -> Reply:
    raw = request.get_data()
    task = request.headers.get("X-CloudTasks-TaskName", "")
    letter = hashlib.sha256(f"{function}\0{task}\0".encode() + raw).hexdigest()
    try:
        dead_letters.record(letter, source=function, error=error, payload=raw)
    except Exception as failure:
        logs.error("failed", str(failure), exc=failure)
        return {"status": "error", "error": type(failure).__name__}, 500, {}
    return {"status": "dead_lettered", "error": str(error)}, 200, {}


def _call(request: Request) -> Call:
    raw = request.get_data()
    logs.info("received", f"{len(raw)} bytes")
    return Call(
        body=events.parse_object(raw, "the body", MAX_BODY),
        raw=raw,
        task=request.headers.get("X-CloudTasks-TaskName"),
        due_at=_epoch(request.headers.get("X-CloudTasks-TaskETA")),
        tick=request.headers.get("X-CloudScheduler-ScheduleTime"),
        replay_of=request.headers.get(REPLAY_HEADER),
    )


def _epoch(text: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text), UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None
