"""`gcloud scheduler jobs …`, HTTP jobs."""

import base64
import sys
from typing import Any

from local.gcloud.command import Call, Field, command, duration, pairs, put

FIELDS: dict[str, Field] = {
    "--schedule": ("schedule", str),
    "--time-zone": ("timeZone", str),
    "--description": ("description", str),
    "--uri": ("httpTarget.uri", str),
    "--http-method": ("httpTarget.httpMethod", str.upper),
    "--message-body": ("httpTarget.body", lambda text: base64.b64encode(text.encode()).decode()),
    "--oidc-service-account-email": ("httpTarget.oidcToken.serviceAccountEmail", str),
    "--oidc-token-audience": ("httpTarget.oidcToken.audience", str),
    "--attempt-deadline": ("attemptDeadline", duration),
    "--max-retry-attempts": ("retryConfig.retryCount", int),
    "--max-retry-duration": ("retryConfig.maxRetryDuration", duration),
    "--min-backoff": ("retryConfig.minBackoffDuration", duration),
    "--max-backoff": ("retryConfig.maxBackoffDuration", duration),
    "--max-doublings": ("retryConfig.maxDoublings", int),
}


def path_of(call: Call) -> str:
    """The path of the job that is named."""
    return f"/v1/{call.parent()}/jobs/{call.id}"


@command("scheduler jobs create http", "--location", "--headers", *FIELDS)
def create(call: Call) -> Any:
    """Make a job."""
    body, _ = call.body(FIELDS)
    body["name"] = path_of(call).removeprefix("/v1/")
    if call.given("--headers"):
        put(body, "httpTarget.headers", pairs(call.flag("--headers")))
    return call.cloud.post(f"/v1/{call.parent()}/jobs", body)


@command("scheduler jobs update http", "--location", "--update-headers", *FIELDS)
def update(call: Call) -> Any:
    """Change what the flags name, nothing else."""
    body, mask = call.body(FIELDS)
    if call.given("--update-headers"):
        old = call.cloud.get(path_of(call)).get("httpTarget", {}).get("headers", {})
        put(body, "httpTarget.headers", {**old, **pairs(call.flag("--update-headers"))})
        mask.append("httpTarget.headers")
    return call.cloud.patch(path_of(call), body, updateMask=",".join(mask))


@command("scheduler jobs describe", "--location")
def describe(call: Call) -> Any:
    """Return a job."""
    return call.cloud.get(path_of(call))


@command("scheduler jobs list", "--location")
def list_jobs(call: Call) -> Any:
    """All jobs of the location."""
    return list(call.cloud.each(f"/v1/{call.parent()}/jobs", "jobs"))


@command("scheduler jobs run", "--location")
def run(call: Call) -> None:
    """Fire a job now."""
    call.cloud.post(f"{path_of(call)}:run")


@command("scheduler jobs pause", "--location")
def pause(call: Call) -> None:
    """Stop the ticks of a job until it is resumed."""
    call.cloud.post(f"{path_of(call)}:pause")
    print("Job has been paused.", file=sys.stderr)


@command("scheduler jobs resume", "--location")
def resume(call: Call) -> None:
    """Begin the ticks of a paused job again."""
    call.cloud.post(f"{path_of(call)}:resume")
    print("Job has been resumed.", file=sys.stderr)


@command("scheduler jobs delete", "--location")
def delete(call: Call) -> None:
    """Delete a job."""
    call.cloud.delete(path_of(call))
    print("Deleted job.", file=sys.stderr)
