"""What a service answers when it does not do what was asked."""

from typing import Any

import grpc
from google.rpc import status_pb2


class Status(Exception):
    """An error as gRPC carries it: code, text, and protobuf details."""

    def __init__(self, code: grpc.StatusCode, message: str, *details: Any) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.details = details

    def proto(self) -> status_pb2.Status:
        """Return the error as a `google.rpc.Status` message."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            status.details.add().Pack(detail)
        return status
