"""One attempt at a job: the request it makes, and the status its answer stands for."""

from datetime import datetime

import grpc

from local.kernel.delivery import Reply, Request
from local.kernel.identity import Tokens
from local.services.scheduler import job as jobs
from local.services.scheduler.cron import checked
from local.services.scheduler.durations import rfc3339, seconds

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ABORTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


def request(job: jobs.JSON, scheduled: datetime, attempt: int, tokens: Tokens) -> Request:
    """The request for the tick of that time; `attempt` is 1 for the first."""
    target = job["httpTarget"]
    zone = checked(job["schedule"], job["timeZone"]).zone
    reserved = {
        "X-CloudScheduler": "true",
        "X-CloudScheduler-JobName": job["name"].rsplit("/", 1)[-1],
        "X-CloudScheduler-ScheduleTime": rfc3339(scheduled, zone),
    }
    oidc = target.get("oidcToken", {})
    if oidc.get("serviceAccountEmail"):
        audience = oidc.get("audience") or target["uri"]
        token = tokens.token(oidc["serviceAccountEmail"], audience)
        reserved["Authorization"] = f"Bearer {token}"
    own = {key.lower() for key in reserved}
    given = {k: v for k, v in target["headers"].items() if k.lower() not in own}
    return Request(
        service="scheduler",
        subject=f"{job['name']} {rfc3339(scheduled)}",
        attempt=attempt,
        url=target["uri"],
        method=target["httpMethod"],
        headers={**given, **reserved},
        body=jobs.body(job),
        timeout=seconds(job["attemptDeadline"], "attemptDeadline"),
        follow_redirects=True,
    )


def status(reply: Reply) -> jobs.JSON:
    """What a job's `status` says of an answer: empty for a success."""
    if reply.ok:
        return {}
    if reply.timed_out:
        code = grpc.StatusCode.DEADLINE_EXCEEDED
    elif reply.status is None:
        code = grpc.StatusCode.UNAVAILABLE
    else:
        code = _CODES.get(reply.status, grpc.StatusCode.UNKNOWN)
    return {"code": code.value[0]}
