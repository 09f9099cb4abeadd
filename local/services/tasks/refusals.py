"""What Cloud Tasks answers when it refuses, word for word where it was recorded."""

from typing import Any

import grpc
from google.rpc import error_details_pb2 as details

from local.kernel.refusals import invalid
from local.kernel.status import Status

_REFERENCE = "https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues"


def not_found() -> Status:
    """No such task, operation, or queue to delete."""
    return Status(grpc.StatusCode.NOT_FOUND, "Requested entity was not found.")


def no_queue() -> Status:
    """The queue does not exist, or was deleted."""
    return Status(
        grpc.StatusCode.NOT_FOUND,
        "Queue does not exist. If you just created the queue, wait at least a minute for the "
        "queue to initialize.",
    )


def task_gone() -> Status:
    """The task existed a moment ago."""
    return Status(
        grpc.StatusCode.NOT_FOUND,
        "The task no longer exists, though a task with this name existed recently. The task "
        "either successfully completed or was deleted.",
    )


def queue_exists() -> Status:
    """CreateQueue of one that is there."""
    return Status(grpc.StatusCode.ALREADY_EXISTS, "Queue already exists")


def queue_too_recent() -> Status:
    """CreateQueue of a name deleted less than seven days ago."""
    return Status(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The queue cannot be created because a queue with this name existed too recently.",
    )


def task_exists() -> Status:
    """CreateTask with the name of a task that is there."""
    return Status(grpc.StatusCode.ALREADY_EXISTS, "Requested entity already exists")


def task_too_recent() -> Status:
    """CreateTask with the name of a task that was executed or deleted recently."""
    return Status(
        grpc.StatusCode.ALREADY_EXISTS,
        "The task cannot be created because a task with this name existed too recently.",
    )


def queue_name() -> Status:
    """Not the name of a queue."""
    return invalid(
        'Queue name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/'
        '<QUEUE_ID>".',
        _help("Definition of queue name", f"{_REFERENCE}#Queue.FIELDS.name"),
    )


def task_name() -> Status:
    """Not the name of a task."""
    return invalid(
        'Task name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/'
        '<QUEUE_ID>/tasks/<TASK_ID>"',
        _help("Definition of task name", f"{_REFERENCE}.tasks#Task.FIELDS.name"),
    )


def task_id(text: str) -> Status:
    """A task name whose last part is not allowed."""
    return invalid(
        f'Task ID "{text}" can contain only letters ([A-Za-z]), numbers ([0-9]), hyphens (-), or '
        "underscores (_). Task ID must between 1 and 500 characters.",
        _help("Definition of task ID", f"{_REFERENCE}.tasks#Task.FIELDS.name"),
    )


def bad_parent(parent: str) -> Status:
    """A parent that is not the name of a project or of a location, or is empty."""
    return invalid(f"Invalid resource field value in the request: {parent!r}.")


def not_served(what: str) -> Status:
    """Something the local cloud does not have."""
    return Status(grpc.StatusCode.UNIMPLEMENTED, f"{what} is not served by the local cloud.")


def _help(description: str, url: str) -> Any:
    return details.Help(links=[details.Help.Link(description=description, url=url)])
