"""Tasks as Cloud Tasks reads them: the bytes of the requests that create one task, or many.

    frame ─┬─ parent ───────────────────────────────┐
           ├─ name, but for its end ──┐             │
           ├─ HTTP request ──┐        ├──▶ Task ────┴──▶ CreateTaskRequest
           └─ deadline       ├────────┤                  … a hundred of them ──▶ batch
    body ────────────────────┘        │
    end of the name, time ────────────┘

Filling one message of Google's client for each task takes several times as long as all else that a
campaign does for it. What is the same in all tasks of a kind, their frame, is therefore encoded
once, by that client. Encoded messages that follow one another are one message with the fields of
both: https://protobuf.dev/programming-guides/encoding/#last-one-wins.
"""

import functools
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from google.cloud import tasks_v2
from msgspec import Struct

from common.cloud import encoding
from common.cloud.task import Task, encoded_body, name

FRAMES = 256
"""Kinds of tasks whose frames are kept."""


class _Frame(Struct, frozen=True, kw_only=True):
    """The fields that all tasks of a kind share, encoded."""

    parent: bytes
    """Of the CreateTaskRequest."""
    name: bytes
    """Of the Task, up to where the task's own name begins; its length is that of the whole name."""
    http: bytes
    """Of the HttpRequest: all but the body."""
    deadline: bytes
    """Of the Task."""


class TaskEncoder:
    """Encodes tasks that call with the token of one account."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._frame: Callable[..., _Frame] = functools.lru_cache(maxsize=FRAMES)(self._framed)

    def create(self, queue: str, task: Task) -> bytes:
        """A CreateTaskRequest; `queue` is the full name of the queue.

        Raises PermanentError for a body that is too large.
        """
        body = encoded_body(task)
        headers = tuple(task.headers.items())
        frame = self._frame(queue, task.url, task.audience, task.deadline, headers)
        http = _delimited(_HTTP, frame.http + _delimited(_BODY, body))
        time = _schedule(task.at) if task.at is not None else b""
        named = frame.name + name(task.identity).encode()
        return frame.parent + _delimited(_TASK, named + http + time + frame.deadline)

    def batch(self, queue: str, creates: Iterable[bytes], *, request_id: str) -> bytes:
        """A BatchCreateTasksRequest of such CreateTaskRequests."""
        head: bytes = _BATCH(parent=queue, request_id=request_id).SerializeToString()
        return head + b"".join([_delimited(_REQUESTS, create) for create in creates])

    def _framed(
        self,
        queue: str,
        url: str,
        audience: str,
        deadline: timedelta,
        headers: tuple[tuple[str, str], ...],
    ) -> _Frame:
        made = tasks_v2.Task.pb()()
        made.dispatch_deadline.seconds = int(deadline.total_seconds())
        http = tasks_v2.HttpRequest.pb()(url=url, http_method=tasks_v2.HttpMethod.POST)
        http.headers.update({"Content-Type": "application/json", **dict(headers)})
        http.oidc_token.service_account_email = self._account
        http.oidc_token.audience = audience
        example = name(())
        named = tasks_v2.Task.pb()(name=f"{queue}/tasks/{example}").SerializeToString()
        return _Frame(
            parent=_CREATE(parent=queue).SerializeToString(),
            name=named[: -len(example)],
            http=http.SerializeToString(),
            deadline=made.SerializeToString(),
        )


@functools.lru_cache(maxsize=FRAMES)
def _schedule(at: datetime) -> bytes:
    """A Task with its time alone; in a campaign there is one time for each zone."""
    made = tasks_v2.Task.pb()()
    encoding.encode_time(at, made.schedule_time)
    return bytes(made.SerializeToString())


def _delimited(tag: bytes, content: bytes) -> bytes:
    """A field whose content follows its length."""
    return tag + _varint(len(content)) + content


@functools.lru_cache(maxsize=4096)
def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _tag(message: Any, field: str) -> bytes:
    """What introduces a field of a message that is a string, bytes or a message itself."""
    number: int = message.DESCRIPTOR.fields_by_name[field].number
    return _varint(number << 3 | _DELIMITED)


_DELIMITED = 2
"""A field with a length: https://protobuf.dev/programming-guides/encoding/#structure."""
_BATCH = tasks_v2.BatchCreateTasksRequest.pb()
_CREATE = tasks_v2.CreateTaskRequest.pb()
_REQUESTS = _tag(_BATCH, "requests")
_TASK = _tag(_CREATE, "task")
_HTTP = _tag(tasks_v2.Task.pb(), "http_request")
_BODY = _tag(tasks_v2.HttpRequest.pb(), "body")
