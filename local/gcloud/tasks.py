"""`gcloud tasks …`: queues, and the tasks in them."""

import sys
from typing import Any

from local.gcloud.command import Call, Field, command

FIELDS: dict[str, Field] = {
    "--max-dispatches-per-second": ("rateLimits.maxDispatchesPerSecond", float),
    "--max-concurrent-dispatches": ("rateLimits.maxConcurrentDispatches", int),
    "--max-attempts": ("retryConfig.maxAttempts", int),
    "--max-retry-duration": ("retryConfig.maxRetryDuration", str),
    "--min-backoff": ("retryConfig.minBackoff", str),
    "--max-backoff": ("retryConfig.maxBackoff", str),
    "--max-doublings": ("retryConfig.maxDoublings", int),
    "--log-sampling-ratio": ("stackdriverLoggingConfig.samplingRatio", float),
}


def queue_of(call: Call) -> str:
    """The full name of the queue that is named."""
    return f"{call.parent()}/queues/{call.id}"


@command("tasks queues create", "--location", *FIELDS)
def create(call: Call) -> None:
    """Make a queue."""
    body, _ = call.body(FIELDS)
    call.cloud.post(f"/v2/{call.parent()}/queues", {**body, "name": queue_of(call)})
    _say(call, "Created")


@command("tasks queues update", "--location", *FIELDS)
def update(call: Call) -> None:
    """Change what the flags name, nothing else."""
    body, mask = call.body(FIELDS)
    call.cloud.patch(f"/v2/{queue_of(call)}", body, updateMask=",".join(mask))
    _say(call, "Updated")


@command("tasks queues describe", "--location")
def describe(call: Call) -> Any:
    """Return a queue."""
    return call.cloud.get(f"/v2/{queue_of(call)}")


@command("tasks queues list", "--location")
def list_queues(call: Call) -> Any:
    """All queues of the location."""
    return list(call.cloud.each(f"/v2/{call.parent()}/queues", "queues"))


@command("tasks queues delete", "--location")
def delete(call: Call) -> None:
    """Remove a queue and its tasks; its name is refused for days."""
    call.cloud.delete(f"/v2/{queue_of(call)}")
    _say(call, "Deleted")


@command("tasks queues pause", "--location")
def pause(call: Call) -> None:
    """Dispatch no task of a queue until it is resumed."""
    call.cloud.post(f"/v2/{queue_of(call)}:pause")
    _say(call, "Paused")


@command("tasks queues resume", "--location")
def resume(call: Call) -> None:
    """Begin to dispatch the tasks of a paused queue again."""
    call.cloud.post(f"/v2/{queue_of(call)}:resume")
    _say(call, "Resumed")


@command("tasks queues purge", "--location")
def purge(call: Call) -> None:
    """Remove every task."""
    call.cloud.post(f"/v2/{queue_of(call)}:purge")
    _say(call, "Purged")


@command("tasks list", "--location", "--queue")
def list_tasks(call: Call) -> Any:
    """The tasks in a queue."""
    return list(
        call.cloud.each(f"/v2/{call.parent()}/queues/{call.flag('--queue')}/tasks", "tasks")
    )


def _say(call: Call, done: str) -> None:
    print(f"{done} queue [{call.flag('--location')}/{call.id}].", file=sys.stderr)
