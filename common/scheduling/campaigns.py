"""Campaigns: one tick becomes one task per user, and one message per user and period.

    tick ──▶ fanout: a page of users ──▶ one task each, on its queue ──▶ reminder: sends
                     └── more users? ──▶ a task back to fanout, which goes on after the last one

A run is the campaign and the tick's scheduled time; a slice is the run and the user after whom it
goes on. Both may fire twice without effect: a slice is claimed, the name of a task is its run and
user, and the message is claimed by campaign, period and user. Memory does not grow with the
audience.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from common import idempotency
from common.cloud import firestore, tasks
from common.cloud.firestore import Increment, Merge, Snapshot
from common.cloud.tasks import Task
from common.errors import MalformedError
from common.idempotency import Answer, Call, Job, Outcome, Work
from common.process import logs, settings

FUNCTION = "fanout"
QUEUE = "fanout"
"""Of the tasks that go on with a run."""
DEADLINE = timedelta(minutes=10)
"""How long Cloud Tasks waits for a slice: longer than the timeout of `fanout`."""
RETENTION = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class Audience:
    """Who gets a campaign: documents of a collection."""

    collection: str
    where: Mapping[str, Any] = field(default_factory=dict)
    """Equality filters: fields and their values."""
    id_field: str = "user_id"
    """The field with the user's id; without it, the document's own name stands for the id."""

    def page(self, after: str | None, size: int) -> list[Snapshot]:
        """At most `size` documents that come after the document `after`, in the order of ids."""
        filters = [(name, "==", value) for name, value in self.where.items()]
        return list(firestore.query(self.collection, *filters, limit=size, after=after))

    def user_id(self, found: Snapshot) -> str:
        """The id of the user whom a document of the audience is about."""
        # A document written by others need not have the field; its id is the user's, escaped.
        name = firestore.original_name(_document_id(found))
        return str(found.data.get(self.id_field) or name or "")


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A campaign, declared once: who gets it, how often at most, and what each of them gets."""

    name: str
    """Literal; what the body of the Scheduler's tick names."""
    audience: Audience
    period: Callable[[datetime], str]
    """The period that a time (in UTC) belongs to; a user gets one message in each."""
    queue: str
    """The Cloud Tasks queue of its tasks, one for each user."""
    send: Callable[[str, Work], Outcome]
    """Sends one user, by id, the message of the period; the result is `sent` (or None, which counts
    as `sent`) or `skipped`."""


@dataclass(frozen=True, kw_only=True)
class Slices:
    """How much one invocation of `fanout` does before it hands on to the next one."""

    page: int = 100
    """Users read, and tasks created, at a time."""
    pages: int = 20
    reserve: float = 15.0
    """Seconds of the handler's budget that are left for the continuation."""


def week(time: datetime) -> str:
    """The ISO week of a time, in UTC: `2026-W47`."""
    year, number, _ = time.astimezone(UTC).isocalendar()
    return f"{year}-W{number:02d}"


def start(call: Call, campaigns: Mapping[str, Campaign], *, slices: Slices | None = None) -> Answer:
    """Enqueue one slice of a campaign's run; the Scheduler's tick asks for the first one.

    `campaigns` is the bundle's table. Raises MalformedError for a body that is neither a tick nor a
    continuation, and what `idempotency.run` raises.
    """
    slice_ = _Slice(call, _named(call, campaigns), slices or Slices())
    return idempotency.run(slice_.job(), slice_.enqueue)


def send_to_user(call: Call, campaigns: Mapping[str, Campaign]) -> Answer:
    """Send the message of one user and period, for which a campaign has made the task of this call.

    Raises MalformedError for a body that is no such task, and what `idempotency.run` raises.
    """
    campaign = _named(call, campaigns)
    period, user_id = call.text("period"), call.text("user_id")
    logs.bind(period=period, user_id=user_id)
    job = Job(
        scope="reminder",
        key=f"{campaign.name}:{period}:{user_id}",
        identity={"campaign": campaign.name, "period": period, "user_id": user_id},
        payload=call.raw,
        replay_of=call.replay_of,
    )
    return idempotency.run(job, lambda work: _sent(campaign.send(user_id, work)))


