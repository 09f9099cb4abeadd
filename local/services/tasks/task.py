"""The life of one task: waiting, running, answered; then gone, or waiting again.

What the caller gave never changes and is kept as bytes (`spec`); what happens is in the fields.
Moments are in microseconds of the virtual clock.
"""

from dataclasses import dataclass
from typing import Any

from google.rpc import code_pb2

from local.kernel import moments
from local.kernel.delivery import Reply
from local.services.tasks import backoff
from local.services.tasks import messages as m

RETENTION = 31 * moments.DAY
"""A task is deleted this long after its creation, dispatched or not."""

_CODES = {
    400: code_pb2.INVALID_ARGUMENT,
    401: code_pb2.UNAUTHENTICATED,
    403: code_pb2.PERMISSION_DENIED,
    404: code_pb2.NOT_FOUND,
    409: code_pb2.ABORTED,
    416: code_pb2.OUT_OF_RANGE,
    429: code_pb2.RESOURCE_EXHAUSTED,
    499: code_pb2.CANCELLED,
    501: code_pb2.UNIMPLEMENTED,
    503: code_pb2.UNAVAILABLE,
    504: code_pb2.DEADLINE_EXCEEDED,
}


@dataclass(slots=True)
class Task:
    """One row of the store."""

    id: int
    queue: int
    name: str
    """The short id."""
    spec: bytes
    """The Task message as created: target, deadline, retry configuration."""
    create_us: int
    schedule_us: int
    dispatches: int = 0
    responses: int = 0
    executions: int = 0
    """Responses that are no 5xx."""
    first_us: int | None = None
    """When the first attempt was dispatched."""
    attempt_eta_us: int | None = None
    """What the last attempt was scheduled for, and when it was dispatched and answered."""
    attempt_us: int | None = None
    answer_us: int | None = None
    previous: int | None = None
    """The HTTP status of the last answer; 504 for a passed deadline; None for no answer."""
    code: int = 0
    detail: str = ""

    def dispatched(self, now: int) -> None:
        """Note that an attempt starts."""
        self.dispatches += 1
        self.first_us = self.first_us if self.first_us is not None else now
        self.attempt_eta_us, self.attempt_us, self.answer_us = self.schedule_us, now, None

    def failed(self, reply: Reply, now: int) -> None:
        """An attempt ended without a 2xx."""
        self.answer_us = now
        self.previous = 504 if reply.timed_out else reply.status
        if reply.status is not None:
            self.responses += 1
            self.executions += reply.status < 500
        self.code, self.detail = _outcome(reply)

    def given_up(self, retry: backoff.Retry, now: int) -> bool:
        """Whether there is no further attempt."""
        return retry.spent(self.dispatches, now - (self.first_us or now))

    def retry_at(self, moment: int) -> None:
        """It waits again, for that moment."""
        self.schedule_us = moment


def retry_of(spec: Any, fallback: backoff.Retry) -> backoff.Retry:
    """A task's retry configuration: its own settings over the queue's."""
    return backoff.read(spec.retry_config, fallback) if spec.HasField("retry_config") else fallback


def message(task: Task, queue_name: str, view: int) -> Any:
    """The Task message as a method answers it: BASIC (the default) has no body."""
    shown = m.Task.FromString(task.spec)
    shown.name = f"{queue_name}/tasks/{task.name}"
    shown.view = m.View.FULL if view == m.View.FULL else m.View.BASIC
    if shown.view == m.View.BASIC:
        shown.http_request.ClearField("body")
    moments.put(shown.create_time, task.create_us // moments.SECOND * moments.SECOND)
    moments.put(shown.schedule_time, task.schedule_us)
    shown.dispatch_count = task.dispatches
    shown.response_count = task.responses
    if task.first_us is not None:
        moments.put(shown.first_attempt.dispatch_time, task.first_us)
        _last_attempt(shown.last_attempt, task)
    return shown


def _last_attempt(shown: Any, task: Task) -> None:
    if task.attempt_eta_us is not None and task.attempt_us is not None:
        moments.put(shown.schedule_time, task.attempt_eta_us)
        moments.put(shown.dispatch_time, task.attempt_us)
    if task.answer_us is not None:
        moments.put(shown.response_time, task.answer_us)
        shown.response_status.code = task.code
        shown.response_status.message = task.detail


def _outcome(reply: Reply) -> tuple[int, str]:
    if reply.timed_out:
        return code_pb2.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED(4): no response by the deadline"
    if reply.status is None:
        return code_pb2.UNAVAILABLE, "UNAVAILABLE(14): no response"
    default = code_pb2.INTERNAL if reply.status >= 500 else code_pb2.UNKNOWN
    code = _CODES.get(reply.status, default)
    return code, f"{code_pb2.Code.Name(code)}({code}): HTTP status code {reply.status}"
