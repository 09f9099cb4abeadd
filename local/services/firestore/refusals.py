"""The refusal that Firestore words itself."""

import grpc

from local.kernel.status import Status


def contention() -> Status:
    """Return ABORTED, as the platform words it: another transaction holds the documents."""
    message = "Too much contention on these documents. Please try again."
    return Status(grpc.StatusCode.ABORTED, message)
