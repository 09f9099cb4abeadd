"""How fast a campaign enqueues, and with how much memory: ratios against baselines of the same run.

    python -m tests.bench.fanout [--users 10000 --users 100000] [--shards 1]

The parts, each in processes of their own:

    shard ──▶ a Cloud Tasks that answers after 10 ms and forgets      (what is measured is ours)
      ▲
      └── an audience that is generated page by page, as a Firestore with a million users would

The baselines are one `create_task` after another with Google's client, and raw loops of the same
batch calls, as many in flight, their answers read, nothing done with them. One loop makes the
messages of each call, as ours must; the other sends the same bytes again and again, which no
campaign can do, and shows what the network alone allows. Ours and theirs take turns, and the best
of some rounds counts, because whatever else runs on the machine only slows them down.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from google.longrunning import operations_pb2

from common.cloud import batches, firestore
from common.cloud.firestore import Query, Snapshot
from common.cloud.memory import MemoryFirestore
from common.cloud.task import MAX_BATCH
from common.idempotency import Call, Outcome
from common.process import settings
from common.process.tables import table as declared
from common.scheduling import campaigns
from common.scheduling.campaigns import Audience, Campaign, runs, shards
from common.scheduling.campaigns.shards import Part
from common.scheduling.campaigns.working import Slices
from tests.bench.rates import table
from tests.common.wire import ENVIRONMENT

LATENCY = 0.010
"""Seconds before each answer."""
ONE_BY_ONE = 100
"""Calls of the slow baseline."""
ROUNDS, ROUND = 5, 50_000
"""Rounds of each contender, and tasks in one."""
QUEUE = "projects/p/locations/l/queues/news"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
TICK = NOW.isoformat()
MIB = 1024
SERVICE = "/google.cloud.tasks.v2.CloudTasks"
NEWS = Campaign(
    name="news",
    audience=Audience(collection="users"),
    period=campaigns.week,
    queue="news",
    send=lambda user_id, edition, work: Outcome(),
)
NAMES = declared(NEWS)
UNBOUND = Slices(reserve=0)


@dataclass
class Generated(MemoryFirestore):
    """A Firestore whose users are made when they are read."""

    users: int
    now: datetime = field(default=NOW)

    def __post_init__(self) -> None:
        super().__init__(self.now)

    def query(self, query: Query) -> Iterator[Snapshot]:
        """Users by number; other collections are those in memory."""
        if query.collection != "users":
            return super().query(query)
        begin = int(query.after[1:]) + 1 if query.after else int((query.first or "u0")[1:])
        end = min(self.users, int(query.before[1:]) if query.before else self.users)
        stop = min(end, begin + (query.limit or end))
        return iter([_user(number) for number in range(begin, stop)])


def _user(number: int) -> Snapshot:
    name = f"u{number:08}"
    fields = {"user_id": name, "timezone": "Europe/Berlin"}
    return Snapshot(path=f"users/{name}", data=fields, update_time=NOW, read_time=NOW)


async def _serve(latency: float) -> None:
    """Cloud Tasks: every call succeeds after a while, and is forgotten."""
    done = operations_pb2.Operation(name="operations/o", done=True)
    metadata = tasks_v2.BatchCreateTasksMetadata.pb()()
    done.metadata.Pack(metadata)
    answers = {
        f"{SERVICE}/BatchCreateTasks": done.SerializeToString(),
        f"{SERVICE}/CreateTask": b"",
    }

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        """Answers by the name of the method, and reads nothing."""

        def service(self, details: Any) -> Any:
            answer: bytes = answers[details.method]

            async def call(request: bytes, context: Any) -> bytes:
                await asyncio.sleep(latency)
                return answer

            return grpc.unary_unary_rpc_method_handler(call)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


@contextlib.contextmanager
def service(latency: float = LATENCY) -> Iterator[str]:
    """The address of such a Cloud Tasks, in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--serve", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.communicate()


def one_after_another(address: str) -> float:
    """Tasks a second with `create_task`, one after another, as one would write it first."""
    client = tasks_v2.CloudTasksClient(
        transport=CloudTasksGrpcTransport(channel=grpc.insecure_channel(address))
    )
    queue = client.queue_path("p", "l", "q")
    began = time.monotonic()
    for _ in range(ONE_BY_ONE):
        http = tasks_v2.HttpRequest(url="https://reminder.example", body=b'{"user_id": "u"}')
        client.create_task(parent=queue, task=tasks_v2.Task(http_request=http))
    return ONE_BY_ONE / (time.monotonic() - began)


def raw(address: str, count: int, *, make: Callable[[int], bytes]) -> float:
    """Tasks a second in a loop of the same batch calls, as many in flight, and nothing else."""
    call = grpc.insecure_channel(address).unary_unary(f"{SERVICE}/BatchCreateTasks")

    def once(number: int) -> None:
        operations_pb2.Operation.FromString(call(make(number)))

    with ThreadPoolExecutor(batches.IN_FLIGHT) as pool:
        began = time.monotonic()
        list(pool.map(once, range(count)))
        return MAX_BATCH * count / (time.monotonic() - began)


