"""The services on gRPC ports: one for everybody, and one of its own for every function."""

from collections.abc import Sequence

import grpc

from local.kernel import rpc
from local.kernel.faults import Faults
from local.kernel.ports import HOST, is_free
from local.kernel.rpc import Service

OPTIONS = (
    ("grpc.so_reuseport", 0),  # a port that is taken is an error, not shared
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.http2.max_ping_strikes", 0),  # clients may keep idle connections alive
)


class GrpcServers:
    """All gRPC servers of the cloud: `open` starts one, `close` ends all."""

    def __init__(self, services: Sequence[Service], faults: Faults) -> None:
        self._services = services
        self._faults = faults
        self._servers: list[grpc.aio.Server] = []
        self._ports: dict[str, int] = {}

    async def open(self, caller: str = "", port: int = 0) -> int:
        """Start a server for `caller` (a function's id; empty: everybody) and return its port.

        `port` 0 is any free one. A caller that has a port keeps it. Raises OSError if it is taken.
        """
        if caller in self._ports:
            return self._ports[caller]
        if port and not is_free(port):  # asked first, because gRPC prints an error of its own
            raise OSError(f"port {port} is taken")
        server = grpc.aio.server(options=OPTIONS)
        for service in self._services:
            rpc.serve(server, service, self._faults, caller=caller)
        server.add_generic_rpc_handlers((rpc.Unserved(),))
        try:
            bound = int(server.add_insecure_port(f"{HOST}:{port}"))
        except RuntimeError as error:
            raise OSError(f"port {port} is taken") from error
        await server.start()
        self._servers.append(server)
        self._ports[caller] = bound
        return bound

    async def close(self) -> None:
        """End all servers; calls in flight are cut off."""
        for server in self._servers:
            await server.stop(None)
