"""Deployed functions: deployed, redeployed, started again, asked about."""

import asyncio
import contextlib
import functools
import zlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import grpc

from local.kernel import ports
from local.kernel.clock import Clock
from local.kernel.merging import merged
from local.kernel.state import Folder
from local.kernel.status import Status
from local.services.functions import log_entries, process, runtime, sources
from local.services.functions.catalog import Catalog, Entry
from local.services.functions.groups import Groups
from local.services.functions.logs import Log
from local.services.functions.process import Process, Spec, StartFailed

NEW_REVISION = ("buildConfig", "serviceConfig", "eventTrigger")
"""The fields of a description whose change starts the process anew."""
RELOAD_EVERY = 0.3
"""Seconds between two looks at the files of functions."""
PRINTED = 20
"""Lines of output shown when a function does not start."""

Attach = Callable[[str], Awaitable[Mapping[str, str]]]
"""Function id → the variables that lead its process to the services."""
Secret = Callable[[str, str], str]
"""(full name, version) → a secret's value; raises Status."""


class Feeds(Protocol):
    """Whoever feeds event-driven functions."""

    async def subscribe(self, entry: Entry) -> str:
        """Feed a function from its topic, and return the name of the subscription."""

    async def unsubscribe(self, subscription: str) -> None:
        """Feed nobody from this subscription any more."""