def one_by_one(address: str, count: int) -> float:
    """The same with one call after another."""
    call = grpc.insecure_channel(address).unary_unary(f"{SERVICE}/BatchCreateTasks")
    began = time.monotonic()
    for number in range(count):
        operations_pb2.Operation.FromString(call(message(number)))
    return MAX_BATCH * count / (time.monotonic() - began)


def message(number: int) -> bytes:
    """The request for a hundred users, with messages of Google's client."""
    request = tasks_v2.BatchCreateTasksRequest.pb()(parent=QUEUE, request_id=str(uuid.uuid4()))
    for place in range(MAX_BATCH):
        user_id = f"u{MAX_BATCH * number + place:08}"
        body = {"campaign": "news", "period": "2030-W01", "run": TICK, "user_id": user_id}
        made = request.requests.add(parent=QUEUE)
        made.task.name = f"{QUEUE}/tasks/{hashlib.sha256(user_id.encode()).hexdigest()}"
        made.task.dispatch_deadline.seconds = 60
        http = made.task.http_request
        http.url, http.http_method = "https://reminder.example", tasks_v2.HttpMethod.POST
        http.headers["Content-Type"] = "application/json"
        http.body = json.dumps({**body, "format": 1}).encode()
        http.oidc_token.service_account_email = "tasks@wire.iam.gserviceaccount.com"
        http.oidc_token.audience = "reminder"
    return bytes(request.SerializeToString())


def enqueue(address: str, users: int, number: int, parts: int) -> tuple[float, float]:
    """Do one shard of `parts`; its seconds, and the peak of the process's memory in MiB."""
    os.environ.update({**ENVIRONMENT, "CLOUD_TASKS_EMULATOR_HOST": address})
    os.environ.update({"COLD_QUEUE_RATE": "0", "HANDLER_BUDGET": "3000"})
    os.environ.update({"FUNCTION_TIMEOUT": "3600", "LEASE_SECONDS": "4000"})
    settings.current.cache_clear()
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the log of the functions
    size = -(-users // parts)
    part = Part(estimate=size, first=f"u{number * size:08}", before=f"u{(number + 1) * size:08}")
    with firestore.using(Generated(users)):
        run = runs.Run(campaign=NEWS, name=TICK)
        begun: list[Any] = [runs.created(run, NOW, parts=[size], force=False, queues=1)]
        firestore.commit([*begun, *shards.created(run, [part], NOW)])
        body = {"campaign": "news", "run": TICK, "shard": 0}
        began = time.monotonic()
        answer = campaigns.start(Call(body=body, raw=b"{}"), NAMES, slices=UNBOUND)
        took = time.monotonic() - began
        found = firestore.read(run.path).data
    expected = min(users, (number + 1) * size) - number * size
    assert (answer.result, found["enqueued"]) == ("enqueued", expected), (answer, found)
    return took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def measured(address: str, users: int, parts: int) -> tuple[float, float]:
    """All shards, each in a process of its own; tasks a second, and the largest peak of memory."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(parts) as pool:
        jobs = [(address, users, number, parts) for number in range(parts)]
        results = pool.starmap(enqueue, jobs, chunksize=1)
    return users / max(took for took, _ in results), max(peak for _, peak in results)


def against_baselines(address: str) -> tuple[float, list[tuple[object, ...]]]:
    """Tasks a second, and a row for each baseline."""
    same, calls = message(0), ROUND // MAX_BATCH
    contenders: dict[str, Callable[[], float]] = {
        "ours": lambda: measured(address, ROUND, 1)[0],
        "one create_task after another": lambda: one_after_another(address),
        "a raw loop of the same batch calls": lambda: raw(address, calls, make=message),
        "the same, one call after another": lambda: one_by_one(address, calls // 4),
        "a raw loop that repeats the same bytes": lambda: raw(address, calls, make=lambda _: same),
    }
    best = dict.fromkeys(contenders, 0.0)
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            best[name] = max(best[name], run())
    ours = best.pop("ours")
    return ours, [(name, rate, ours / rate) for name, rate in best.items()]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--users", type=int, action="append", help="how many; may be repeated")
    parser.add_argument("--shards", type=int, action="append", help="how many processes")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.serve is not None:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(asked.serve))
        return
    users = asked.users or [10_000, 100_000]
    with service() as address:
        found, rows = against_baselines(address)
        header = ("one instance", "tasks a second", "ours is times as fast")
        table(f"{found:,.0f} tasks a second, 10 ms a call", header, rows)
        sizes = [(f"{it:,}", *measured(address, it, 1)) for it in users]
        peaks = [(*row, row[2] / sizes[0][2]) for row in sizes]
        table("Memory", ("users", "tasks a second", "peak MiB", "÷ the first"), peaks)
        split = [(f"{it}", *measured(address, users[-1], it)) for it in asked.shards or [1, 2]]
        table("Shards", ("processes", "tasks a second", "peak MiB"), split)


if __name__ == "__main__":
    main()
