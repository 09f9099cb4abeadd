"""Alarms: the Cloud Tasks tasks that ring reminders. Each name is used once.

A due time further ahead than HOP is reached in hops: an alarm that rings too early sets the next.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from common.cloud import tasks
from common.cloud.tasks import Task
from common.errors import PermanentError, TransientError
from common.idempotency import Call
from common.process import logs, settings

FANOUT = "fanout"
"""The function and its queue: what `fanout` hands over rings there. All others call `reminder`."""
HOP = timedelta(days=21)
"""The longest single delay. Cloud Tasks takes 30 days, and forgets a task after 31: an alarm that
rings after a hop must be delivered for longer than the bundle is patient with anybody outside."""
EARLY = timedelta(seconds=30)
"""An alarm that rings this early counts as due."""


FORMAT = 1
"""Of the body of an alarm; those of older releases have none."""


class Alarm(Struct, frozen=True, kw_only=True):
    """An alarm of a reminder, as its record names it."""

    queue: str
    at: datetime
    """When it rings."""
    setter: str
    """Who has set it: a name that nobody uses again for another alarm."""

    def task(self, reminder_id: str, generation: int) -> Task:
        """The task that rings that generation of that reminder."""
        url, audience = _callee(self.queue)
        return Task(
            queue=self.queue,
            url=url,
            body={
                "reminder_id": reminder_id,
                "generation": generation,
                "at": self.at.isoformat(),
                "format": FORMAT,
            },
            identity=(self.queue, reminder_id, str(generation), self.at.isoformat(), self.setter),
            at=self.at,
            audience=audience,
        )

    def fields(self, reminder_id: str, generation: int) -> dict[str, Any]:
        """The alarm as a record keeps it; `task` is the name of its task."""
        name = tasks.name(self.task(reminder_id, generation).identity)
        return {"queue": self.queue, "at": self.at, "setter": self.setter, "task": name}


def first(queue: str, due: datetime, now: datetime, setter: str) -> Alarm:
    """The next alarm of what is due then: at that time, or a hop nearer to it."""
    return Alarm(queue=queue, at=min(due, now + HOP), setter=setter)


def rings_for(call: Call) -> datetime | None:
    """When the alarm of a call was to ring first; None: nobody knows.

    Of a call that is tried again, a queue names the time of that try. Bodies of older releases have
    no time.
    """
    try:
        at = datetime.fromisoformat(str(call.body.get("at")))
    except ValueError:
        return call.due_at
    return at if at.tzinfo else call.due_at


def set_now(task: Task) -> None:
    """Set an alarm whose record relies on it. Raises what `tasks.enqueue` raises."""
    tasks.enqueue(task)


def set_if_possible(task: Task) -> None:
    """Set an alarm; where Cloud Tasks cannot do that now, the sweep will."""
    try:
        tasks.enqueue(task)
    except TransientError as error:
        text = f"an alarm is not set, the sweep will: {error}"
        logs.warning("waiting", text, reason="unavailable", **_ids(task.body))
    except PermanentError as error:
        logs.error("failed", f"an alarm cannot be set: {error}", **_ids(task.body))


def _callee(queue: str) -> tuple[str, str]:
    """URL and audience of the function that the tasks of a queue call."""
    config = settings.current()
    if queue == FANOUT:
        return config.fanout_url, config.fanout_audience
    return config.reminder_url, config.reminder_audience


def _ids(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"reminder_id": body["reminder_id"], "generation": body["generation"]}
