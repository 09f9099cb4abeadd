"""`gcloud tasks …`: queues, and the tasks in them."""

import base64
from typing import Any

from local.gcloud import policies
from local.gcloud.command import Call, Field, command, say
from local.gcloud.values import attempts

FIELDS: dict[str, Field] = {
    "--max-dispatches-per-second": ("rateLimits.maxDispatchesPerSecond", float),
    "--max-concurrent-dispatches": ("rateLimits.maxConcurrentDispatches", int),
    "--max-attempts": ("retryConfig.maxAttempts", attempts),
    "--max-retry-duration": ("retryConfig.maxRetryDuration", str),
    "--min-backoff": ("retryConfig.minBackoff", str),
    "--max-backoff": ("retryConfig.maxBackoff", str),
    "--max-doublings": ("retryConfig.maxDoublings", int),
    "--log-sampling-ratio": ("stackdriverLoggingConfig.samplingRatio", float),
}


CLEARED = {flag.replace("--", "--clear-", 1): path for flag, (path, _) in FIELDS.items()}
"""The flags of an update that bring back the platform's own value."""
TASK: dict[str, Field] = {
    "--url": ("httpRequest.url", str),
    "--method": ("httpRequest.httpMethod", str.upper),
    "--header": ("httpRequest.headers", lambda text: _header(text)),
    "--body-content": (
        "httpRequest.body",
        lambda text: base64.b64encode(text.encode()).decode(),
    ),
    "--oidc-service-account-email": ("httpRequest.oidcToken.serviceAccountEmail", str),
    "--oidc-token-audience": ("httpRequest.oidcToken.audience", str),
    "--schedule-time": ("scheduleTime", str),
}


def queue_of(call: Call) -> str:
    """Return the full name of the queue that is named."""
    return f"{call.parent()}/queues/{call.id}"


@command("tasks queues create", "--location", *FIELDS, is_quiet=True)
def create(call: Call) -> Any:
    """Make a queue."""
    body, _ = call.body(FIELDS)
    body["name"] = queue_of(call)
    made = call.cloud.post(f"/v2/{call.parent()}/queues", body)
    _say(call, "Created")
    return made


@command("tasks queues update", "--location", *FIELDS, *CLEARED, is_quiet=True)
def update(call: Call) -> Any:
    """Change what the flags name, nothing else."""
    body, mask = call.body(FIELDS)
    mask += [path for flag, path in CLEARED.items() if call.switch(flag)]
    changed = call.cloud.patch(f"/v2/{queue_of(call)}", body, updateMask=",".join(mask))
    _say(call, "Updated")
    return changed


@command("tasks queues describe", "--location")
def describe(call: Call) -> Any:
    """Return a queue."""
    return call.cloud.get(f"/v2/{queue_of(call)}")


@command("tasks queues list", "--location", "--limit")
def list_queues(call: Call) -> Any:
    """All queues of the location."""
    return call.limited(list(call.cloud.each(f"/v2/{call.parent()}/queues", "queues")))


@command("tasks queues delete", "--location", is_quiet=True)
def delete(call: Call) -> Any:
    """Remove a queue and its tasks; its name is refused for days."""
    call.cloud.delete(f"/v2/{queue_of(call)}")
    _say(call, "Deleted")
    return []


@command("tasks queues pause", "--location", is_quiet=True)
def pause(call: Call) -> Any:
    """Dispatch no task of a queue until it is resumed."""
    call.cloud.post(f"/v2/{queue_of(call)}:pause")
    _say(call, "Paused")
    return []


@command("tasks queues resume", "--location", is_quiet=True)
def resume(call: Call) -> Any:
    """Begin to dispatch the tasks of a paused queue again."""
    call.cloud.post(f"/v2/{queue_of(call)}:resume")
    _say(call, "Resumed")
    return []


@command("tasks queues purge", "--location", is_quiet=True)
def purge(call: Call) -> Any:
    """Remove every task."""
    call.cloud.post(f"/v2/{queue_of(call)}:purge")
    _say(call, "Purged")
    return []


@command("tasks list", "--location", "--queue", "--limit")
def list_tasks(call: Call) -> Any:
    """List the tasks in a queue."""
    return call.limited(list(call.cloud.each(f"/v2/{_queue(call)}/tasks", "tasks")))


@command("tasks create-http-task", "--location", "--queue", *TASK, is_quiet=True)
def create_task(call: Call) -> Any:
    """Make a task that calls an address."""
    body, _ = call.body(TASK)
    if call.arguments:
        body["name"] = f"{_queue(call)}/tasks/{call.id}"
    made = call.cloud.post(f"/v2/{_queue(call)}/tasks", {"task": body})
    say(f"Created task [{made['name']}].")
    return made


@command("tasks describe", "--location", "--queue")
def describe_task(call: Call) -> Any:
    """Describe one task."""
    return call.cloud.get(f"/v2/{_queue(call)}/tasks/{call.id}")


@command("tasks run", "--location", "--queue")
def run_task(call: Call) -> Any:
    """Dispatch a task now."""
    return call.cloud.post(f"/v2/{_queue(call)}/tasks/{call.id}:run")


@command("tasks delete", "--location", "--queue", is_quiet=True)
def delete_task(call: Call) -> Any:
    """Remove a task."""
    call.cloud.delete(f"/v2/{_queue(call)}/tasks/{call.id}")
    say(f"Deleted task [{call.id}].")
    return []


def _queue(call: Call) -> str:
    return f"{call.parent()}/queues/{call.flag('--queue')}"


def _header(text: str) -> dict[str, str]:
    """`Name: value`, as curl has it."""
    name, _, value = text.partition(":")
    return {name.strip(): value.strip()}


def _say(call: Call, done: str) -> None:
    say(f"{done} queue [{call.flag('--location')}/{call.id}].")


policies.commands("tasks queues", lambda call: f"/v2/{queue_of(call)}", "--location")