def _sent(outcome: Outcome) -> Outcome:
    return replace(outcome, result="sent") if outcome.result is None else outcome


def _named(call: Call, campaigns: Mapping[str, Campaign]) -> Campaign:
    name = call.text("campaign")
    if name not in campaigns:
        raise MalformedError(f"{name!r:.100} is no campaign")
    logs.bind(campaign=name)
    return campaigns[name]


class _Slice:
    """Some pages of one run."""

    def __init__(self, call: Call, campaign: Campaign, slices: Slices) -> None:
        self._call = call
        self._campaign = campaign
        self._slices = slices
        self._after = _after(call)
        self._given_period = call.optional_text("period")
        # A tick names its time; a firing by hand without one is a run of its own.
        run = call.optional_text("run")
        self._run = run or call.tick or call.task or secrets.token_hex(8)

    def job(self) -> Job:
        return Job(
            scope=FUNCTION,
            key=f"{self._campaign.name}:{self._run}:{self._after or ''}",
            identity={"campaign": self._campaign.name, "after": self._after},
            payload=self._call.raw,
            replay_of=self._call.replay_of,
        )

    def enqueue(self, work: Work) -> Outcome:
        """Page after page, then the continuation; the counts commit with the done mark."""
        period = self._given_period or self._campaign.period(_time(self._call.tick) or work.now)
        created = existed = 0
        last: Snapshot | None = None
        for page in self._pages(work):
            made = tasks.enqueue_all(self._task(user, period) for user in page)
            created += made.count("created")
            existed += made.count("existed")
            last = page[-1] if len(page) == self._slices.page else None
        if last is not None:
            tasks.enqueue(self._continuation(_document_id(last), period))
        logs.info("enqueued", f"{created} tasks of {self._campaign.name} {period}", existed=existed)
        return Outcome(result="enqueued", writes=[self._count(work, period, created, existed)])

    def _pages(self, work: Work) -> Iterator[list[Snapshot]]:
        after = self._after
        for _ in range(self._slices.pages):
            page = self._campaign.audience.page(after, self._slices.page)
            if page:
                yield page
            if len(page) < self._slices.page or work.remaining() < self._slices.reserve:
                return
            after = _document_id(page[-1])

    def _task(self, user: Snapshot, period: str) -> Task:
        config, name = settings.current(), self._campaign.name
        user_id = self._campaign.audience.user_id(user)
        return Task(
            queue=self._campaign.queue,
            url=config.reminder_url,
            body={"campaign": name, "period": period, "user_id": user_id, "run": self._run},
            identity=(name, period, user_id, self._run),
            audience=config.reminder_audience,
        )

    def _continuation(self, after: str, period: str) -> Task:
        config, name = settings.current(), self._campaign.name
        return Task(
            queue=QUEUE,
            url=config.fanout_url,
            body={"campaign": name, "period": period, "run": self._run, "after": after},
            identity=(FUNCTION, name, self._run, after),
            audience=config.fanout_audience,
            deadline=DEADLINE,
        )

    def _count(self, work: Work, period: str, created: int, existed: int) -> Merge:
        run = firestore.document_id(f"{self._campaign.name}:{self._run}")
        fields = {
            "campaign": self._campaign.name,
            "period": period,
            "enqueued": Increment(created),
            "duplicate": Increment(existed),
            "updated_at": work.now,
            "expire_at": work.now + RETENTION,
        }
        return Merge(path=f"fanouts/{run}", fields=fields)


def _after(call: Call) -> str | None:
    """The document that a slice goes on after; a tick names none."""
    after = call.optional_text("after")
    if after and "/" in after:
        raise MalformedError(f"after is {after!r:.100}, not the id of a document")
    return after


def _document_id(found: Snapshot) -> str:
    return found.path.rpartition("/")[2]


def _time(tick: str | None) -> datetime | None:
    """The time that a tick's header names; None where it is absent or unreadable."""
    if tick is None:
        return None
    try:
        time = datetime.fromisoformat(tick)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        logs.warning("received", f"the tick's time {tick!r:.100} cannot be read")
        return None
