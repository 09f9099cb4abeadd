"""The local cloud: every service on one database and one clock, served, with its functions."""

import asyncio
import contextlib
import socket
import traceback
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from local.http.control import Control, control_routes
from local.http.report import Report
from local.http.rest import everything
from local.http.rest.app import Site
from local.http.rest.routes import Router
from local.kernel import background, ports
from local.kernel.clock import Clock
from local.kernel.database import Database, Full
from local.kernel.delivery import Deliverer
from local.kernel.faults import Faults
from local.kernel.front import open_front
from local.kernel.grpcserver import GrpcServers
from local.kernel.identity import open_issuer
from local.kernel.state import Folder
from local.services import statefile
from local.services.all import Services
from local.services.functions import process, runtime
from local.services.functions.addresses import Addresses
from local.services.functions.catalog import Catalog
from local.services.functions.crashes import Crashes
from local.services.functions.eventarc import Eventarc
from local.services.functions.groups import Groups
from local.services.functions.service import Functions
from local.services.resources import Resources
from local.services.secrets import Secrets

SHUTDOWN = 1.0
"""Seconds that HTTP requests in flight get at the end."""
GRPC, FUNCTIONS = 1, 10
"""How far from the HTTP port the gRPC port is, and the first function's."""
LOOK_FOR_ROOM = 0.5
"""Seconds between two looks at a disk that was full."""
PORT_KEYS = ("port.http", "port.grpc")
"""Where the database keeps the ports, so that they are the same after a restart if they can."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a cloud is run: its project, its ports, and the servers of somebody else that it uses."""

    project: str = "local-project"
    port: int = 0
    """HTTP; gRPC is the next one, functions begin ten further. 0: any free ones."""
    foreign: Mapping[str, str] = field(default_factory=dict)
    """`firestore`, `pubsub`, `tasks` → HOST:PORT of a server to use instead of ours."""
    reload: bool = False
    """Functions are started anew when their files are changed."""
    grace: float = process.GRACE
    """Seconds that functions get to end by themselves when the cloud ends."""


class PortTaken(Exception):
    """Another program listens on the port on which the cloud was to listen."""


