"""Statuses as HTTP answers, in Google's shape."""

from typing import Any

from grpc import StatusCode

from local.kernel.status import Status

HTTP = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.ABORTED: 409,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.CANCELLED: 499,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}
"""HTTP codes by gRPC code; any other is a 500."""


def answer(status: Status) -> tuple[int, dict[str, Any]]:
    """Return the HTTP code and the JSON body that tell a Status."""
    code = HTTP.get(status.code, 500)
    return code, {"error": {"code": code, "message": status.message, "status": status.code.name}}
