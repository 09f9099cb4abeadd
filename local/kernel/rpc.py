"""Services as tables of methods, and how they are served over gRPC.

A service is a plain object with `name` and `methods()`. A method is an async function from request
message to response message (for a stream: an async iterator of responses); it raises `Status` for
what the platform would answer. Sockets stay here; a service is testable without one.
"""

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from grpc_status import rpc_status

from local.kernel.faults import Faults
from local.kernel.status import Status


@dataclass(frozen=True, kw_only=True)
class Method:
    """One RPC. `request` and `response` are raw protobuf classes (proto-plus: `Type.pb()`)."""

    call: Callable[[Any], Awaitable[Any]] | Callable[[Any], AsyncIterator[Any]]
    request: Any
    response: Any
    server_stream: bool = False
    is_never_empty: bool = False
    """Of a server_stream: it has one response at least, or ends with an error."""
    client_stream: bool = False
    """With client_stream, `call` takes an async iterator of requests."""
    subject: Callable[[Any], str] = lambda request: ""
    """The business id a fault is decided by: a document name, a task name."""


class Service(Protocol):
    """A gRPC service: its name and its methods."""

    name: str
    """The full gRPC service name, for instance `google.firestore.v1.Firestore`."""

    def methods(self) -> Mapping[str, Method]:
        """Return the methods by RPC name."""


def serve(server: grpc.aio.Server, service: Service, faults: Faults, *, caller: str = "") -> None:
    """Add a service to a gRPC server.

    `caller` names who uses this server: every function process has a port of its own, so that a
    fault can be aimed at one function.
    """
    handlers = {
        name: _handler(service.name, name, method, faults, caller)
        for name, method in service.methods().items()
    }
    generic = grpc.method_handlers_generic_handler(service.name, handlers)
    server.add_generic_rpc_handlers((generic,))


class Unserved(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Refuses by name what nobody serves; to be added after everything that is served."""

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of a call that nobody serves."""
        method = handler_call_details.method.removeprefix("/")

        async def refuse(requests: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
            text = f"{method} is not served by the local cloud."
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)
            yield b""

        return grpc.stream_stream_rpc_method_handler(refuse)


def _handler(service: str, name: str, method: Method, faults: Faults, caller: str) -> Any:
    def subject(request: Any) -> str:
        return "" if method.client_stream else method.subject(request)

    @contextlib.asynccontextmanager
    async def answering(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[None]:
        try:
            fault = await faults.call(service, name, lambda: subject(request), caller)
            is_answered = True
            try:
                yield
            except (GeneratorExit, asyncio.CancelledError):  # the caller has hung up, or was killed
                is_answered = False
                raise
            finally:
                fault.after(is_answered=is_answered)
        except Exception as error:
            await _abort(context, error)

    async def unary(request: Any, context: grpc.aio.ServicerContext) -> Any:
        async with answering(request, context):
            return await method.call(request)  # type: ignore[misc]

    async def stream(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        async with answering(request, context):
            async for response in method.call(request):  # type: ignore[union-attr]
                yield response

    async def to_the_last(request: Any, context: grpc.aio.ServicerContext) -> Any:
        last = None
        async with answering(request, context):
            async for response in method.call(request):  # type: ignore[union-attr]
                if last is not None:
                    await context.write(last)
                last = response.SerializeToString()
        return last

    read, written = method.request.FromString, method.response.SerializeToString
    if method.client_stream:
        return grpc.stream_stream_rpc_method_handler(stream, read, written)
    if method.is_never_empty:
        # Over the wire, one response is a stream of one. What is returned goes out together with
        # the end of the call, which alone costs a third of all that the call does.
        return grpc.unary_unary_rpc_method_handler(to_the_last, read, None)
    if method.server_stream:
        return grpc.unary_stream_rpc_method_handler(stream, read, written)
    return grpc.unary_unary_rpc_method_handler(unary, read, written)


async def _abort(context: grpc.aio.ServicerContext, error: Exception) -> None:
    if isinstance(error, Status):
        if error.details:
            await context.abort_with_status(rpc_status.to_status(error.proto()))
        await context.abort(error.code, error.message)
    if isinstance(error, grpc.aio.AbortError | asyncio.CancelledError):
        raise error
    traceback.print_exception(error)
    await context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