class Cloud:
    """One running cloud in one state folder, on the event loop that starts it."""

    def __init__(self, folder: Folder, settings: Settings) -> None:
        """`folder` must be locked already."""
        self._folder = folder
        self._settings = settings
        self._closing = contextlib.AsyncExitStack()
        self._running = contextlib.AsyncExitStack()
        """Ends what a reset begins anew; the sockets and the state file stay."""
        self._resetting = asyncio.Lock()
        self._database = Database(folder.database)
        self._closing.callback(self._database.close)
        self._database.on_full = self._no_room
        self._recovering: asyncio.Task[None] | None = None
        self.stopping = asyncio.Event()
        """Set when somebody asked it to end, or when a part of it failed."""
        self._ended = asyncio.Event()
        """Set when the services and functions that run now end: with the cloud, or by a reset."""
        self.failure: BaseException | None = None
        self._console: str | None = None
        """Where a console shows this cloud."""

    async def start(self) -> None:
        """Open the ports and begin to start the functions deployed before; raises PortTaken."""
        listening, self.grpc_port = self._listen()
        self._url = f"http://{ports.HOST}:{listening.getsockname()[1]}"
        self.issuer = open_issuer(self._database, self._url)
        self._groups = Groups()
        self._closing.callback(self._groups.close)
        self._site = Site(self.issuer)
        self._web = await self._http()
        await self._begin()
        await web.SockSite(self._web, listening).start()

    async def reset(self) -> None:
        """Forget everything that happened, the clock included; what is deployed starts anew."""
        async with self._resetting:
            await self._end()
            statefile.forget(self._database)
            for log in self._folder.logs.iterdir():
                log.unlink()
            await self._begin()
            await self.functions.restored()

    def export(self, path: Path) -> None:
        """Write a copy of the state to a file. Raises OSError."""
        statefile.export(self._database, path)

    async def replace(self, path: Path) -> None:
        """Go on with an exported state in the place of this one. Raises ValueError or OSError."""
        statefile.check(path)
        async with self._resetting:
            await self._end()
            statefile.replace(self._database, path)
            await self._begin()
            await self.functions.restored()

    def _no_room(self) -> None:
        if self._recovering is None or self._recovering.done():
            self._recovering = background.begin(self._recover())

    async def _recover(self) -> None:
        """Wait until the disk has room, then begin anew from the state file.

        What is in memory may by then be ahead of what could be written.
        """
        print("the disk is full: nothing is written until there is room", flush=True)
        while not self._database.has_room():
            await asyncio.sleep(LOOK_FOR_ROOM)
        async with self._resetting:
            await self._end()
            await self._begin()
        print("there is room again", flush=True)

    async def stop(self) -> None:
        """End everything that was started, in reverse order; the state stays in the folder."""
        if self._recovering:
            await _cancel(self._recovering)
        async with self._resetting:
            await self._end()
            await self._closing.aclose()

    async def _begin(self) -> None:
        """Make the services and the functions from the state file, and start them."""
        self._make()
        self.grpc_port = await self._serve_grpc(self.grpc_port)
        report = self._report()
        self._site.use(self._router(report), report)
        await self._start_functions()
        self._running.push_async_callback(self.deliverer.close)
        services = self.services
        for service in (services.firestore, services.tasks, services.pubsub, services.scheduler):
            self._pump(service.run())
        if self._settings.reload:
            self._pump(self.functions.reload())
        self.functions.on_change = self._write_env
        self._write_env()

    async def _end(self) -> None:
        self._ended.set()
        await self._running.aclose()

    def env(self) -> dict[str, str]:
        """Return the environment variables with which another program uses this cloud."""
        address = f"{ports.HOST}:{self.grpc_port}"
        env = self.addresses.of_caller(address, self.functions.catalog.all())
        return {**env, "CONSOLE_URL": self._console} if self._console else env

    def _announce(self, url: str) -> None:
        self._console = url
        self._write_env()

    def _write_env(self) -> None:
        try:
            self._folder.write_env(self.env())
        except OSError as error:
            print(f"cannot write {self._folder.env}: {error.strerror}", flush=True)

    def _listen(self) -> tuple[socket.socket, int]:
        """Open the HTTP socket, and choose the gRPC port, which may turn out to be taken."""
        wanted = self._settings.port
        remembered = [int(self._database.get(key) or 0) for key in PORT_KEYS]
        http, grpc_port = (wanted, wanted + GRPC) if wanted else map(_free, remembered)
        try:
            listening = socket.create_server((ports.HOST, http))
        except OSError as error:
            raise _taken(http, "HTTP") from error
        self._closing.callback(listening.close)
        for key, port in zip(PORT_KEYS, (http, grpc_port), strict=True):
            self._database.put(key, str(port))
        return listening, grpc_port

    def _functions(self) -> Functions:
        services = self.services
        ours = None if "pubsub" in self._settings.foreign else services.pubsub
        return Functions(
            Catalog(self._database),
            self.clock,
            self._folder,
            self._groups,
            attach=self._attach,
            feeds=Eventarc(services.publisher, services.subscriber, ours),
            secret=lambda name, version: self._secrets.value(name, version).decode(),
            first_port=self._settings.port + FUNCTIONS if self._settings.port else 0,
        )

    async def _attach(self, function: str) -> Mapping[str, str]:
        """Give a function a gRPC port of its own, and one for both protocols, which costs each
        gRPC call a few hops more: for Pub/Sub, and for Cloud Tasks where it needs that."""
        port = await self._servers.open(caller=function)
        both = await self._front_of(function, port)
        posts = runtime.posts_to_tasks(self.functions.catalog.get(function).body)
        tasks = both if posts else port
        return self.addresses.of_function(*(f"{ports.HOST}:{it}" for it in (port, tasks, both)))

    async def _front_of(self, function: str, grpc_port: int) -> int:
        """The function's own port for both protocols, which it keeps."""
        callers = self._site.callers
        if function not in callers.values():
            callers[await self._open_front(grpc_port)] = function
        return next(port for port, name in callers.items() if name == function)

    def _make(self) -> None:
        """Make all that has a state in memory, from the state file."""
        foreign = self._settings.foreign
        self._ended = asyncio.Event()
        self._site.callers.clear()
        self._secrets = Secrets(self._database)
        self.clock = Clock(self._database)
        self.faults = Faults()
        self.deliverer = Deliverer(self.clock, self.faults)
        self.addresses = Addresses(project=self._settings.project, url=self._url, foreign=foreign)
        self.services = Services(self._database, self.clock, self.deliverer, self.issuer, foreign)
        self._running.push_async_callback(self.services.close)
        self._servers = GrpcServers(self.services.served(), self.faults)
        self.functions = self._functions()
        self.crashes = Crashes(self.faults, self.functions)
        self.deliverer.crashes = self.crashes
        self.deliverer.targets = self.functions

    async def _serve_grpc(self, port: int) -> int:
        self._running.push_async_callback(self._servers.close)
        return await self._open_front(await self._servers.open(), port)

    async def _open_front(self, grpc_port: int, port: int = 0) -> int:
        """Answer gRPC and HTTP on one port (0: any free one), which is returned."""
        assert self._web.server
        try:
            server = await open_front(port or ports.choose(0), grpc_port, self._web.server)
        except OSError as error:
            raise _taken(port, "gRPC") from error
        self._running.callback(server.close)
        return int(server.sockets[0].getsockname()[1])

    async def _http(self) -> web.AppRunner:
        app = self._site.application()
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=SHUTDOWN, handler_cancellation=True
        )
        await runner.setup()
        self._closing.push_async_callback(runner.cleanup)
        return runner

    async def _start_functions(self) -> None:
        self._running.push_async_callback(self.functions.stop, self._settings.grace)
        await self.functions.restore()

    def _report(self) -> Report:
        return Report(
            project=self._settings.project,
            clock=self.clock,
            faults=self.faults,
            deliverer=self.deliverer,
            functions=self.functions,
            firestore=self.services.documents,
            tasks=self.services.tasks,
            backlogs=self.services.pubsub,
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
            stopping=self.stopping,
            ended=self._ended,
            whole=self,
            announce=self._announce,
        )

    def _router(self, report: Report) -> Router:
        platform = everything.Platform(
            services=self.services,
            functions=self.functions,
            resources=Resources(self._database),
            secrets=self._secrets,
            now=self.clock.now,
        )
        routes = [*control_routes(self._control(report)), *everything.routes(platform)]
        return Router(routes, self.faults)

    def _pump(self, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await work
            except Full:
                return  # it begins anew when there is room
            except Exception as error:
                traceback.print_exception(error)
                self.failure = error
                self.stopping.set()
                self._ended.set()

        self._running.push_async_callback(_cancel, asyncio.create_task(run()))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _free(remembered: int) -> int:
    return remembered if remembered and ports.is_free(remembered) else ports.choose(0)


def _taken(port: int, what: str) -> PortTaken:
    return PortTaken(f"port {port} ({what}) is taken; LOCAL_PORT=0 or --port chooses others")


@contextlib.asynccontextmanager
async def running(folder: Folder, settings: Settings) -> AsyncIterator[Cloud]:
    """Yield a started cloud and stop it at the end; raises AlreadyRunning or PortTaken."""
    folder.lock()
    try:
        cloud = Cloud(folder, settings)
        try:
            await cloud.start()
            yield cloud
        finally:
            await cloud.stop()
    finally:
        folder.unlock()
