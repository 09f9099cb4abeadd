"""A gRPC server that answers as a test says, on a port of its own."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

Answer = Any
"""A message, a list of messages (a stream, which may end in a StatusCode), or a StatusCode; or a
function that makes one of these from the call."""


@dataclass
class Call:
    """One call, as the server received it."""

    method: str
    request: bytes
    metadata: dict[str, str]
    seconds: float
    """How long the caller would wait."""

    def read(self, kind: Any) -> Any:
        """The request, as a plain message of that class (of the client's types)."""
        return kind.pb().FromString(self.request)


@dataclass
class Scripted(grpc.GenericRpcHandler):  # type: ignore[misc]
    """What the server was asked, and what it answers next."""

    channel: grpc.Channel = None
    calls: list[Call] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    """To the next calls; the last one stays."""
    during: Callable[[], None] = lambda: None
    """Done before each answer."""

    def service(self, handler_call_details: Any) -> Any:
        def answer(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            metadata = {it.key: it.value for it in context.invocation_metadata()}
            method = handler_call_details.method.rpartition("/")[2]
            call = Call(method, request, metadata, context.time_remaining())
            self.calls.append(call)
            self.during()
            chosen = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
            chosen = chosen(call) if callable(chosen) else chosen
            for each in chosen if isinstance(chosen, list) else [chosen]:
                if isinstance(each, grpc.StatusCode):
                    context.abort(each, "as the test says")
                yield each.SerializeToString()

        # A stream of one answer is, on the wire, one answer.
        return grpc.unary_stream_rpc_method_handler(answer)


@contextmanager
def scripted() -> Iterator[Scripted]:
    """A running server, and a channel to it."""
    handler = Scripted()
    server = grpc.server(ThreadPoolExecutor(max_workers=8), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        handler.channel = channel
        yield handler
    server.stop(None).wait()
