"""Whether every effect happens once, however long everything goes wrong: a long storm with kills.

    python -m tests.bench.soak [--deliveries 100000] [--kills 20] [--seed 1]

The bundle is deployed by `deploy.sh` to a local cloud of its own, and customers shop there: of all
deliveries to the functions 30 % are made twice, in 5 % a function is killed, 10 % of their
acknowledgements are lost; 5 % of the calls to Firestore and Cloud Tasks fail, of 5 % the answer is
lost, and so it is with the provider of messages and the inventory. In the middle both are down for
a day. Again and again everything is killed at once by `kill -9`, the local cloud too, while a
message is on its way, and started again from what it has on disk.

After that nothing goes wrong any more, and time passes until nothing is due. What is printed then,
and must be none: what was lost, what was doubled, what is dead, and what is stuck. The program ends
with 1 if there is any of these. Half of the time goes to the day of the outage, for all that waits
is tried again every half an hour, one after the other.
"""

import argparse
import contextlib
import http.client
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from local.demo.provider import Provider
from local.testing import LocalCloud, Refused
from tests.bench.rates import table
from tests.functions import customers, storms
from tests.functions.shop_cloud import ROOT, Shop
from tests.functions.storms import Verdict
from tests.local.outside import Outside

TOPIC = "commerce-events"
NASTY = {
    "duplicates": 0.3,
    "reorder": 0.1,
    "crashes": 0.05,
    "lost_acks": 0.1,
    "errors": 0.05,
    "lost_replies": 0.05,
}
REFUSED, UNANSWERED = 0.05, 0.05
"""What the provider and the inventory do with requests: 503, and an answer that is lost."""
PER_CUSTOMER = 16
"""Deliveries, about."""
LATER = ("onboarding_day_1",)
"""What is sent besides what `customers` says, within the time that passes."""
A_WHILE = timedelta(hours=4)
"""Virtual time between two kills."""
OUTAGE = timedelta(days=1)
FEW = 8
"""Customers who come during it: all day each of their messages is tried again, one at a time."""
CART_REMINDER_DELAY = timedelta(days=1)
LONGEST_CALM = 30
"""Days after which what still waits is stuck."""
SHOWN = 20
"""Lines of what is not as it must be."""
GONE = (Refused, OSError, http.client.HTTPException)
"""What somebody sees who asks a cloud that is killed."""


@dataclass
class Tally:
    """What there was, over all lives of the cloud."""

    deliveries: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    """The most of any message, task or tick."""
    kills: int = 0

    def add(self, status: dict[str, Any]) -> None:
        """Count one life of the cloud, at its end."""
        self.deliveries.update(status["deliveries"])
        self.injected.update(status["faults"]["injected"])
        self.attempts |= Counter(status["attempts"])


@dataclass
class Trap:
    """Kills everything at the `left`-th request to the outside, while it is on its way."""

    soak: "Soak"
    left: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self) -> None:
        """One request more. Raises ConnectionError where it has sprung: who asked is no more."""
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.soak.kill()
        if self.left <= 0:
            raise ConnectionAbortedError


