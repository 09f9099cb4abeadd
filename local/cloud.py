"""The local cloud: every service on one database and one clock, served, with its functions."""

import asyncio
import contextlib
import socket
import traceback
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from local import eventarc, ports
from local.addresses import Addresses
from local.catalog import Catalog
from local.clock import Clock
from local.control import Control, control_routes
from local.crashes import Crashes
from local.database import Database
from local.delivery import Deliverer
from local.faults import Faults
from local.functions import Functions
from local.grpcserver import GrpcServers
from local.identity import open_issuer
from local.report import Report
from local.resources import Resources
from local.rest.app import application
from local.rest.firestore import firestore_routes
from local.rest.functions import functions_routes
from local.rest.pubsub import pubsub_routes
from local.rest.resources import resources_routes
from local.rest.routes import Router
from local.rest.scheduler import scheduler_routes
from local.rest.tasks import tasks_routes
from local.services import Services
from local.state import Folder

SHUTDOWN = 1.0
"""Seconds that HTTP requests in flight get at the end."""
GRPC, FUNCTIONS = 1, 10
"""How far from the HTTP port the gRPC port is, and the first function's."""
CHOSEN = ("port.http", "port.grpc")
"""Where free ports are remembered, to be the same after a restart if they can."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to run it."""

    project: str = "local-project"
    port: int = 0
    """HTTP; gRPC is the next one, functions begin ten further. 0: any free ones."""
    foreign: Mapping[str, str] = field(default_factory=dict)
    """`firestore`, `pubsub`, `tasks` → HOST:PORT of a server to use instead of ours."""


class PortTaken(Exception):
    """Somebody listens where the cloud was to listen."""


class Cloud:
    """One running cloud in one state folder, on the event loop that starts it."""

    def __init__(self, folder: Folder, settings: Settings) -> None:
        """`folder` must be locked already."""
        self._folder = folder
        self._settings = settings
        self._database = Database(folder.database)
        self.clock = Clock(self._database)
        self.faults = Faults()
        self.deliverer = Deliverer(self.clock, self.faults)
        self._pumps: list[asyncio.Task[None]] = []
        self.stopping = asyncio.Event()
        """Set when somebody asked it to end, or when a part of it failed."""
        self.failure: BaseException | None = None

    async def start(self) -> None:
        """Serve, and begin to start what was deployed before. Raises PortTaken."""
        listening, grpc_port = self._listen()
        self.addresses = Addresses(
            project=self._settings.project,
            url=f"http://{ports.HOST}:{listening.getsockname()[1]}",
            foreign=self._settings.foreign,
        )
        self.issuer = open_issuer(self._database, self.addresses.url)
        self.services = Services(
            self._database, self.clock, self.deliverer, self.issuer, self._settings.foreign
        )
        self._servers = GrpcServers(self.services.served(), self.faults)
        self.functions = self._functions()
        self.crashes = Crashes(self.faults, self.functions)
        self.deliverer.crashes = self.crashes
        self.deliverer.targets = self.functions
        try:
            self.grpc_port = await self._servers.open(port=grpc_port)
        except OSError as error:
            raise _taken(grpc_port, "gRPC") from error
        await self.functions.restore()
        self._pump(self.services.our_firestore.run())
        self._pump(self.services.our_tasks.run())
        self._pump(self.services.our_pubsub.run())
        self._pump(self.services.scheduler.run())
        await self._serve_http(listening)
        self.functions.on_change = self._write_env
        self._write_env()

    async def stop(self) -> None:
        """End the pumps, the functions, the servers, in this order; the state stays."""
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self.deliverer.close()
        await self.functions.stop()
        await self._runner.cleanup()
        await self._servers.close()
        await self.services.close()
        self._database.close()

    def env(self) -> dict[str, str]:
        """What another program needs to use it."""
        address = f"{ports.HOST}:{self.grpc_port}"
        return self.addresses.of_caller(address, self.functions.catalog.all())

    def _write_env(self) -> None:
        self._folder.write_env(self.env())

    def _listen(self) -> tuple[socket.socket, int]:
        """The HTTP socket, listening, and the gRPC port, which may turn out to be taken."""
        wanted = self._settings.port
        remembered = [int(self._database.get(key) or 0) for key in CHOSEN]
        http, grpc_port = (wanted, wanted + GRPC) if wanted else map(_free, remembered)
        try:
            listening = socket.create_server((ports.HOST, http))
        except OSError as error:
            raise _taken(http, "HTTP") from error
        for key, port in zip(CHOSEN, (http, grpc_port), strict=True):
            self._database.put(key, str(port))
        return listening, grpc_port

    def _functions(self) -> Functions:
        pubsub = self.services.our_pubsub
        if "pubsub" in self._settings.foreign:
            subscribe = eventarc.foreign(self.services.publisher, self.services.subscriber)
        else:
            subscribe = eventarc.ours(pubsub)
        return Functions(
            Catalog(self._database),
            self.clock,
            self._folder,
            attach=self._attach,
            subscribe=subscribe,
            first_port=self._settings.port + FUNCTIONS if self._settings.port else 0,
        )

    async def _attach(self, function: str) -> Mapping[str, str]:
        port = await self._servers.open(caller=function)
        return self.addresses.of_function(f"{ports.HOST}:{port}")

    async def _serve_http(self, listening: socket.socket) -> None:
        report = self._report()
        app = application(self._router(report), self.issuer, report)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    def _report(self) -> Report:
        return Report(
            project=self._settings.project,
            clock=self.clock,
            faults=self.faults,
            deliverer=self.deliverer,
            functions=self.functions,
            firestore=self.services.firestore,
            tasks=self.services.our_tasks,
            backlogs=self.services.our_pubsub,
            jobs=self.services.scheduler.list_jobs,
        )

    def _control(self, report: Report) -> Control:
        return Control(
            clock=self.clock,
            faults=self.faults,
            crashes=self.crashes,
            functions=self.functions,
            publisher=self.services.publisher,
            jobs=self.services.scheduler,
            report=report,
            foreign=self._settings.foreign,
            stop=self.stopping.set,
        )

    def _router(self, report: Report) -> Router:
        services, resources = self.services, Resources(self._database)
        return Router(
            [
                *control_routes(self._control(report)),
                *functions_routes(self.functions, eventarc.unsubscriber(services.subscriber)),
                *tasks_routes(services.tasks),
                *pubsub_routes(services.publisher, services.subscriber),
                *scheduler_routes(services.scheduler),
                *firestore_routes(resources, services.our_firestore.set_ttl),
                *resources_routes(resources),
            ]
        )

    def _pump(self, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as error:
                traceback.print_exception(error)
                self.failure = error
                self.stopping.set()

        self._pumps.append(asyncio.create_task(run()))


def _free(remembered: int) -> int:
    return remembered if remembered and ports.is_free(remembered) else ports.choose(0)


def _taken(port: int, what: str) -> PortTaken:
    return PortTaken(f"port {port} ({what}) is taken; LOCAL_PORT=0 or --port chooses others")


@contextlib.asynccontextmanager
async def running(folder: Folder, settings: Settings) -> AsyncIterator[Cloud]:
    """A started cloud, stopped at the end; raises AlreadyRunning or PortTaken."""
    folder.lock()
    try:
        cloud = Cloud(folder, settings)
        await cloud.start()
        try:
            yield cloud
        finally:
            await cloud.stop()
    finally:
        folder.unlock()
