"""The refusals that every service gives, by their gRPC code; each function returns a `Status`.

Where a platform's own wording was recorded, the service keeps it beside its other rules.
"""

from typing import Any

import grpc

from local.kernel.status import Status


def invalid(message: str, *details: Any) -> Status:
    """Return INVALID_ARGUMENT: the request can never succeed as it is."""
    return Status(grpc.StatusCode.INVALID_ARGUMENT, message, *details)


def not_found(message: str) -> Status:
    """Return NOT_FOUND: what the request names does not exist."""
    return Status(grpc.StatusCode.NOT_FOUND, message)


def already_exists(message: str) -> Status:
    """Return ALREADY_EXISTS: the name to be created is taken."""
    return Status(grpc.StatusCode.ALREADY_EXISTS, message)


def failed_precondition(message: str) -> Status:
    """Return FAILED_PRECONDITION: the request does not fit the state of what it names."""
    return Status(grpc.StatusCode.FAILED_PRECONDITION, message)


def unimplemented(message: str) -> Status:
    """Return UNIMPLEMENTED: the platform has it, the local cloud does not."""
    return Status(grpc.StatusCode.UNIMPLEMENTED, message)
