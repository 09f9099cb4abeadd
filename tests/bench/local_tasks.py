"""The local Cloud Tasks: creates and dispatches a second, and memory by pending tasks.

    python -m tests.bench.local_tasks

Creates are raw gRPC calls of serialized requests, one after another, by 8 threads, and 100 in each
batch_create_tasks; their baseline is the same bytes to a server that echoes them. Dispatches are
tasks with OIDC tokens in enough queues that the 500 a second of each do not matter, from the first
to the last arrival; their baseline are plain POSTs to the same server by an aiohttp client with as
many connections. Memory is the resident memory of the server's process, and its ratio is against
1,000 pending tasks.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import aiohttp
import grpc
from google.cloud import tasks_v2

from tests.bench.clouds import Measured, own_process
from tests.bench.echo import Echo, echoing
from tests.bench.rates import compared, table

PENDING = (1_000, 100_000)
QUEUES, DISPATCHES = 12, 3_000
CONNECTIONS = 64
BATCH = 100
WAIT = 30.0
"""Seconds for all dispatches to arrive."""
SERVICE = "/google.cloud.tasks.v2.CloudTasks"
FAST = {"maxDispatchesPerSecond": 500, "maxConcurrentDispatches": CONNECTIONS // QUEUES}

Row = Sequence[object]


def main() -> None:
    """Print the tables."""
    header = ("", "a second", "baseline", "ratio")
    with echoing() as echo, own_process() as cloud:
        table("Memory", ("", "MiB", "MiB at first", "ratio"), memory(cloud))
        table("Creates", header, creates(cloud, echo))
        table("Dispatches", header, [dispatches(cloud, echo)])


def memory(cloud: Measured) -> list[Row]:
    """Rows: the server with few and with many pending tasks."""
    queue, rows, created = cloud.queue("memory"), [], 0
    with _channel(cloud) as channel:
        batch = channel.unary_unary(f"{SERVICE}/BatchCreateTasks")
        request = _batch(queue, BATCH)
        for pending in PENDING:
            for _ in range((pending - created) // BATCH):
                batch(request)
            created = pending
            rows.append((f"{pending:,} pending tasks", cloud.rss()))
    return [(*row, rows[0][1], row[1] / rows[0][1]) for row in rows]


def creates(cloud: Measured, echo: Echo) -> list[Row]:
    """Rows: tasks created a second; a batch counts as the tasks in it."""
    queue = cloud.queue("creates")
    one, many = _create(queue).SerializeToString(), _batch(queue, BATCH)
    with _channel(cloud) as ours, grpc.insecure_channel(echo.grpc) as bare:
        return [
            _compared("one after another", ours, bare, "CreateTask", one),
            _compared("8 threads", ours, bare, "CreateTask", one, threads=8),
            _compared("batches of 100", ours, bare, "BatchCreateTasks", many, each=BATCH),
        ]


def dispatches(cloud: Measured, echo: Echo) -> Row:
    """The row: tasks delivered a second."""
    queues = [cloud.queue(f"dispatch-{n}", rateLimits=FAST) for n in range(QUEUES)]
    for queue in queues:
        cloud.request("POST", f"/v2/{queue}:pause", {})
    with _channel(cloud) as channel:
        batch = channel.unary_unary(f"{SERVICE}/BatchCreateTasks")
        for queue in queues:
            for _ in range(DISPATCHES // QUEUES // 50):
                batch(_batch(queue, 50, echo.http))
    for queue in queues:
        cloud.request("POST", f"/v2/{queue}:resume", {})
    ours = _arrivals(echo)
    asyncio.run(_post(echo.http))
    bare = _arrivals(echo)
    return (f"with OIDC, {CONNECTIONS} at once", ours, bare, ours / bare)


def _compared(
    name: str,
    ours: grpc.Channel,
    bare: grpc.Channel,
    method: str,
    request: bytes,
    threads: int = 1,
    each: int = 1,
) -> Row:
    first, second = (channel.unary_unary(f"{SERVICE}/{method}") for channel in (ours, bare))
    found, baseline, ratio = compared(partial(first, request), partial(second, request), threads)
    return (name, each * found, each * baseline, ratio)


def _arrivals(echo: Echo) -> float:
    """POSTs a second, from the first to the last of those that are on their way."""
    found, deadline = echo.arrived(), time.monotonic() + WAIT
    while found["count"] < DISPATCHES and time.monotonic() < deadline:
        time.sleep(0.5)
        more = echo.arrived()
        found = _joined(found, more) if found["count"] else more
    return found["count"] / (found["last"] - found["first"])


def _joined(found: dict[str, float], more: dict[str, float]) -> dict[str, float]:
    last = more["last"] or found["last"]
    return {"count": found["count"] + more["count"], "first": found["first"], "last": last}


async def _post(url: str) -> None:
    """As many plain POSTs as there were dispatches."""
    numbers = iter(range(DISPATCHES))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for _ in numbers:
                async with session.post(url, data=b"{}") as response:
                    await response.read()

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


def _channel(cloud: Measured) -> grpc.Channel:
    return grpc.insecure_channel(cloud.env["CLOUD_TASKS_EMULATOR_HOST"])


def _create(queue: str, url: str = "") -> Any:
    """A CreateTaskRequest; without a URL the task is due tomorrow."""
    request = tasks_v2.CreateTaskRequest.pb()(parent=queue)
    http = request.task.http_request
    http.url, http.body = url or "http://127.0.0.1:9/", b"{}"
    http.oidc_token.service_account_email = "bench@local-project.iam.gserviceaccount.com"
    http.oidc_token.audience = "https://bench.example"
    if not url:
        request.task.schedule_time.seconds = int(time.time()) + 86_400
    return request


def _batch(queue: str, count: int, url: str = "") -> bytes:
    request = tasks_v2.BatchCreateTasksRequest.pb()(parent=queue)
    request.requests.extend([_create(queue, url)] * count)
    return bytes(request.SerializeToString())


if __name__ == "__main__":
    main()
