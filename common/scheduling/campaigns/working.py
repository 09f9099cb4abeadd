"""Working on a shard: page after page, until it is done, cancelled, or its time is over.

While the tasks of one page are made, the next pages are read and their tasks begin too, so that
there are always calls under way. The cursor moves when a page is finished; what comes behind it is
made again by whoever goes on after a crash, and exists already.
"""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from msgspec import Struct

from common.cloud import firestore
from common.cloud.batches import Batches, Pace
from common.cloud.firestore import Snapshot
from common.cloud.tasks import MAX_BATCH
from common.errors import InProgressError, PermanentError, TransientError
from common.idempotency import Call, dead_letters
from common.idempotency.record import record_id
from common.idempotency.waits import MAX_ERROR, MAX_VANISHED, word
from common.process import logs, settings
from common.scheduling.campaigns.enqueuing import Enqueuer, Page
from common.scheduling.campaigns.shards import SIZE, Shard, State

FUNCTION = "fanout"
PATIENCE = 20.0
"""Seconds in which the tasks of a page must be made; a lease is longer."""
BEGUN = 3
"""Pages whose tasks are made at the same time."""
PACED = 5.0
"""Seconds that a page may take at the pace of a cold queue."""


class Slices(Struct, frozen=True, kw_only=True):
    """How much is done at once."""

    page: int = 1000
    """Users read, and tasks made, until the cursor moves."""
    shard: int = SIZE
    """Users in a shard, about."""
    reserve: float = 45.0
    """Seconds of the handler's budget that are left when a shard is handed on: one page's."""


def work(
    call: Call,
    shard: Shard,
    slices: Slices,
    *,
    until: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> State:
    """Make the tasks of a leased shard until the moment `until`; what the shard is then.

    `running` means that it is given back, and somebody has to go on. Raises InProgressError when it
    was taken over, and what cannot be done now, in which case it is given back too. A shard whose
    holders vanish again and again is given up before any of its work begins.
    """
    if shard.vanished >= MAX_VANISHED:
        text = f"the last {shard.vanished} attempts vanished"
        return _dead(call, shard, "vanished", text, attempts=shard.vanished)
    try:
        return _Working(shard, slices, until - slices.reserve, monotonic).run()
    except InProgressError:
        raise
    except TransientError as error:
        return _waiting(call, shard, error)
    except Exception as error:
        return _failed(call, shard, error)


class _Working:
    """The work of one invocation on one shard."""

    def __init__(
        self, shard: Shard, slices: Slices, until: float, monotonic: Callable[[], float]
    ) -> None:
        self._shard = shard
        self._until = until
        self._monotonic = monotonic
        self._begun: deque[Page] = deque()
        found = shard.run.read()
        self._force = bool(found.data.get("force"))
        rate = settings.current().cold_queue_rate * found.data["queues"] / found.data["shards"]
        age = (found.read_time - found.data["started_at"]).total_seconds()
        self._pace = Pace(first=rate, age=age)
        # A page must be made within the lease, also at the pace of a cold queue.
        paced = max(MAX_BATCH, int(self._pace.rate() * PACED)) if rate else slices.page
        self._size = min(slices.page, paced)

    def run(self) -> State:
        # Tasks that an invocation could not make are asked for anew by the next one.
        made = Batches(pace=self._pace, salt=f"{self._shard.data.get('waits', 0)} ")
        with ThreadPoolExecutor(max_workers=1) as reader, made as batches:
            self._enqueuer = Enqueuer(self._shard.run, batches, force=self._force)
            page = self._read(self._shard.cursor)
            while True:
                if self._is_cancelled():
                    return self._end("cancelled")
                following = self._ahead(reader, page)
                self._begun.append(self._enqueuer.begin(page, patience=PATIENCE))
                if following is None:
                    return self._end("done")
                if self._monotonic() >= self._until:
                    self._end("running")
                    self._shard.released(part=self._shard.data["part"] + 1)
                    return "running"
                if len(self._begun) == BEGUN:
                    self._turn()
                page = following.result()

    def _end(self, state: State) -> State:
        """Finish what has begun; with the last page, the shard has the state."""
        while len(self._begun) > 1:
            self._turn()
        self._turn(state)
        return state

    def _turn(self, state: State = "running") -> None:
        """Finish the page that began first."""
        if not self._begun:
            self._shard.turned(cursor=None, counts={}, state=state)
            return
        page = self._begun.popleft()
        counts = self._enqueuer.finish(page)
        self._shard.turned(cursor=page.cursor, counts=counts, state=state, last_due=page.last_due)

    def _ahead(
        self, reader: ThreadPoolExecutor, page: list[Snapshot]
    ) -> "Future[list[Snapshot]] | None":
        """The next page, while it is read; None: this one is the last."""
        if len(page) < self._size:
            return None
        return reader.submit(self._read, _id(page[-1]))

    def _read(self, after: str | None) -> list[Snapshot]:
        data = self._shard.data
        audience = self._shard.run.campaign.audience
        return audience.page(self._size, after=after, first=data["first"], before=data["before"])

    def _is_cancelled(self) -> bool:
        return bool(self._shard.run.read().data.get("state") == "cancelled")


def _id(found: Snapshot) -> str:
    return found.path.rpartition("/")[2]


def _waiting(call: Call, shard: Shard, error: TransientError) -> State:
    """It cannot be done now: give the shard back, or give it up when that has been so for long."""
    patience = settings.current().outage_patience
    since = shard.data.get("waits_since") or shard.fence
    if shard.fence - since < patience:
        shard.released(waits_since=since, waits=shard.data.get("waits", 0) + 1)
        raise error
    text = f"unavailable for {patience.total_seconds() / 3600:g} h: {error}"
    return _dead(call, shard, "outage", text, attempts=1)


def _failed(call: Call, shard: Shard, error: Exception) -> State:
    """Our own mistake: try again a few times, then give the shard up with a dead letter."""
    logs.error("failed", str(error), exc=error)
    failures = shard.data["failures"] + 1
    if failures < settings.current().max_attempts and not isinstance(error, PermanentError):
        shard.released(failures=failures)
        raise error
    reason = word(error) if isinstance(error, PermanentError) else "attempts_used_up"
    return _dead(call, shard, reason, f"{type(error).__name__}: {error}", attempts=failures)


def _dead(call: Call, shard: Shard, reason: str, error: str, *, attempts: int) -> State:
    text = error[:MAX_ERROR]
    letter = dead_letters.opened(
        record_id(FUNCTION, shard.id),
        source=FUNCTION,
        reason=reason,
        error=text,
        payload=call.raw,
        attempts=attempts,
        now=firestore.latest_time(),
        key=shard.id,
        origin=call.origin,
    )
    firestore.commit([letter])
    shard.released(state="dead", error=text, failures=0, waits_since=None)
    logs.error("dead_lettered", text)
    return "dead"
