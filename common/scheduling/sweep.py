"""The sweep: rings what is overdue, because its alarm was lost or whoever was sending vanished."""

from common import idempotency
from common.cloud import firestore, tasks
from common.idempotency import Answer, Call, Job, Outcome, Work
from common.idempotency.claim import token
from common.process import logs
from common.scheduling import reminders

NAME = "reminder_sweep"
"""What the body of the Scheduler's tick names."""
SWEEP_LIMIT = 1000
"""Overdue reminders that one sweep rings; the next one goes on."""


def sweep(call: Call, *, limit: int = SWEEP_LIMIT) -> Answer:
    """Ring what is overdue, at most `limit` reminders. The key is the tick's time.

    Raises what `idempotency.run` raises.
    """
    tick = call.tick or call.task or token()
    job = Job(scope="fanout", key=f"sweep:{tick}", identity=NAME, payload=call.raw)
    logs.bind(campaign=NAME)
    return idempotency.run(job, lambda work: _ring_overdue(work, tick, limit))


def _ring_overdue(work: Work, tick: str, limit: int) -> Outcome:
    overdue = firestore.query(reminders.COLLECTION, ("overdue_at", "<", work.now), limit=limit)
    alarms = [
        reminders.alarm(found.data["reminder_id"], found.data["generation"], work.now, setter=tick)
        for found in overdue
    ]
    tasks.enqueue_all(alarms)
    count = len(alarms)
    logs.info("enqueued", f"{count} overdue reminders are rung again", rung=count)
    return Outcome(result="enqueued")
