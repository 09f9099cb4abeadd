"""One function's server process: the real functions-framework, in a process group of its own.

start ──▶ starting ── answers ──▶ ready ── exits ──▶ starting (again, a little later each time)
              │
              └── exits, or is silent for too long ──▶ failed
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from local.kernel import background
from local.kernel.clock import Clock
from local.services.functions import sources
from local.services.functions.groups import Groups
from local.services.functions.logs import Log
from local.services.functions.outputs import Output

GUARDED = Path(__file__).with_name("guarded.py")
"""Runs the real functions-framework, which no web page reaches there."""
START_TIMEOUT = 60.0
"""Seconds until a process that answers nothing has failed."""
GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL, as on Cloud Run."""
PROBE = b"GET /robots.txt HTTP/1.0\r\n\r\n"
"""A request the framework answers itself, without the function."""
PROBE_EVERY = 0.02
PROBE_PATIENCE = 5.0
"""Seconds after which a request that is not answered is made again: one connection may be lost."""
FIRST_PAUSE, LAST_PAUSE = 0.1, 10.0
"""Seconds before a process that ended is started again: doubled each time in a row."""


class StartFailed(Exception):
    """The process ended, or answered nothing, before it was ready."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Which function to run, on which port, in which environment."""

    target: str
    source: Path
    """The directory with `main.py`."""
    port: int
    timeout: int
    """Seconds after which a request is answered 504 for it."""
    environment: Mapping[str, str]
    """All of it: nothing is inherited."""


class Process:
    """Keeps one function's process running until `stop`."""

    def __init__(self, spec: Spec, clock: Clock, log: Log, groups: Groups) -> None:
        self.spec = spec
        self.state = "starting"
        self._groups = groups
        self._clock = clock
        self._log = log
        self._settled = asyncio.Event()
        self._requests = 0
        self._quiet = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._output: Output | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process; returns when it answers, raises StartFailed and leaves nothing behind
        then."""
        with self._clock.busy():
            await self._launch()
        self._keeper = background.begin(self._keep())

    async def settled(self) -> None:
        """Return when the process is no longer starting: it is ready, failed or stopped."""
        await self._settled.wait()

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Inside the block, the process has a request to serve."""
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            if not self._requests:
                self._quiet.set()

    async def drained(self) -> None:
        """Return when nobody is inside `serving` any more, or after the grace time."""
        self._quiet.clear()
        if self._requests:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), GRACE)

    async def stop(self, grace: float = GRACE) -> None:
        """End the process and all it started: SIGTERM, and SIGKILL after `grace` seconds (0: at
        once)."""
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if grace and self._process and self._process.returncode is None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace)
        await self._clear_away()
        self._become("stopped")

    def kill_workers(self) -> int:
        """Send SIGKILL to the workers, of which the master starts others; return how many there
        were."""
        workers = self._workers()
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        return len(workers)

    def read_output(self) -> None:
        """Take what the process has printed up to now."""
        if self._output:
            self._output.read()

    def _workers(self) -> list[psutil.Process]:
        if not self._process or self._process.returncode is not None:
            return []
        try:
            return list(psutil.Process(self._process.pid).children())
        except psutil.NoSuchProcess:
            return []

    def _cpu_seconds(self) -> float:
        """What the processes have used: little, where they wait for something, not where they are
        slow."""
        if not self._process:
            return 0.0
        with contextlib.suppress(psutil.Error):
            master = psutil.Process(self._process.pid)
            return sum(sum(it.cpu_times()[:2]) for it in [master, *master.children()])
        return 0.0

    def _become(self, state: str) -> None:
        self.state = state
        if state == "starting":
            self._settled.clear()
        else:
            self._settled.set()

    async def _launch(self) -> None:
        self._become("starting")
        try:
            await self._spawn()
            async with asyncio.timeout(START_TIMEOUT):
                await self._answers()
        except BaseException as error:
            used = self._cpu_seconds()
            await self._clear_away()
            self._become("failed")
            if isinstance(error, TimeoutError):
                text = f"answered nothing for {START_TIMEOUT:.0f} s, and used {used:.1f} s of CPU"
                raise StartFailed(text) from error
            if isinstance(error, OSError):
                raise StartFailed(f"cannot be run: {error}") from error
            raise
        self._become("ready")

    async def _spawn(self) -> None:
        spec = self.spec
        output = Output(self._log, self._clock)
        try:
            self._process = await asyncio.create_subprocess_exec(
                sources.python(spec.source),
                "-P",  # as in production, the current directory is not importable by itself
                str(GUARDED),
                f"--target={spec.target}",
                f"--source={spec.source / 'main.py'}",
                "--host=127.0.0.1",
                f"--port={spec.port}",
                cwd=spec.source,
                env=dict(spec.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output.writing,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            os.close(output.writing)
        self._groups.started(self._process.pid)
        self._output = output

    async def _answers(self) -> None:
        while not await _probe(self.spec.port):
            assert self._process
            if self._process.returncode is not None:
                raise StartFailed(f"ended with code {self._process.returncode} while starting")
            await asyncio.sleep(PROBE_EVERY)

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            assert self._process
            code = await self._process.wait()
            self._log.write(f"[local] the process ended with code {code}; starting it again")
            self._become("starting" if pause == FIRST_PAUSE else "failed")
            with self._clock.busy() if pause == FIRST_PAUSE else contextlib.nullcontext():
                await self._clear_away()
                await asyncio.sleep(pause)
                try:
                    await self._launch()
                    pause = FIRST_PAUSE
                except StartFailed as error:
                    self._log.write(f"[local] {error}")
                    pause = min(pause * 2, LAST_PAUSE)

    async def _clear_away(self) -> None:
        if not self._process:
            return
        self._groups.end(self._process.pid)
        await self._process.wait()
        if self._output:
            await self._output.ended()


async def _probe(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(PROBE)
        async with asyncio.timeout(PROBE_PATIENCE):
            return (await reader.read(5)).startswith(b"HTTP/")
    except OSError:  # TimeoutError too
        return False
    finally:
        writer.close()
