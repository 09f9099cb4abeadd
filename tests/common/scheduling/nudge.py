"""A kind of reminder for tests, and what happens to one: scheduled, moved, cancelled, rung."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from common.cloud.firestore import Write
from common.cloud.tasks import Task
from common.idempotency import Answer, Call, Outcome, Work
from common.process.tables import table
from common.scheduling import reminders, ringing
from common.scheduling.kinds import Reminder, ReminderKind
from common.scheduling.quiet import QuietHours
from tests.common.memory_cloud import Cloud

DAY = timedelta(days=1)
PATH = "reminders/nudge:s"
LISTED = ReminderKind(name="nudge", act=lambda due, work: Outcome(result="sent"))
table(LISTED)


@dataclass
class Nudge:
    """A kind of reminder that keeps what it sends, and does what a test says."""

    sent: list[Reminder] = field(default_factory=list)
    told: list[Mapping[str, Any]] = field(default_factory=list)
    """The payload of each call."""
    does: Callable[[Work], None] = lambda work: None
    """Before the message is sent."""
    then: Callable[[Work], None] = lambda work: None
    """After that."""
    again: Callable[[Work], list[Write]] = lambda work: []
    """What it writes with its end."""
    makes_sense: bool = True
    asked: int = 0
    quiet: QuietHours | None = None

    def ring(self, call: Call) -> Answer:
        kind = ReminderKind(name="nudge", act=self._act, check=self._check, quiet=self.quiet)
        return ringing.ring(call, {"nudge": kind})

    def _act(self, due: Reminder, work: Work) -> Outcome:
        self.told.append(due.payload)
        self.does(work)
        work.step("message", lambda key: self.sent.append(due))
        self.then(work)
        return Outcome(result="sent", writes=self.again(work))

    def _check(self, due: Reminder) -> bool:
        self.asked += 1
        return self.makes_sense


def failing(error: BaseException) -> Callable[[Work], None]:
    def fail(work: Work) -> None:
        raise error

    return fail


def scheduling(
    cloud: Cloud, after: timedelta = DAY, **payload: Any
) -> Callable[[Work], list[Write]]:
    """A handler that schedules the reminder, due so long after now."""
    at = cloud.now + after
    return lambda work: reminders.within(work).schedule(
        LISTED, "s", user_id="u", payload=payload, at=at
    )


def schedule(cloud: Cloud, after: timedelta = DAY, key: str = "event", **payload: Any) -> Task:
    """The alarm of a reminder that has been scheduled."""
    cloud.handle(scheduling(cloud, after, **payload), key)
    return cloud.tasks.take()[-1]


def cancel(cloud: Cloud, key: str = "cancel") -> None:
    cloud.handle(lambda work: reminders.within(work).cancel(LISTED, "s"), key)


def reschedule(cloud: Cloud, after: timedelta, key: str = "move") -> None:
    cloud.handle(lambda work: reminders.within(work).reschedule(LISTED, "s", after=after), key)


def due(cloud: Cloud) -> Task:
    """The alarm of a reminder that is due now."""
    alarm = schedule(cloud)
    cloud.firestore.now += DAY
    return alarm


def ring(cloud: Cloud, alarm: Task, nudge: Nudge | None = None) -> str:
    return cloud.deliver((nudge or Nudge()).ring, alarm).status


def state(cloud: Cloud) -> str:
    return str(cloud.document(PATH)["state"])


def history(cloud: Cloud) -> list[str]:
    """What has happened to the reminder, in order."""
    return [entry["what"] for entry in cloud.document(PATH)["history"]]
