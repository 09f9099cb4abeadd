"""Runs: what one tick of a campaign has become, in the document `fanouts/{campaign}:{run}`.

    running ──the last shard is done──▶ complete
       └──────────── cancel ──────────────┴──▶ cancelled
    skipped: an earlier run of the campaign was still enqueuing

The numbers are sums of what the shards say, and counts of what has been sent. Whoever looks can
write them (`refresh`); nobody adds to them, so no write of them is hot, lost or made twice.

A run is named by its time: the tick's, or, fired by hand, that moment's and a random end.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from msgspec import Struct

from common.cloud import firestore
from common.cloud.firestore import Create, Snapshot, Write
from common.errors import MalformedError, RefusedError, TransientError
from common.idempotency import Call, counts
from common.process import logs, settings, times
from common.scheduling.campaigns.campaign import Campaign, Edition

COLLECTION = "fanouts"
FORMAT = 1
YEARS = (1970, 9000)
"""Of a tick, at least and at most: around it there are windows and periods."""
RETENTION = timedelta(days=90)
BLOCKS = timedelta(days=1)
"""How long a run that does not end keeps later ones from beginning."""
MAX_TRIES = 8
COUNTED = ("read", "enqueued", "duplicate", "failed", "too_late", "unknown_zone")
"""What each shard counts, and the run sums up."""
SETTLED = ("sent", "skipped", "dead")
"""What can have become of a task."""
BY_HAND = "~"
"""Stands between the time and the end of the name of a run that was fired by hand."""


class Run(Struct, frozen=True, kw_only=True):
    """One run of a campaign, by its name."""

    campaign: Campaign
    name: str

    @property
    def id(self) -> str:
        """What an operator calls the run."""
        return f"{self.campaign.name}:{self.name}"

    @property
    def path(self) -> str:
        """Where its document is."""
        return f"{COLLECTION}/{firestore.document_id(self.id)}"

    @property
    def edition(self) -> Edition:
        """What the run tells."""
        day = self.campaign.day(self.tick)
        period = self.campaign.period(day)
        return Edition(campaign=self.campaign.name, period=period, day=day, run=self.name)

    @property
    def tick(self) -> datetime:
        """The time that its name tells. Raises MalformedError."""
        time = times.parse_or_none(self.name.partition(BY_HAND)[0])
        if time is None or not YEARS[0] <= time.year <= YEARS[1]:
            raise MalformedError(f"{self.name!r:.100} is no run")
        return time

    def read(self) -> Snapshot:
        """Its document. Raises TransientError."""
        return firestore.read(self.path)


def of(call: Call, campaign: Campaign) -> Run:
    """The run that a call is about: the one it names, else the one of its tick.

    A firing by hand has no tick; its run is a new one of this moment.
    """
    if (given := call.optional_text("run")) is not None:
        return Run(campaign=campaign, name=given)
    if (tick := tick_of(call)) is not None:
        return Run(campaign=campaign, name=tick.isoformat())
    now = firestore.read(f"{COLLECTION}/now").read_time.astimezone(UTC)
    end = (call.task or secrets.token_hex(8))[:8]
    return Run(campaign=campaign, name=f"{now.isoformat()}{BY_HAND}{end}")


def tick_of(call: Call) -> datetime | None:
    """The time of the tick that a call is a firing, or a replay, of."""
    if call.tick is None:
        return None
    if (time := times.parse_or_none(call.tick)) is None:
        logs.warning("received", f"the tick's time {call.tick!r:.100} cannot be read")
    return time


def created(run: Run, now: datetime, *, parts: Sequence[int], force: bool, queues: int) -> Create:
    """The write that begins a run, whose shards are estimated to hold so many users each."""
    fields = {
        **_described(run, now),
        "state": "running",
        "force": force,
        "queues": queues,
        "a_second": settings.current().queues_of(run.campaign.queue).a_second,
        "shards": len(parts),
        "shards_done": 0,
        **dict.fromkeys((*COUNTED, *SETTLED), 0),
        "expected": sum(parts),
        "finished_at": None,
    }
    return Create(path=run.path, fields={**fields, "time_left": _time_left(fields, now)})


def skipped(run: Run, now: datetime, other: str) -> Create:
    """The write that records a tick whose run is skipped, because of another one."""
    fields = {"state": "skipped", "overlaps": other, "shards": 0, "finished_at": now}
    return Create(path=run.path, fields={**_described(run, now), **fields})


def _described(run: Run, now: datetime) -> dict[str, Any]:
    edition = run.edition
    return {
        "format": FORMAT,
        "campaign": run.campaign.name,
        "run": run.name,
        "period": edition.period,
        "day": edition.day.isoformat(),
        "tick": run.tick,
        "started_at": now,
        "updated_at": now,
        "expire_at": now + RETENTION,
    }


def running(campaign: Campaign, now: datetime) -> str | None:
    """A run of the campaign that is still enqueuing."""
    filters = (("campaign", "==", campaign.name), ("state", "==", "running"))
    for found in firestore.query(COLLECTION, *filters):
        if now - found.data["started_at"] < BLOCKS:
            return str(found.data["run"])
    return None


def cancel(run_id: str) -> Literal["cancelled", "already_cancelled", "unknown"]:
    """Cancel a run: no further task is made, and those that wait send nothing any more.

    `run_id` is campaign and run, with a colon between. Who has got the message has got it. Another
    run of the same period reaches the others. Raises TransientError.
    """
    path = f"{COLLECTION}/{firestore.document_id(run_id)}"
    for _ in range(MAX_TRIES):
        found = firestore.read(path)
        if found.data.get("state") in (None, "skipped"):
            return "unknown"
        if found.data["state"] == "cancelled":
            return "already_cancelled"
        fields = {"state": "cancelled", "cancelled_at": found.read_time}
        if _is_written(found.write({**fields, "finished_at": found.read_time})):
            logs.info("cancelled", f"run {run_id}")
            return "cancelled"
    raise TransientError(f"run {run_id} keeps changing")


def refresh(run: Run, *, with_sent: bool = False) -> Mapping[str, Any]:
    """Write the run's numbers as they are now, and that it is complete if it is; its fields.

    `with_sent` also counts what has been sent and skipped, which costs one read for each thousand
    of them. Raises TransientError.
    """
    for _ in range(MAX_TRIES):
        found = run.read()
        if not found.exists:
            return {}
        fields = _sums(found)
        if with_sent:
            fields |= _sent({**found.data, **fields}, found.read_time)
        if _is_written(found.write({**fields, "updated_at": found.read_time})):
            return {**found.data, **fields}
    raise TransientError(f"run {run.id} keeps changing")


def live(found: Snapshot) -> Mapping[str, Any]:
    """A run's fields with its numbers as they are now, which nobody has to have written.

    `found` is its document. Costs a read of each shard, and one for each thousand messages that
    have been sent. Raises TransientError.
    """
    if found.data.get("state") in (None, "skipped"):
        return found.data
    sums = {**found.data, **_sums(found)}
    return {**sums, **_sent(sums, found.read_time), "state": found.data["state"]}


def _sums(found: Snapshot) -> dict[str, Any]:
    parts = [it.data for it in firestore.query(f"{found.path}/shards")]
    done = [it for it in parts if it["state"] == "done"]
    fields: dict[str, Any] = {name: sum(it[name] for it in parts) for name in COUNTED}
    fields["expected"] = sum(map(_expected, parts))
    fields["shards_done"] = len(done)
    fields["last_due"] = max((it["last_due"] for it in parts if it.get("last_due")), default=None)
    if len(done) == len(parts) and found.data["state"] == "running":
        fields |= {"state": "complete", "finished_at": found.read_time}
    return fields


def _expected(part: Mapping[str, Any]) -> int:
    """How many tasks a shard will have tried to make: an estimate until it has read its part."""
    seen = int(part["read"]) - int(part["too_late"])
    return seen if part["state"] == "done" else max(seen, int(part["estimate"]))


def _sent(fields: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """What has been sent by now, how fast, and how long the rest will take."""
    sent, skipped, dead = counts.of_parts(f"{fields['campaign']}:{fields['run']}")
    found: dict[str, Any] = {"sent": sent, "skipped": skipped, "dead": dead, "counted_at": now}
    since = fields.get("counted_at")
    if since is not None and (seconds := (now - since).total_seconds()) > 0:
        found["rate"] = round(max(0, sent - fields.get("sent", 0)) / seconds, 2)
    return {**found, "time_left": _time_left({**fields, **found}, now)}


def _time_left(fields: Mapping[str, Any], now: datetime) -> float | None:
    """Seconds until nobody is still to get the message; None: not known.

    That is not before the last task is due, and takes as long as the others took of late, or,
    while none has been sent, as the queues allow.
    """
    if is_settled(fields):
        return 0.0
    made = max(fields["expected"] - fields["failed"], fields["enqueued"])
    left = max(0, made - sum(fields.get(name, 0) for name in SETTLED))
    a_second = fields.get("rate") or fields["queues"] * (fields["a_second"] or 0)
    due: datetime = fields.get("last_due") or now
    waits = (due - now).total_seconds()
    if not a_second and waits <= 0:
        return None
    takes: float = left / a_second if a_second else 0.0
    return round(max(waits, takes), 1)


def is_settled(fields: Mapping[str, Any]) -> bool:
    """Whether nobody is still to get, or to be refused, the message of a run."""
    if fields.get("state") not in ("complete", "cancelled"):
        return False
    settled = sum(fields.get(name, 0) for name in SETTLED)
    return bool(fields["state"] == "cancelled" or settled >= fields["enqueued"])


def _is_written(write: Write) -> bool:
    try:
        firestore.commit([write])
    except RefusedError:
        return False
    return True
