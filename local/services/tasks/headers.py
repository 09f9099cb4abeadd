"""Headers of a task: what is kept of the caller's, and what the platform adds to an attempt.

Nothing the caller sets can pass for the platform's: the service headers are dropped when the task
is stored, whatever their case.
"""

import email.utils
from collections.abc import Mapping

from local.kernel import moments

AGENT = "Google-Cloud-Tasks"

_REPLACED = {"host", "content-length", "user-agent"}
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
_RESERVED = ("x-google-", "x-appengine-", "x-cloudtasks-")

LONGEST_HOLD = moments.HOUR
"""A Retry-After is believed up to here, in microseconds."""


def stored(given: Mapping[str, str]) -> dict[str, str]:
    """The headers a task is stored with; the case of the names is kept."""
    kept = {name: value for name, value in given.items() if _is_callers(name.lower())}
    return {**kept, "User-Agent": AGENT}


def size(given: Mapping[str, str]) -> int:
    """How many bytes the caller's headers take."""
    return sum(len(name.encode()) + len(value.encode()) for name, value in given.items())


def sent(
    kept: Mapping[str, str],
    *,
    queue: str,
    task: str,
    eta: int,
    retries: int,
    executions: int,
    previous: int | None,
    authorization: str,
) -> dict[str, str]:
    """The headers of one attempt.

    `eta` in microseconds; `previous`: the status of the attempt before, None if it had none.
    """
    headers = {name: value for name, value in kept.items() if name.lower() not in _HOP_BY_HOP}
    if authorization:
        headers = {n: v for n, v in headers.items() if n.lower() != "authorization"}
        headers["Authorization"] = authorization
    headers["X-CloudTasks-QueueName"] = queue
    headers["X-CloudTasks-TaskName"] = task
    headers["X-CloudTasks-TaskRetryCount"] = str(retries)
    headers["X-CloudTasks-TaskExecutionCount"] = str(executions)
    headers["X-CloudTasks-TaskETA"] = f"{eta // moments.SECOND}.{eta % moments.SECOND:06}"
    if retries:
        headers["X-CloudTasks-TaskRetryReason"] = ""
        if previous is not None:
            headers["X-CloudTasks-TaskPreviousResponse"] = str(previous)
    return headers


def retry_after(answered: Mapping[str, str], now: int) -> int:
    """Microseconds a Retry-After asks to wait, as seconds or as a date; 0 if it asks nothing."""
    text = next((v for n, v in answered.items() if n.lower() == "retry-after"), "").strip()
    return min(max(_wait(text, now), 0), LONGEST_HOLD)


def _wait(text: str, now: int) -> int:
    if text.isascii() and text.isdigit():
        return int(text[:12]) * moments.SECOND
    try:
        return moments.micros(email.utils.parsedate_to_datetime(text)) - now
    except (TypeError, ValueError):
        return 0


def _is_callers(name: str) -> bool:
    return name not in _REPLACED and not name.startswith(_RESERVED)
