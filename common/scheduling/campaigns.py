"""Campaigns: one tick becomes one task per user, and one message per user and period.

    tick ──▶ fanout: a page of users ──▶ one task each on a `digests` queue ──▶ reminder: sends
                     └── more users? ──▶ a task back to fanout, from where this one stopped

A run is the campaign and the tick's scheduled time; a slice of it is the run and the user it goes
on behind. Both fire twice without effect: a slice is claimed, a task's name is its run and user,
and the message is claimed by campaign, period and user. Memory does not grow with the audience.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from common import idempotency
from common.cloud import firestore, tasks
from common.cloud.firestore import Increment, Merge, Snapshot
from common.cloud.tasks import Task
from common.errors import MalformedError
from common.idempotency import Answer, Job, Outcome, Work
from common.process import logs, settings
from common.triggers import events
from common.triggers.http import Call

FUNCTION = "fanout"
PAGE = 100
"""Users read, and tasks created, at a time."""
SLICE = 20
"""Pages of one invocation; it ends early when its budget does."""
RESERVE = 15.0
"""Seconds of the budget left for the continuation."""
DEADLINE = timedelta(minutes=10)
"""How long Cloud Tasks waits for a slice: longer than fanout's timeout."""
RETENTION = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What a tick starts."""

    queue: str
    period: Callable[[datetime], str]
    """The period a moment belongs to; a user gets one message in each."""
    audience: tuple[tuple[str, str, Any], ...]
    """Equality filters on `users`: (field, "==", value)."""


def week(moment: datetime) -> str:
    """The ISO week of a moment, UTC: `2026-W47`."""
    year, number, _ = moment.astimezone(UTC).isocalendar()
    return f"{year}-W{number:02d}"


def start(call: Call, campaigns: Mapping[str, Campaign]) -> Answer:
    """Enqueue one slice of a campaign's run; the Scheduler's tick asks for the first one."""
    name = events.text(call.body, "campaign")
    if name not in campaigns:
        raise MalformedError(f"{name!r:.100} is no campaign")
    part = _Slice(call, name, campaigns[name])
    with logs.bound(campaign=name):
        return idempotency.run(part.job(), part.enqueue)


def ring(call: Call, send: Mapping[str, Callable[[str, Work], Outcome]]) -> Answer:
    """A task of a campaign for one user: send that user's message of that period."""
    name = events.text(call.body, "campaign")
    period = events.text(call.body, "period")
    user_id = events.text(call.body, "user_id")
    if name not in send:
        raise MalformedError(f"{name!r:.100} is no campaign")
    identity = {"campaign": name, "period": period, "user_id": user_id}
    job = Job(
        scope="reminder",
        key=f"{name}:{period}:{user_id}",
        identity=identity,
        payload=call.raw,
        replay_of=call.replay_of,
    )
    with logs.bound(campaign=name, period=period, user_id=user_id):
        return idempotency.run(job, lambda work: send[name](user_id, work))


class _Slice:
    """Some pages of one run."""

    def __init__(self, call: Call, name: str, campaign: Campaign) -> None:
        self._call = call
        self._name = name
        self._campaign = campaign
        self._after = _given(call, "after")
        self._given_period = _given(call, "period")
        # A tick names its time; a firing by hand without one is a run of its own.
        self._run = _given(call, "run") or call.tick or call.task or secrets.token_hex(8)

    def job(self) -> Job:
        return Job(
            scope=FUNCTION,
            key=f"{self._name}:{self._run}:{self._after or ''}",
            identity={"campaign": self._name, "after": self._after},
            payload=self._call.raw,
            replay_of=self._call.replay_of,
        )

    def enqueue(self, work: Work) -> Outcome:
        """Page after page, then the continuation; counts commit with the done mark."""
        period = self._period(work)
        created = existed = 0
        after = self._after
        for page in self._pages(work):
            made = tasks.enqueue_all(self._task(user, period) for user in page)
            created += made.count("created")
            existed += made.count("existed")
            after = page[-1].path.rpartition("/")[2]
            if len(page) < PAGE:
                after = None
        if after != self._after and after is not None:
            self._continue(after, period)
        logs.info("enqueued", f"{created} tasks of {self._name} {period}", existed=existed)
        return Outcome(result="enqueued", writes=[self._count(work, period, created, existed)])

    def _period(self, work: Work) -> str:
        now = _moment(self._call.tick) or work.now
        return self._given_period or self._campaign.period(now)

    def _pages(self, work: Work) -> Iterator[list[Snapshot]]:
        after = self._after
        for _ in range(SLICE):
            page = list(firestore.query("users", *self._campaign.audience, limit=PAGE, after=after))
            if page:
                yield page
            if len(page) < PAGE or work.remaining() < RESERVE:
                return
            after = page[-1].path.rpartition("/")[2]

    def _task(self, user: Snapshot, period: str) -> Task:
        here = settings.current()
        user_id = _user_id(user)
        return Task(
            queue=self._campaign.queue,
            url=here.reminder_url,
            body={"campaign": self._name, "period": period, "user_id": user_id},
            identity=(self._name, period, user_id, self._run),
            audience=here.reminder_audience,
        )

    def _continue(self, after: str, period: str) -> None:
        here = settings.current()
        body = {"campaign": self._name, "period": period, "run": self._run, "after": after}
        tasks.enqueue(
            Task(
                queue="fanout",
                url=here.fanout_url,
                body=body,
                identity=(FUNCTION, self._name, self._run, after),
                audience=here.fanout_audience,
                deadline=DEADLINE,
            )
        )

    def _count(self, work: Work, period: str, created: int, existed: int) -> Merge:
        run = firestore.document_id(f"{self._name}:{self._run}")
        fields = {
            "campaign": self._name,
            "period": period,
            "enqueued": Increment(created),
            "duplicate": Increment(existed),
            "updated_at": work.now,
            "expire_at": work.now + RETENTION,
        }
        return Merge(path=f"fanouts/{run}", fields=fields)


def _user_id(user: Snapshot) -> str:
    # A document written by others need not have the field; its id is the user's, escaped.
    name = firestore.original_name(user.path.rpartition("/")[2])
    return str(user.data.get("user_id") or name or "")


def _given(call: Call, name: str) -> str | None:
    """What a slice tells its continuation; a tick gives nothing."""
    if call.body.get(name) is None:
        return None
    value = events.text(call.body, name)
    if name == "after" and "/" in value:
        raise MalformedError(f"after is {value!r:.100}, not the id of a user's document")
    return value


def _moment(tick: str | None) -> datetime | None:
    """A Scheduler's time header; None where it is absent or unreadable."""
    if tick is None:
        return None
    try:
        moment = datetime.fromisoformat(tick)
    except ValueError:
        logs.warning("received", f"the tick's time {tick!r:.100} cannot be read")
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
