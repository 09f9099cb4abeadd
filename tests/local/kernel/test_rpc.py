"""Streams of responses, on the wire."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import Int32Value

from local.kernel.faults import Faults, Plan
from local.kernel.refusals import not_found
from local.kernel.rpc import Method, serve

KINDS = ["Stream", "NeverEmpty"]
CALLER = "consumer"


class Counting:
    """Counts up to the number it is given; a negative one is refused when it is reached."""

    name = "test.Counting"

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.is_endless = False

    def methods(self) -> Mapping[str, Method]:
        return {
            kind: Method(
                call=self.count,
                request=Int32Value,
                response=Int32Value,
                server_stream=True,
                is_never_empty=kind == "NeverEmpty",
            )
            for kind in KINDS
        }

    async def count(self, request: Any) -> AsyncIterator[Any]:
        try:
            for number in range(1, abs(request.value) + 1):
                yield Int32Value(value=number)
            if request.value < 0:
                raise not_found("there is no such number")
            while self.is_endless:
                await asyncio.sleep(0.01)
        finally:
            self.ended.set()


@contextlib.asynccontextmanager
async def served(service: Counting, faults: Faults) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    serve(server, service, faults, caller=CALLER)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


def counted(kind: str, value: int, faults: Faults | None = None) -> tuple[list[int], Any]:
    """The numbers that come, and how the call ends."""

    async def run() -> tuple[list[int], Any]:
        async with served(Counting(), faults or Faults()) as channel:
            call = _called(channel, kind, value)
            found: list[int] = []
            with contextlib.suppress(grpc.aio.AioRpcError):
                async for response in call:
                    found.append(response.value)
            return found, (await call.code()).name

    return asyncio.run(asyncio.wait_for(run(), 10))


def _called(channel: grpc.aio.Channel, kind: str, value: int) -> Any:
    make = channel.unary_stream(
        f"/{Counting.name}/{kind}",
        request_serializer=Int32Value.SerializeToString,
        response_deserializer=Int32Value.FromString,
    )
    return make(Int32Value(value=value))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 300])
def test_all_responses_come_in_their_order(kind: str, count: int) -> None:
    assert counted(kind, count) == (list(range(1, count + 1)), "OK")


def test_a_stream_may_have_no_response() -> None:
    assert counted("Stream", 0) == ([], "OK")


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_told_with_its_code(kind: str) -> None:
    found, code = counted(kind, -3)
    assert code == "NOT_FOUND"
    assert found in ([1, 2, 3], [1, 2])


@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_that_is_lost_is_an_error_at_the_end(kind: str) -> None:
    assert counted(kind, 3, Faults(plan=Plan(lost_replies=1)))[1] == "UNAVAILABLE"


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_hangs_up_ends_the_call(kind: str) -> None:
    async def run() -> None:
        service = Counting()
        service.is_endless = True
        async with served(service, Faults()) as channel:
            call = _called(channel, kind, 2)
            assert (await call.read()).value == 1
            call.cancel()
            await service.ended.wait()

    asyncio.run(asyncio.wait_for(run(), 10))