class Soak:
    """A shop in a storm of many days, on a cloud that is killed again and again."""

    def __init__(self, folder: Path, provider: Provider, *, size: int, kills: int, seed: int):
        self.tally = Tally()
        self.customers: list[str] = []
        self._outside = Outside(folder)
        self._provider = provider
        self._kills = kills
        self._a_life = max(size // (PER_CUSTOMER * (kills + 1)), 2)
        self._size = size
        self._chance = random.Random(seed)
        self._unpublished: list[dict[str, Any]] = []
        self._trap: Trap | None = None
        self._cloud: LocalCloud | None = None
        self._killing = threading.Lock()
        self._is_stormy = True
        self._is_down = False
        self._down_until: datetime | None = None
        provider.is_down = self._refuses
        provider.before_answer = self._loses

    def run(self) -> Verdict:
        """Let the storm rage, then wait for what is left; what is not as it must be then."""
        with self._life() as cloud:
            deploy(cloud, self._provider)
        while self.tally.kills < self._kills or self.tally.deliveries.total() < self._size:
            self._live()
        with self._life() as cloud:
            return self._calm(Shop(cloud, self._provider))

    def kill(self) -> None:
        """`kill -9` of the cloud and of all functions, and count what it had done."""
        with self._killing:
            if self._cloud:
                self.tally.add(self._cloud.status())
                self._outside.kill()
                self._cloud = None
                self.tally.kills += 1

    @contextlib.contextmanager
    def _life(self) -> Iterator[LocalCloud]:
        with self._outside.up() as cloud:
            self._cloud = cloud
            yield cloud
            with self._killing:
                if self._cloud:
                    self.tally.add(cloud.status())
                    self._cloud = None

    def _live(self) -> None:
        """A while passes, customers come, and while they are served everything is killed."""
        began = time.monotonic()
        is_middle = self.tally.kills == self._kills // 2 and self._down_until is None
        with self._life() as cloud:
            cloud.faults(seed=self._chance.randrange(2**31), **NASTY)
            self._end_outage(cloud)
            cloud.advance(A_WHILE)  # what was interrupted goes on
            coming = self._a_life
            if is_middle:
                self._down_until, self._is_down = cloud.now() + OUTAGE, True
                coming = min(coming, FEW)
            self._come(coming)
            if self.tally.kills < self._kills:
                self._trap = Trap(self, self._chance.randint(1, 2 * coming))
            with contextlib.suppress(*GONE):
                self._publish(cloud)
                cloud.advance(A_WHILE)
                if self._trap:
                    self.kill()
            self._trap = None
        self._say(time.monotonic() - began)

    def _end_outage(self, cloud: LocalCloud) -> None:
        if self._is_down:
            assert self._down_until
            cloud.advance(max(self._down_until - cloud.now(), timedelta()))
            self._is_down = False

    def _come(self, many: int) -> None:
        """New customers, who make events."""
        first = len(self.customers)
        self.customers += [f"c{number:05}" for number in range(first, first + many)]
        for user in self.customers[first:]:
            for number, (kind, payload) in enumerate(customers.happens(user)):
                ids = {"event_id": f"{user}-{number}", "user_id": user}
                self._unpublished.append({**ids, "event_type": kind, "payload": payload})

    def _publish(self, cloud: LocalCloud) -> None:
        """Whoever does not learn that an event was taken publishes it again."""
        if self._unpublished:
            cloud.publish(*self._unpublished, topic=TOPIC)
            self._unpublished = []

    def _calm(self, shop: Shop) -> Verdict:
        self._is_stormy = False
        self._end_outage(shop.cloud)
        self._publish(shop.cloud)
        for _ in range(LONGEST_CALM):
            shop.cloud.advance("1d")
            if not storms.waiting(shop):
                break
        expected = customers.messages(self.customers, also=LATER)
        return storms.verdict(shop, expected, customers.orders(self.customers))

    def _refuses(self) -> bool:
        if self._is_down:
            with contextlib.suppress(ConnectionAbortedError):
                self._step()
            return True
        return self._is_stormy and self._chance.random() < REFUSED

    def _loses(self, body: dict[str, Any]) -> None:
        self._step()
        if self._is_stormy and self._chance.random() < UNANSWERED:
            raise ConnectionAbortedError

    def _step(self) -> None:
        if self._trap:
            self._trap.step()

    def _say(self, seconds: float) -> None:
        done = f"{self.tally.deliveries.total():,} deliveries, {len(self.customers):,} customers"
        print(f"{self.tally.kills} kills: {done}; {seconds:.0f} s", file=sys.stderr, flush=True)


def deploy(cloud: LocalCloud, provider: Provider) -> None:
    """The bundle, as its table says."""
    cloud.deploy_bundle(
        ROOT,
        MESSAGING_URL=f"{provider.url}/mail",
        INVENTORY_URL=f"{provider.url}/inventory",
        CART_REMINDER_DELAY=f"{CART_REMINDER_DELAY.total_seconds():.0f}",
    )


@contextlib.contextmanager
def soak(*, size: int, kills: int, seed: int = 1) -> Iterator[tuple[Tally, Verdict]]:
    """A whole soak: what there was, and what is not as it must be."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        with contextlib.closing(Provider()) as provider:
            soaked = Soak(Path(folder), provider, size=size, kills=kills, seed=seed)
            verdict = soaked.run()
        yield soaked.tally, verdict


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; 1: something is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--deliveries", type=int, default=4_000, help="at least (%(default)s)")
    parser.add_argument("--kills", type=int, default=20, help="kill -9 of everything (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of all chances (%(default)s)")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and the cloud ends too
    with soak(size=options.deliveries, kills=options.kills, seed=options.seed) as (tally, verdict):
        tell(tally, verdict)
    return 0 if verdict.holds else 1


def tell(tally: Tally, verdict: Verdict) -> None:
    """Print what there was and what came of it."""
    table(
        "Deliveries",
        ("by", "", "most of one"),
        [(who, f"{count:,}", tally.attempts[who]) for who, count in tally.deliveries.most_common()],
    )
    table(
        "What went wrong",
        ("", ""),
        [
            ("kill -9 of everything", f"{tally.kills:,}"),
            *((kind, f"{count:,}") for kind, count in tally.injected.most_common()),
        ],
    )
    table("What came of it", ("", ""), [(name, len(it)) for name, it in vars(verdict).items()])
    for name, lines in vars(verdict).items():
        for line in lines[:SHOWN]:
            print(f"{name}: {line}")


if __name__ == "__main__":
    sys.exit(main())
