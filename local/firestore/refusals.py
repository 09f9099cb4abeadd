"""What this server refuses a request with, by gRPC code."""

import grpc

from local.status import Status


def invalid(message: str) -> Status:
    """INVALID_ARGUMENT."""
    return Status(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> Status:
    """NOT_FOUND."""
    return Status(grpc.StatusCode.NOT_FOUND, message)


def already_exists(message: str) -> Status:
    """ALREADY_EXISTS."""
    return Status(grpc.StatusCode.ALREADY_EXISTS, message)


def failed_precondition(message: str) -> Status:
    """FAILED_PRECONDITION."""
    return Status(grpc.StatusCode.FAILED_PRECONDITION, message)


def contention() -> Status:
    """ABORTED, as the platform words it."""
    message = "Too much contention on these documents. Please try again."
    return Status(grpc.StatusCode.ABORTED, message)