class Functions:
    """All deployed functions. Their names are full: `projects/P/locations/L/functions/ID`."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        folder: Folder,
        groups: Groups,
        *,
        attach: Attach,
        feeds: Feeds,
        secret: Secret,
        first_port: int,
    ) -> None:
        """`first_port`: where addresses begin; 0: any free port."""
        self.catalog = catalog
        self._clock = clock
        self._folder = folder
        self._attach = attach
        self._feeds = feeds
        self._secret = secret
        self._first_port = first_port
        self._groups = groups
        self._processes: dict[str, Process] = {}
        self._logs: dict[str, Log] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._restoring: asyncio.Future[Any] | None = None
        self._stamps: dict[str, Mapping[Path, int]] = {}
        """When the files of a function had been changed last when it was started."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when what is deployed, or an address, may have changed."""
        clock.before_it_moves(self._read_outputs)

    async def create(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Deploy a new function; returns its description once it takes requests."""
        await self.restored()
        async with self._locks[name]:
            if self.catalog.find(name):
                text = f"Could not create Cloud Function {name}. A resource with that name exists"
                raise Status(grpc.StatusCode.ALREADY_EXISTS, text)
            moment = self._moment()
            new = {**body, "name": name, "createTime": moment, "updateTime": moment}
            return await self._deploy(Entry(body=new, port=0, revision=0))

    async def update(
        self, name: str, body: Mapping[str, Any], mask: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Change the fields of `mask` (empty: the given ones) and start the function anew if they
        need it."""
        await self.restored()
        async with self._locks[name]:
            old = self.catalog.get(name)
            changed = list(mask) or [key for key in body if key != "name"]
            merged_body = merged(old.body, body, changed)
            new = replace(old, body={**merged_body, "updateTime": self._moment()})
            anew = old.body["state"] != "ACTIVE" or any(p.startswith(NEW_REVISION) for p in changed)
            if anew:
                return await self._deploy(new)
            self.catalog.save(new)
            return new.body

    async def delete(self, name: str) -> None:
        """End and forget a function and its subscription."""
        await self.restored()
        async with self._locks[name]:
            entry = self.catalog.get(name)
            if entry.subscription:
                await self._feeds.unsubscribe(entry.subscription)
            running = self._processes.pop(name, None)
            if running:
                await running.stop()
            self.catalog.delete(name)
        self.on_change()

    def state(self, name: str) -> str:
        """Return the state of a function's process: `ready`, `starting`, `failed` or `stopped`."""
        running = self._processes.get(name)
        return running.state if running else "stopped"

    def log(self, name: str, lines: int) -> list[str]:
        """Return the last lines that a function printed, oldest first."""
        return self._logs[name].recent(lines) if name in self._logs else []

    def entries(self) -> list[dict[str, Any]]:
        """Return what all functions printed lately as Cloud Logging has it, oldest first."""
        found = [
            log_entries.entry(name, time, line)
            for name, log in self._logs.items()
            for time, line in log.timed()
        ]
        return sorted(found, key=lambda entry: str(entry["timestamp"]))

    def _read_outputs(self) -> None:
        for running in self._processes.values():
            running.read_output()

    def ignored(self) -> dict[str, int]:
        """Return how many deliveries the functions ignored, by event type, the commonest first."""
        counts = sum((log.ignored.counts for log in self._logs.values()), Counter[str]())
        return dict(counts.most_common())

    def kill_workers(self, name: str) -> int:
        """Send SIGKILL to the workers of a function, and return how many there were."""
        running = self._processes.get(name)
        return running.kill_workers() if running else 0

    def url(self, location: str, id_: str) -> str:
        """Return the URL of the function `id_` of `projects/P/locations/L`; empty if there is
        none."""
        entry = self.catalog.find(f"{location}/functions/{id_}")
        return str(entry.body["url"]) if entry else ""

    def behind(self, url: str) -> str | None:
        """Return the full name of the function behind a URL; None: it is none of ours."""
        port = _port_here(url)
        if port is None:
            return None
        return next((n for n, p in self._processes.items() if p.spec.port == port), None)

    @asynccontextmanager
    async def serving(self, url: str) -> AsyncIterator[None]:
        """Entered when the function behind a URL is no longer starting; one of somebody else's at
        once. A redeployment waits for whoever is inside."""
        name = self.behind(url)
        while (running := self._processes.get(name or "")) and running.state == "starting":
            await running.settled()
        with running.serving() if running else contextlib.nullcontext():
            yield

    def limit(self, url: str) -> float | None:
        """Return how many seconds the function behind a URL may take; None: it is none of ours."""
        name = self.behind(url)
        return self._processes[name].spec.timeout if name else None

    def on_the_machines_clock(self) -> dict[str, str]:
        """Return where functions read the clock of the machine, which nobody moves, by id."""
        look = functools.cache(sources.clock_of_the_machine)  # functions may share a folder
        found = {}
        for entry in self.catalog.all():
            with contextlib.suppress(Status):
                place = look(runtime.source(entry.body))
                if place:
                    found[entry.id] = place
        return found

    async def reload(self) -> None:
        """Start functions anew whose files are changed, until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_EVERY)
            for entry in self.catalog.all():
                stamps = sources.stamps(Path(entry.body["buildConfig"]["source"]["localPath"]))
                if self._stamps.get(entry.name, stamps) != stamps:
                    await self._reload(entry)

    async def _reload(self, entry: Entry) -> None:
        print(f"{entry.id} was edited; it starts anew", flush=True)
        async with self._locks[entry.name]:
            try:
                await self._deploy(self.catalog.get(entry.name))
            except Status as error:
                print(error.message, flush=True)

    async def restore(self) -> None:
        """Begin to start what was deployed before, at its old addresses where they are free."""
        entries = [await self._prepare_again(entry) for entry in self.catalog.all()]
        self._restoring = asyncio.gather(*(self._start_again(e) for e in entries if e))

    async def restored(self) -> None:
        """Return when all functions that `restore` began to start run or have failed."""
        if self._restoring:
            await self._restoring

    async def stop(self, grace: float = process.GRACE) -> None:
        """End all processes, killing them after `grace` seconds; they stay deployed."""
        if self._restoring:
            self._restoring.cancel()
            await asyncio.gather(self._restoring, return_exceptions=True)
        await asyncio.gather(*(running.stop(grace) for running in self._processes.values()))
        for log in self._logs.values():
            log.close()

    async def _prepare_again(self, entry: Entry) -> Entry | None:
        try:
            return await self._prepare(entry)
        except Status as error:
            self._save(entry, "FAILED")
            print(f"function {entry.id} does not start: {error.message}", flush=True)
            return None

    async def _start_again(self, entry: Entry) -> None:
        try:
            await self._start(entry)
        except Status as error:
            print(error.message, flush=True)

    async def _deploy(self, entry: Entry) -> dict[str, Any]:
        """Replace the old process; deliveries wait, as the new one counts as starting."""
        runtime.check(entry.body)
        old = self._processes.get(entry.name)
        entry = await self._prepare(entry)
        if old:
            await old.drained()
            await old.stop()
        return await self._start(entry)

    async def _prepare(self, entry: Entry) -> Entry:
        """Give a function an address and a process that is about to start."""
        folder = entry.body.get("buildConfig", {}).get("source", {}).get("localPath", "")
        self._stamps[entry.name] = sources.stamps(Path(folder))
        port = await self._port(entry)
        entry = replace(
            entry, body=described(entry.body, port), port=port, revision=entry.revision + 1
        )
        self.catalog.save(entry)
        spec = await self._spec(entry)
        log = self._log(entry)
        self._processes[entry.name] = Process(spec, self._clock, log, self._groups)
        return entry

    async def _start(self, entry: Entry) -> dict[str, Any]:
        try:
            await self._processes[entry.name].start()
            entry = replace(entry, subscription=await self._feed(entry))
            self._save(entry, "ACTIVE")
        except Status:
            self._save(entry, "FAILED")
            raise
        except StartFailed as error:
            self._save(entry, "FAILED")
            printed = "\n".join(self.log(entry.name, PRINTED))
            text = f"function {entry.id} does not start: {error}. It printed:\n{printed}"
            raise Status(grpc.StatusCode.FAILED_PRECONDITION, text) from error
        return self.catalog.get(entry.name).body

    async def _feed(self, entry: Entry) -> str | None:
        if entry.body.get("eventTrigger"):
            return await self._feeds.subscribe(entry)
        if entry.subscription:
            await self._feeds.unsubscribe(entry.subscription)
        return None

    def _save(self, entry: Entry, state: str) -> None:
        self.catalog.save(replace(entry, body={**entry.body, "state": state}))
        self.on_change()

    async def _spec(self, entry: Entry) -> Spec:
        run = self._folder.path / "run" / entry.id
        run.mkdir(parents=True, exist_ok=True)
        return Spec(
            target=runtime.entry_point(entry.body),
            source=runtime.source(entry.body),
            port=entry.port,
            timeout=runtime.timeout(entry.body),
            environment=runtime.environment(
                entry.body,
                port=entry.port,
                revision=entry.revision,
                services=await self._attach(entry.id),
                secrets={
                    variable: self._secret(*reference)
                    for variable, reference in runtime.secret_references(entry.body).items()
                },
                run=run,
            ),
        )

    def _moment(self) -> str:
        return self._clock.now().isoformat().replace("+00:00", "Z")

    def _log(self, entry: Entry) -> Log:
        if entry.name not in self._logs:
            self._logs[entry.name] = Log(self._folder.logs / f"{entry.id}.log", self._clock.now)
        return self._logs[entry.name]

    async def _port(self, entry: Entry) -> int:
        """The port the function had, if that is free, else another."""
        if entry.port and (entry.name in self._processes or await ports.freed(entry.port)):
            return entry.port
        taken = {other.port for other in self.catalog.all()}
        port = ports.choose(
            self._first_port, taken | {p.spec.port for p in self._processes.values()}
        )
        if entry.port:
            print(f"port {entry.port} of {entry.id} is taken; it moves to {port}", flush=True)
        return port


@functools.lru_cache(maxsize=1024)
def _port_here(url: str) -> int | None:
    """The port of this machine that a URL names; None: it names another machine."""
    where = urlsplit(url)
    return where.port if where.hostname in (ports.HOST, "localhost") else None


def described(body: Mapping[str, Any], port: int) -> dict[str, Any]:
    """Return a function's description with what the platform adds to it."""
    project, location, name = runtime.parts(body["name"])
    url = f"http://127.0.0.1:{port}"
    service = f"projects/{project}/locations/{location}/services/{name}"
    added: dict[str, Any] = {
        "environment": "GEN_2",
        "state": "DEPLOYING",
        "url": url,
        "serviceConfig": {**body.get("serviceConfig", {}), "uri": url, "service": service},
    }
    if body.get("eventTrigger"):
        number = zlib.crc32(f"{location}/{name}".encode()) % 1_000_000
        trigger = f"projects/{project}/locations/{location}/triggers/{name}-{number:06d}"
        added["eventTrigger"] = {
            "eventType": "google.cloud.pubsub.topic.v1.messagePublished",
            **body["eventTrigger"],
            "trigger": trigger,
            "triggerRegion": location,
        }
    return {**body, **added}
