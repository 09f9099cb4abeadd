"""One port, two protocols: gRPC and plain HTTP, told apart by the first bytes of a connection.

"PRI * HTTP/2.0 …"   gRPC, handed on byte by byte to the gRPC server, which has a port of its own
anything else        HTTP, served here, as if it had come to the HTTP port
"""

import asyncio
from asyncio import Protocol, Transport
from collections.abc import Callable
from typing import Any

from local.kernel.ports import HOST

PREFACE = b"PRI"
"""What an HTTP/2 connection begins with, and no HTTP/1 request."""


async def open_front(port: int, grpc_port: int, http: Callable[[], Any]) -> asyncio.Server:
    """Listen on `port`; `http` makes the protocol of a connection that speaks HTTP/1.

    Raises OSError if the port is taken.
    """
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Undecided(grpc_port, http), HOST, port)


class _Undecided(Protocol):
    """A connection of which too little has come to know what it speaks."""

    def __init__(self, grpc_port: int, http: Callable[[], Any]) -> None:
        self._grpc_port = grpc_port
        self._http = http
        self._seen = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if self._seen.startswith(PREFACE):
            relay = _Relay(self._grpc_port, self._transport, self._seen)
            self._transport.set_protocol(relay)
        elif not PREFACE.startswith(self._seen):
            served = self._http()
            self._transport.set_protocol(served)
            served.connection_made(self._transport)
            served.data_received(self._seen)


class _Relay(Protocol):
    """One side of a connection that is handed on: what comes here is written there."""

    def __init__(self, grpc_port: int, client: Transport, first: bytes) -> None:
        self._waiting: list[bytes] = [first]
        self._client = client
        self._there: Transport | None = None
        self._is_lost = False
        self._connecting = asyncio.get_running_loop().create_task(self._connect(grpc_port))

    async def _connect(self, grpc_port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            there, _ = await loop.create_connection(lambda: _Back(self._client), HOST, grpc_port)
        except OSError:
            self._client.abort()
            return
        if self._is_lost:
            there.abort()
            return
        self._there = there
        for data in self._waiting:
            there.write(data)
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        if self._there:
            self._there.write(data)
        else:
            self._waiting.append(data)

    def pause_writing(self) -> None:
        if self._there:
            self._there.pause_reading()

    def resume_writing(self) -> None:
        if self._there:
            self._there.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_lost = True
        if self._there:
            self._there.close()


class _Back(Protocol):
    """The other side: what the gRPC server says is written to the client."""

    def __init__(self, client: Transport) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def pause_writing(self) -> None:
        self._client.pause_reading()

    def resume_writing(self) -> None:
        self._client.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._client.close()
