"""What everything is compared with: servers that do nothing, in a process of their own.

A gRPC server that answers any method with what it was sent, and an HTTP server that answers any
POST with 204 and counts. `python -m tests.bench.echo` prints their ports and serves until ended.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from aiohttp import web


@dataclass(frozen=True)
class Echo:
    """Its addresses."""

    grpc: str
    http: str

    def arrived(self) -> dict[str, float]:
        """`count` of the POSTs since this was asked last, `first` and `last` (seconds)."""
        with urllib.request.urlopen(f"{self.http}/arrived") as response:
            found: dict[str, float] = json.load(response)
        return found


@contextlib.contextmanager
def echoing() -> Iterator[Echo]:
    """The servers, until the end of the block."""
    command = [sys.executable, "-m", "tests.bench.echo"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        ports = process.stdout.readline().split()
        yield Echo(f"127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")
    finally:
        process.terminate()
        process.communicate()


class _Anything(grpc.GenericRpcHandler):  # type: ignore[misc]
    def service(self, handler_call_details: Any) -> Any:
        async def same(request: bytes, context: Any) -> bytes:
            return request

        return grpc.unary_unary_rpc_method_handler(same)


def _application() -> web.Application:
    times: list[float] = []

    async def post(request: web.Request) -> web.Response:
        await request.read()
        times.append(time.monotonic())
        return web.Response(status=204)

    async def arrived(request: web.Request) -> web.Response:
        found = {"count": len(times), "first": min(times, default=0), "last": max(times, default=0)}
        times.clear()
        return web.json_response(found)

    app = web.Application()
    app.router.add_get("/arrived", arrived)
    app.router.add_post("/{path:.*}", post)
    return app


async def _serve() -> None:
    server = grpc.aio.server(handlers=[_Anything()])
    grpc_port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    runner = web.AppRunner(_application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(grpc_port, runner.addresses[0][1], flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve())
