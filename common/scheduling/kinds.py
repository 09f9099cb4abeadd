"""Kinds of reminders: each is declared once, and says what to check and what to do.

    from datetime import time

    from common.idempotency import Outcome, Work
    from common.scheduling.kinds import Reminder, ReminderKind
    from common.scheduling.quiet import QuietHours

    def take_pills(due: Reminder, work: Work) -> Outcome:
        work.effect("text", lambda key: f"sent to {due.user_id} under {key}")
        return Outcome(result="sent")

    PILLS = ReminderKind(
        name="pills",
        act=take_pills,
        quiet=QuietHours(begin=time(22), end=time(7), zone=lambda user_id: "Europe/Paris"),
    )

A kind takes effect where a function lists it, in its table.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from common.errors import ConfigurationError
from common.idempotency import Outcome, Work
from common.idempotency.record import OnUnknownOutcome
from common.scheduling.needs import Needs, nobody
from common.scheduling.quiet import QuietHours

QUEUE = "reminders"
"""The queue of a kind that names no other."""


class Reminder(Struct, frozen=True, kw_only=True):
    """A reminder that is due."""

    kind: str
    subject: str
    user_id: str
    payload: Mapping[str, Any]
    due_at: datetime
    """When it was due; the alarm may ring later."""


def _always(reminder: Reminder) -> bool:
    return True


class ReminderKind(Struct, frozen=True, kw_only=True):
    """A kind of reminder, declared once: what to check and what to do when one is due."""

    name: str
    """Literal, without a colon; a reminder is named `KIND:SUBJECT`."""
    act: Callable[[Reminder, Work], Outcome]
    """Does what is due; the result of its outcome is `skipped`, or whatever else: the reminder is
    `sent` then. NothingToDoError counts as `skipped`. A reminder that `act` schedules again, by
    `reminders.within(work)`, is rung again: that is how one recurs."""
    check: Callable[[Reminder], bool] = _always
    """Whether the reminder still makes sense; where it does not, it is `skipped`. This is not asked
    any more once a step of `act` has finished."""
    needs: Needs = nobody
    """Whom `act` needs outside, such as `messages.ensure_open`."""
    queue: str = QUEUE
    """The Cloud Tasks queue of its alarms, which bounds how many ring at once."""
    on_unknown_outcome: OnUnknownOutcome = "rerun"
    """`hold`: what may have happened already is dead-lettered and not done again, for money."""
    quiet: QuietHours | None = None
    """When nothing is to be sent; what is due then waits for the end."""

    def __post_init__(self) -> None:
        if not self.name or ":" in self.name:
            raise ConfigurationError(
                f"A kind of reminder has a name without a colon, not {self.name!r}."
            )

    def id_of(self, subject: str) -> str:
        """The id of the reminder about that subject."""
        return f"{self.name}:{subject}"
