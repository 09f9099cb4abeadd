"""`gcloud scheduler jobs …`, HTTP jobs."""

import base64
from typing import Any

from local.gcloud.command import Call, Field, command, put, say
from local.gcloud.errors import UsageError
from local.gcloud.values import duration, pairs, url


class DurationError(UsageError):
    """A duration that gcloud reads late: it names neither command nor flag, and exits with 1."""

    code = 1
    command = "gcloud"


def late_duration(text: str) -> str:
    """Return a duration; raises DurationError."""
    try:
        return duration(text)
    except UsageError as error:
        sentence = str(error).removeprefix("Failed to parse duration: ")
        raise DurationError(f"{sentence}.") from error


FIELDS: dict[str, Field] = {
    "--schedule": ("schedule", str),
    "--time-zone": ("timeZone", str),
    "--description": ("description", str),
    "--uri": ("httpTarget.uri", url),
    "--http-method": ("httpTarget.httpMethod", str.upper),
    "--message-body": ("httpTarget.body", lambda text: base64.b64encode(text.encode()).decode()),
    "--oidc-service-account-email": ("httpTarget.oidcToken.serviceAccountEmail", str),
    "--oidc-token-audience": ("httpTarget.oidcToken.audience", str),
    "--attempt-deadline": ("attemptDeadline", late_duration),
    "--max-retry-attempts": ("retryConfig.retryCount", int),
    "--max-retry-duration": ("retryConfig.maxRetryDuration", late_duration),
    "--min-backoff": ("retryConfig.minBackoffDuration", late_duration),
    "--max-backoff": ("retryConfig.maxBackoffDuration", late_duration),
    "--max-doublings": ("retryConfig.maxDoublings", int),
}


def path_of(call: Call) -> str:
    """Return the path of the job that is named."""
    return f"/v1/{call.parent()}/jobs/{call.id}"


@command("scheduler jobs create http", "--location", "--headers", *FIELDS)
def create(call: Call) -> Any:
    """Make a job."""
    body, _ = call.body(FIELDS)
    body["name"] = path_of(call).removeprefix("/v1/")
    if call.given("--headers"):
        put(body, "httpTarget.headers", call.read("--headers", pairs))
    return call.cloud.post(f"/v1/{call.parent()}/jobs", body)


@command(
    *("scheduler jobs update http", "--location"),
    *("--update-headers", "--remove-headers", "--clear-headers"),
    *FIELDS,
)
def update(call: Call) -> Any:
    """Change what the flags name, nothing else: also of the headers."""
    body, mask = call.body(FIELDS)
    if any(call.given(f"--{verb}-headers") for verb in ("update", "remove", "clear")):
        put(body, "httpTarget.headers", _headers(call))
        mask.append("httpTarget.headers")
    return call.cloud.patch(path_of(call), body, updateMask=",".join(mask))


def _headers(call: Call) -> dict[str, str]:
    held = call.cloud.get(path_of(call)).get("httpTarget", {}).get("headers", {})
    removed = held if call.switch("--clear-headers") else call.flag("--remove-headers").split(",")
    kept = {name: value for name, value in held.items() if name not in removed}
    return {**kept, **call.read("--update-headers", pairs)}


@command("scheduler jobs describe", "--location")
def describe(call: Call) -> Any:
    """Return a job."""
    return call.cloud.get(path_of(call))


@command("scheduler jobs list", "--location", "--limit")
def list_jobs(call: Call) -> Any:
    """List all jobs of the location."""
    return call.limited(list(call.cloud.each(f"/v1/{call.parent()}/jobs", "jobs")))


@command("scheduler jobs run", "--location", is_quiet=True)
def run(call: Call) -> Any:
    """Fire it now."""
    call.cloud.post(f"{path_of(call)}:run")
    return []


@command("scheduler jobs pause", "--location", is_quiet=True)
def pause(call: Call) -> Any:
    """Let it fire no more until it is resumed."""
    call.cloud.post(f"{path_of(call)}:pause")
    say("Job has been paused.")
    return []


@command("scheduler jobs resume", "--location", is_quiet=True)
def resume(call: Call) -> Any:
    """Let it fire again."""
    call.cloud.post(f"{path_of(call)}:resume")
    say("Job has been resumed.")
    return []


@command("scheduler jobs delete", "--location", is_quiet=True)
def delete(call: Call) -> Any:
    """Remove it."""
    call.cloud.delete(path_of(call))
    say("Deleted job.")
    return []
