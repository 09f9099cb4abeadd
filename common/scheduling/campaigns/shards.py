"""Shards: the parts of an audience, each with a document that says how far it has come.

    fanouts/{run}/shards/{number}

    running ──leased──▶ page, page, page … ──▶ done
       ▲                 │     │
       │   its deadline  │     └──the run is cancelled──▶ cancelled
       └─────────────────┴──given up (our mistakes, an outage,──▶ dead ──replayed──▶ running
                            killed again and again)

Whoever holds the lease works on the shard. Each page renews the lease and moves the cursor, in one
write that replaces exactly the one before: so whoever lost the lease changes nothing any more, and
whoever takes a killed one over goes on behind its last page. The lease is short, because it is
renewed by each page.

A holder that writes no end has vanished. `vanished` counts those that did so in a row, without a
page in between; the pauses between them grow.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from common.cloud import firestore
from common.cloud.firestore import Create, Update, Write
from common.errors import InProgressError, MalformedError, RefusedError, TransientError
from common.idempotency.waits import MAX_VANISHED, vanished_pause
from common.process import logs, settings
from common.scheduling.campaigns.runs import COUNTED, FORMAT, MAX_TRIES, RETENTION, Run

LEASE = timedelta(seconds=30)
"""How long the holder of a shard may write nothing before somebody else takes it over."""
SIZE = 50_000
"""Users in one shard, about."""
MOST = 16
"""Shards of one run, at most: more than the functions that work on them at once."""

State = Literal["running", "done", "cancelled", "dead"]


class Part(Struct, frozen=True, kw_only=True):
    """A range of document ids, and about how many of the audience are in it."""

    estimate: int
    first: str | None = None
    """None: from the beginning."""
    before: str | None = None
    """None: to the end."""


def split(run: Run, *, size: int = SIZE, most: int = MOST) -> list[Part]:
    """Cut the audience into parts of about one size; a small one is one part. Raises what
    `firestore.count` and `firestore.cuts` raise."""
    audience = run.campaign.audience
    expected = firestore.count(audience.collection, *audience.filters)
    wanted = min(most, -(-expected // size))
    cuts = firestore.cuts(audience.collection, wanted) if wanted > 1 else []
    ends: list[str | None] = [None, *cuts, None]
    count = len(cuts) + 1
    shares = [expected // count + (it < expected % count) for it in range(count)]
    return [
        Part(estimate=share, first=first, before=before)
        for share, (first, before) in zip(shares, pairwise(ends), strict=True)
    ]


def created(run: Run, parts: Sequence[Part], now: datetime) -> list[Write]:
    """The writes that begin the shards of a run."""
    return [
        Create(
            path=path(run, number),
            fields={
                "format": FORMAT,
                "state": "running",
                "first": part.first,
                "before": part.before,
                "estimate": part.estimate,
                "cursor": None,
                "last_due": None,
                "part": 0,
                "failures": 0,
                "waits": 0,
                "waits_since": None,
                "vanished": 0,
                "owner": None,
                **dict.fromkeys(COUNTED, 0),
                "updated_at": now,
                "expire_at": now + RETENTION,
            },
        )
        for number, part in enumerate(parts)
    ]


def path(run: Run, number: int) -> str:
    """Where the document of a shard is."""
    return f"{run.path}/shards/{number}"


class Shard(Struct, kw_only=True):
    """A shard as its holder knows it: what is stored, and the time of the write that stored it."""

    run: Run
    number: int
    data: Mapping[str, Any]
    fence: datetime
    owner: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def id(self) -> str:
        """What its dead letter calls it."""
        return f"{self.run.id}/{self.number}"

    @property
    def state(self) -> State:
        """Where it is in its life."""
        state: State = self.data["state"]
        return state

    @property
    def cursor(self) -> str | None:
        """The document after which it goes on; None: it begins."""
        cursor: str | None = self.data["cursor"]
        return cursor

    @property
    def vanished(self) -> int:
        """How many of its holders have vanished in a row."""
        return int(self.data.get("vanished", 0))

    def turned(
        self,
        *,
        cursor: str | None,
        counts: Mapping[str, int],
        state: State = "running",
        last_due: datetime | None = None,
    ) -> None:
        """A page is finished, and perhaps the shard: move the cursor, add to the counts, renew the
        lease. `last_due` is when the last task of the page is due. Raises what `commit` raises."""
        dues = [it for it in (self.data.get("last_due"), last_due) if it]
        fields: dict[str, Any] = {it: self.data[it] + counts.get(it, 0) for it in COUNTED}
        fields |= {"cursor": cursor or self.cursor, "state": state}
        fields["last_due"] = max(dues, default=None)
        self.commit({**fields, "failures": 0, "waits_since": None, "vanished": 0})

    def released(self, **fields: Any) -> None:
        """Give it back: whoever comes next may work on it. Raises what `commit` raises."""
        self.commit({**fields, "owner": None})

    def commit(self, fields: Mapping[str, Any]) -> None:
        """Change it, and renew the lease. Raises InProgressError when it is ours no more, and
        TransientError when that cannot be found out."""
        write = Update(
            path=path(self.run, self.number),
            fields={
                "owner": self.owner,
                **fields,
                "write": secrets.token_hex(8),
                "updated_at": self.fence,
            },
            update_time=self.fence,
        )
        for _ in range(MAX_TRIES):
            if self._is_written(write):
                self.data = {**self.data, **write.fields}
                return
            write = replace(write, update_time=self.fence)
        raise TransientError(f"shard {self.number} of run {self.run.id} cannot be written")

    def _is_written(self, write: Update) -> bool:
        try:
            self.fence = firestore.commit([write])
        except (RefusedError, TransientError) as error:
            # The reply may be lost: what is there decides.
            return self._read_back(write, error)
        return True

    def _read_back(self, write: Update, error: Exception) -> bool:
        logs.warning("uncertain", str(error))
        found = firestore.read(write.path)
        if found.data.get("write") == write.fields["write"] and found.update_time:
            self.fence = found.update_time
            return True
        if found.update_time != self.fence:
            raise InProgressError(f"shard {self.number} was taken over")
        return False


def leased(run: Run, number: int, *, reopen: bool = False) -> Shard:
    """Take the lease of a shard, or show what it has become: `state` says which.

    `reopen` makes one that is dead run again. Raises InProgressError while somebody else holds it,
    and during the pause after holders that vanished; MalformedError where there is none, and
    TransientError.
    """
    found = firestore.read(path(run, number))
    if found.update_time is None:
        raise MalformedError(f"run {run.id:.200} has no shard {number}")
    shard = Shard(run=run, number=number, data=found.data, fence=found.update_time)
    is_dead = shard.state == "dead" and reopen
    if shard.state != "running" and not is_dead:
        return shard
    vanished = shard.vanished + 1 if shard.data["owner"] else 0
    if vanished and (left := _left(shard, vanished, found.read_time)) > 0:
        text = f"somebody is at work on shard {number}, or has vanished"
        raise InProgressError(text, retry_after=left)
    shard.commit({"state": "running", "vanished": vanished})
    if vanished:
        text = f"shard {number}: {vanished} attempts before this one vanished"
        logs.warning("claimed", text, shard=number, vanished=vanished)
    return shard


def _left(shard: Shard, vanished: int, now: datetime) -> float:
    """Seconds until it may be taken over: of its lease, and of the pause after the last `vanished`
    holders. Both begin with the last write, by the server's clock."""
    lease, age = LEASE.total_seconds(), (now - shard.fence).total_seconds()
    if vanished >= MAX_VANISHED:
        return lease - age
    return vanished_pause(vanished, lease, settings.current().outage_patience) - age
