"""A service somewhere else, for instance one of Google's emulators, used instead of ours."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import grpc

from local.kernel.rpc import Method, Service
from local.kernel.status import Status

NAMES = {"firestore": "Firestore", "pubsub": "Pub/Sub", "tasks": "Cloud Tasks"}
"""What can be foreign, by option, and its name in a sentence."""
VARIABLES = {
    "firestore": "FIRESTORE_EMULATOR_HOST",
    "pubsub": "PUBSUB_EMULATOR_HOST",
    "tasks": "CLOUD_TASKS_EMULATOR_HOST",
}
"""The environment variable by which a client finds each of these services."""
METADATA = (("authorization", "Bearer owner"),)
"""What the client libraries send to an emulator."""


class Foreign:
    """Forwards the methods of one of our services to a server of the same protocol."""

    def __init__(self, service: Service, channel: grpc.aio.Channel) -> None:
        self.name = service.name
        self._service = service
        self._channel = channel

    def methods(self) -> Mapping[str, Method]:
        """Return the same table of methods, each answered by the foreign server."""
        return {name: self._forwarded(name, m) for name, m in self._service.methods().items()}

    def _forwarded(self, name: str, method: Method) -> Method:
        open_call = (
            self._channel.unary_stream if method.server_stream else self._channel.unary_unary
        )
        remote = open_call(
            f"/{self.name}/{name}",
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )

        async def unary(request: Any) -> Any:
            try:
                return await remote(request, metadata=METADATA)
            except grpc.aio.AioRpcError as error:
                raise _status(error) from error

        async def stream(request: Any) -> AsyncIterator[Any]:
            try:
                async for response in remote(request, metadata=METADATA):
                    yield response
            except grpc.aio.AioRpcError as error:
                raise _status(error) from error

        if method.server_stream:
            return replace(method, call=stream, is_never_empty=False)  # who knows
        return replace(method, call=unary)


def _status(error: grpc.aio.AioRpcError) -> Status:
    return Status(error.code(), error.details() or "")
