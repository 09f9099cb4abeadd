"""Resource names of Cloud Tasks: `projects/P/locations/L/queues/Q/tasks/T`."""

import re
import secrets

from local.services.tasks import refusals

_PROJECT = re.compile(r"projects/[A-Za-z0-9:.-]+")
_LOCATION = re.compile(_PROJECT.pattern + r"/locations/[A-Za-z0-9-]+")
_QUEUE = re.compile(_LOCATION.pattern + r"/queues/[A-Za-z0-9-]{1,100}")
_TASK = re.compile(r"(projects/[^/]+/locations/[^/]+/queues/[^/]+)/tasks/(.*)", re.DOTALL)
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,500}")


def location(text: str) -> str:
    """The name of a location, checked."""
    if not _LOCATION.fullmatch(text):
        raise refusals.bad_parent(text)
    return text


def project(text: str) -> str:
    """The name of a project, checked."""
    if not _PROJECT.fullmatch(text):
        raise refusals.bad_parent(text)
    return text


def queue(text: str) -> str:
    """The name of a queue, checked."""
    if not _QUEUE.fullmatch(text):
        raise refusals.queue_name()
    return text


def task(text: str) -> tuple[str, str]:
    """The queue's name and the task's id of a task name, checked."""
    match = _TASK.fullmatch(text)
    if match is None:
        raise refusals.task_name()
    if not _TASK_ID.fullmatch(match[2]):
        raise refusals.task_id(match[2])
    return queue(match[1]), match[2]


def location_of(queue_name: str) -> str:
    """The location a queue is in."""
    return queue_name.partition("/queues/")[0]


def short(name: str) -> str:
    """The last part of a name."""
    return name.rpartition("/")[2]


def invented() -> str:
    """An id for a task that was given none: digits, unique, in no order."""
    return str(10**18 + secrets.randbelow(9 * 10**18))
