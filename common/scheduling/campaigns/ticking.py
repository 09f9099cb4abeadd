"""What `fanout` is called for: a tick, a shard of a run, or a tally of what has been sent."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from common import idempotency
from common.cloud import firestore, tasks
from common.cloud.firestore import Write
from common.cloud.tasks import Task
from common.errors import TransientError, UnavailableError
from common.idempotency import Answer, Call, Job, Outcome, Work, dead_letters
from common.process import logs, settings
from common.scheduling.campaigns import runs, shards, working
from common.scheduling.campaigns.campaign import Campaign, named
from common.scheduling.campaigns.runs import FORMAT, Run
from common.scheduling.campaigns.shards import Part, State
from common.scheduling.campaigns.working import Slices
from common.scheduling.resuming import Input, Resumption

FUNCTION = "fanout"
QUEUE = "fanout"
"""Of the tasks that go on with a run."""
DEADLINE = timedelta(minutes=10)
"""How long Cloud Tasks waits for a shard: longer than the timeout of `fanout`."""
TALLIES = 24
"""How often a run is counted, at most: for a week, in which an outage may last."""
FIRST_TALLY, LAST_TALLY = timedelta(minutes=1), timedelta(hours=12)
"""The pauses between two tallies; each is twice the one before."""


def start(call: Call, campaigns: Mapping[str, Campaign], *, slices: Slices | None = None) -> Answer:
    """Begin a run, because a tick asks for one; or go on with a run, because its own task does.

    `campaigns` is the bundle's table. Raises MalformedError for a body that is none of these, and
    what the doing raises.
    """
    campaign = named(call, campaigns)
    if "shard" in call.body:
        return _go_on(call, campaign, slices or Slices())
    if "tally" in call.body:
        return _tally(call, campaign)
    run = runs.of(call, campaign)
    logs.bind(run=run.name)
    force = bool(call.body.get("force"))
    try:
        return idempotency.run(
            _job(call, run), lambda work: _begin(run, work, force=force, slices=slices)
        )
    except UnavailableError as error:
        return _put_off(call, run, error)


def _job(call: Call, run: Run) -> Job:
    return Job(
        scope=FUNCTION,
        key=run.id,
        identity={"campaign": run.campaign.name, "run": run.name},
        payload=call.raw,
        replay_of=call.replay_of,
        origin=call.origin,
        is_ringing=call.is_ringing,
        deferral=Resumption(
            key=run.id,
            input=Input(function=FUNCTION, data=_with_run(call, run), origin=call.origin),
        ),
    )


def _with_run(call: Call, run: Run) -> bytes:
    """The body, by which whoever goes on begins the same run."""
    return json.dumps({**call.body, "run": run.name}).encode()


def _put_off(call: Call, run: Run, error: UnavailableError) -> Answer:
    """Not even the hand-over could be recorded: a task brings the tick again, for weeks.

    Cloud Scheduler gives a tick up after a day. Raises `error` for what a task has brought, and
    where no task can be made.
    """
    if call.task is not None:
        raise error
    body = json.loads(_with_run(call, run))
    try:
        tasks.enqueue(_own_task(run, body, ("tick",)))
    except TransientError as failure:
        raise error from failure
    logs.warning("waiting", f"a task brings the tick again: {error}", reason="unavailable")
    return Answer(status="waiting")


def _begin(run: Run, work: Work, *, force: bool, slices: Slices | None) -> Outcome:
    """Record the run and its shards, then have them worked on."""
    work.write("run", lambda: _created(run, work.now, force=force, slices=slices or Slices()))
    found = run.read()
    if found.data["state"] == "skipped":
        return Outcome(result="skipped")
    made = [shard_task(run, number, 0) for number in range(found.data["shards"])]
    tasks.enqueue_all([*made, _tally_task(run, 0, work.now)])
    logs.info("enqueued", f"run {run.id} has {len(made)} shards")
    return Outcome(result="enqueued")


def _created(run: Run, now: datetime, *, force: bool, slices: Slices) -> Sequence[Write]:
    if run.read().exists:
        return []
    if run.campaign.overlap == "skip" and (other := runs.running(run.campaign, now)):
        logs.warning("skipped", f"run {other} of {run.campaign.name} still enqueues")
        return [runs.skipped(run, now, other)]
    parts: list[Part] = shards.split(run, size=slices.shard)
    estimates = [part.estimate for part in parts]
    queues = settings.current().queues_of(run.campaign.queue).count
    begun = runs.created(run, now, parts=estimates, force=force, queues=queues)
    return [begun, *shards.created(run, parts, now)]


def _go_on(call: Call, campaign: Campaign, slices: Slices) -> Answer:
    run = Run(campaign=campaign, name=call.text("run"))
    logs.bind(run=run.name)
    began = time.monotonic()
    budget = settings.current().handler_budget
    shard = shards.leased(run, call.whole("shard"), reopen=call.replay_of is not None)
    if shard.state != "running":
        runs.refresh(run)
        return Answer(status="dead_lettered" if shard.state == "dead" else "duplicate")
    state = working.work(call, shard, slices, until=began + budget)
    if state == "running":
        tasks.enqueue(shard_task(run, shard.number, shard.data["part"]))
        return Answer(status="done", result="enqueued")
    return _ended(call, run, state)


def _ended(call: Call, run: Run, state: State) -> Answer:
    runs.refresh(run)
    if state == "dead":
        return Answer(status="dead_lettered")
    if call.replay_of:
        firestore.commit([dead_letters.replayed(call.replay_of)])
    return Answer(status="done", result="enqueued" if state == "done" else "skipped")


def _tally(call: Call, campaign: Campaign) -> Answer:
    """Count what has been sent, and come again while there is more to come."""
    run = Run(campaign=campaign, name=call.text("run"))
    count = call.whole("tally")
    fields = runs.refresh(run, with_sent=True)
    if not fields or runs.is_settled(fields) or count >= TALLIES:
        return Answer(status="done", result="skipped")
    now = firestore.latest_time()
    assert now is not None
    tasks.enqueue(_tally_task(run, count + 1, now))
    return Answer(status="done", result="enqueued")


def shard_task(run: Run, number: int, part: int) -> Task:
    """The task that goes on with a shard; `part` is how often it has been handed on."""
    return _own_task(run, {"shard": number}, ("shard", str(number), str(part)))


def _tally_task(run: Run, count: int, now: datetime) -> Task:
    pause = min(FIRST_TALLY * 2**count, LAST_TALLY)
    return _own_task(run, {"tally": count}, ("tally", str(count)), at=now + pause)


def _own_task(
    run: Run, body: Mapping[str, Any], what: tuple[str, ...], at: datetime | None = None
) -> Task:
    config = settings.current()
    return Task(
        queue=QUEUE,
        url=config.fanout_url,
        body={"campaign": run.campaign.name, "run": run.name, **body, "format": FORMAT},
        identity=(FUNCTION, run.id, *what),
        at=at,
        audience=config.fanout_audience,
        deadline=DEADLINE,
    )
