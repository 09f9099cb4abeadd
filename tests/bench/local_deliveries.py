"""The local cloud's deliveries: a sweep each quarter of an hour that passes, and digests a second.

    python -m tests.bench.local_deliveries [--days 30] [--users 4000]

The bundle is deployed by `deploy.sh` to a local cloud of its own. Sweeps are the ticks of
`reminder-sweep` while `advance` moves the clock: from tick to tick the clock waits for the answer,
so what a sweep takes is what a day takes, divided by 96. Digests are the tasks of `weekly-digest`,
due all at once, in a queue that may dispatch 500 a second, until the last message is sent. CPU time
is that of the cloud's own process and of the function's. The baseline of both are plain POSTs, one
after another, to a function that does nothing.
"""

import argparse
import contextlib
import http.client
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from local.demo.provider import Provider
from local.demo.stage import Stage
from local.testing import REGION_OF_BUNDLE, LocalCloud
from tests.bench import workers
from tests.bench.rates import seconds, table

NOTHING = '''
import functions_framework


@functions_framework.http
def nothing(request):
    """Baseline."""
    return ""
'''
SWEEPS_A_DAY = 96
YEAR = 365
SUNDAY = 6
BEFORE_TICK = timedelta(hours=16, minutes=59)
"""Into Sunday: a minute before the tick of the digest."""
FAST = {"rateLimits": {"maxDispatchesPerSecond": 500, "maxConcurrentDispatches": 60}}
WRITES = 500
"""Of a batch that makes users."""
TIMES = 500
"""Plain POSTs of the baseline; the fastest counts."""

Row = Sequence[object]


@dataclass(frozen=True, kw_only=True)
class Took:
    """Seconds that something took in all, and of CPU time."""

    all: float
    cloud: float
    function: float


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--days", type=int, default=30, help="days of sweeps")
    parser.add_argument("--users", type=int, default=4000, help="users who get a digest")
    given = parser.parse_args()
    with stage() as (cloud, provider):
        bare = 1000 * plain(cloud)
        header = ("", "ms", "CPU of the cloud", "of the function", "a plain POST", "ratio")
        swept, sent = sweeps(cloud, given.days), digests(cloud, provider, given.users)
        rows = [_row("a sweep", swept, given.days * SWEEPS_A_DAY, bare)]
        rows.append(_row("a digest", sent, given.users, bare))
        table("Milliseconds of a delivery", header, rows)
        year = swept.all / given.days * YEAR
        print(f"\na year of sweeps: {year:,.0f} s; digests a second: {given.users / sent.all:,.0f}")


@contextlib.contextmanager
def stage() -> Iterator[tuple[LocalCloud, Provider]]:
    """A local cloud with the bundle and the baseline's function, and its mail provider."""
    provider = Provider()
    with contextlib.ExitStack() as closing:
        closing.callback(provider.close)
        made = Stage(MESSAGING_URL=f"{provider.url}/mail")
        closing.callback(made.close)
        cloud = closing.enter_context(contextlib.closing(LocalCloud(made.folder)))
        source = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        (source / "main.py").write_text(NOTHING)
        cloud.deploy(source, "nothing")
        yield cloud, provider


def plain(cloud: LocalCloud) -> float:
    """Seconds of one POST to a function that does nothing, over a connection that is open."""
    address = urlsplit(cloud.env["NOTHING_URL"]).netloc
    with contextlib.closing(http.client.HTTPConnection(address)) as connection:

        def post() -> None:
            connection.request("POST", "/", b"{}")
            connection.getresponse().read()

        return seconds(post, TIMES)


def sweeps(cloud: LocalCloud, days: int) -> Took:
    """So many days of sweeps, with nothing overdue."""
    cloud.advance("1d")  # until all is warm
    return _measured(cloud, "FANOUT", lambda: cloud.advance(timedelta(days=days)))


def digests(cloud: LocalCloud, provider: Provider, users: int) -> Took:
    """A digest for each user, in the hour in which all are due."""
    location = f"projects/{cloud.project}/locations/{REGION_OF_BUNDLE}"
    cloud.request("PATCH", f"/v2/{location}/queues/digests", FAST, updateMask="rateLimits")
    cloud.advance(_before_tick(cloud.now()) - cloud.now())
    _sign_up(cloud, users)  # after any earlier tick
    cloud.advance("14h")  # the tick, and its fan-out; Monday 8:00 is an hour later
    took = _measured(cloud, "REMINDER", lambda: cloud.advance("2h"))
    if (sent := len(provider.mails)) != users:
        raise RuntimeError(f"{sent:,} digests were sent, not {users:,}")
    return took


def _measured(cloud: LocalCloud, function: str, call: Callable[[], object]) -> Took:
    master = workers.serving(cloud.env[f"{function}_URL"])
    own = psutil.Process(master.ppid())
    before, began = (_cpu(own), workers.cpu_seconds(master)), time.monotonic()
    call()
    return Took(
        all=time.monotonic() - began,
        cloud=_cpu(own) - before[0],
        function=workers.cpu_seconds(master) - before[1],
    )


def _cpu(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def _row(name: str, took: Took, count: int, bare: float) -> Row:
    each = [1000 * one / count for one in (took.all, took.cloud, took.function)]
    return (name, *each, bare, each[0] / bare)


def _sign_up(cloud: LocalCloud, users: int) -> None:
    client = cloud.firestore()
    for first in range(0, users, WRITES):
        batch = client.batch()
        for number in range(first, min(first + WRITES, users)):
            name = f"u{number:06}"
            fields = {"user_id": name, "email": f"{name}@example.com", "name": name}
            batch.set(
                client.document(f"users/{name}"),
                {**fields, "digest_opt_in": True, "timezone": "Etc/UTC"},
            )
        batch.commit()


def _before_tick(now: datetime) -> datetime:
    """The minute before the next tick of the digest that is more than a day away."""
    day = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    while day.weekday() != SUNDAY:
        day += timedelta(days=1)
    return day + BEFORE_TICK


if __name__ == "__main__":
    main()
