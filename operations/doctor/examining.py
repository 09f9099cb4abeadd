"""`doctor`, the live side: what hangs, what is late, what nobody does, each with what mends it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Snapshot
from common.errors import BundleError, TransientError
from operations.errors import OperationsError
from operations.flow import queues
from operations.letters import dead_letters
from operations.letters.dead_letters import Filter
from operations.place.environment import Place
from operations.terminal import moments

MOST = 500
"""Documents that one question reads."""
LATE = timedelta(minutes=30)
"""A reminder so much past the time at which the sweep rings it has been missed by two sweeps."""
MANY = 1000
"""Tasks that wait in one queue, or messages in one subscription."""
AGAIN = 2
"""Attempts that vanished one after the other, as the alert `stuck-claims` counts them."""
WORKING = ("RUNNING", "ENABLED")
Question = tuple[str, Callable[[Place], Iterator["Finding"]]]
"""What it is about, and what asks it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is not as it should be."""

    id: str
    state: str
    """What is wrong with it."""
    mend: str
    """What to do, mostly a command."""


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found, and what could not be asked: of that nobody knows whether it is well."""

    findings: list[Finding]
    not_asked: list[str]
    """Sentences: what about, and why."""


def examine(place: Place) -> Examination:
    """Ask all; what cannot be asked now stops nothing else, and is no answer either."""
    found, not_asked = list[Finding](), list[str]()
    documents = ("claims", _stuck), ("reminders", _overdue), ("dead letters", _letters)
    for service in (documents, (("queues, schedules and subscriptions", _flow),)):
        not_asked += _asked(place, service, found)
    return Examination(findings=found, not_asked=not_asked)


def _asked(place: Place, questions: Sequence[Question], found: list[Finding]) -> list[str]:
    """Ask one service; returns what it could not be asked."""
    not_asked = list[str]()
    for number, (about, ask) in enumerate(questions):
        try:
            found += ask(place)
        except TransientError as error:
            # The others would wait as long for the same answer.
            return [*not_asked, *(f"{left}: {error}" for left, _ in questions[number:])]
        except (OperationsError, BundleError) as error:
            not_asked.append(f"{about}: {error}")
    return not_asked


def _stuck(place: Place) -> Iterator[Finding]:
    """Claims of which no delivery came since their lease is over, or that stop their process."""
    held = firestore.query("idempotency", ("state", "==", "claimed"), limit=MOST)
    over = [found for found in held if is_over(found) or _vanished(found) >= AGAIN]
    for found in over[:5]:
        name = f"work/{found.data.get('scope')}/{found.data.get('key')}"
        mend = place.command("show", str(found.data.get("key")))
        yield Finding(id=name, state=_stuck_state(found), mend=mend)
    if len(over) > 5:
        more = f"{len(over) - 5} more claims whose lease is over"
        yield Finding(id="work", state=more, mend="see the functions' logs: do they crash?")


def _stuck_state(found: Snapshot) -> str:
    if (vanished := _vanished(found)) >= AGAIN:
        return f"{vanished} attempts in a row vanished: it kills its process, or hangs"
    since = moments.lasting(found.read_time - (found.update_time or found.read_time))
    return f"claimed {since} ago, and its lease is over"


def _vanished(found: Snapshot) -> int:
    vanished = found.data.get("vanished")
    return vanished if isinstance(vanished, int) else 0


def is_over(found: Snapshot) -> bool:
    """Whether the lease of a claim is over by so much that its next delivery is missing too."""
    lease = found.data.get("lease_seconds")
    if found.update_time is None or not isinstance(lease, int | float):
        return False
    # A queue comes again after ten minutes at most.
    return found.read_time - found.update_time > timedelta(seconds=lease) + timedelta(minutes=15)


def _overdue(place: Place) -> Iterator[Finding]:
    """Reminders that the sweep should have rung."""
    late = _server_time() - LATE
    found = list(firestore.query("reminders", ("overdue_at", "<", late), limit=MOST))
    if found:
        first = str(found[0].data.get("reminder_id"))
        number = f"{len(found)}{' or more' if len(found) == MOST else ''}"
        state = f"{number} are overdue, {first} since {moments.shown(found[0].data['overdue_at'])}"
        mend = f"is the schedule reminder-sweep paused? {place.command('reminders show', first)}"
        yield Finding(id="reminders", state=state, mend=mend)


def _letters(place: Place) -> Iterator[Finding]:
    """Open dead letters, by reason."""
    counts = Counter(str(each.data.get("reason")) for each in dead_letters.find(Filter()))
    for reason, number in sorted(counts.items()):
        mend = place.command("dead-letters list", f"--reason {reason}")
        yield Finding(id=f"dead_letters/{reason}", state=f"{number} open", mend=mend)


def _flow(place: Place) -> Iterator[Finding]:
    """What does not go, or goes too slowly."""
    found = queues.state(place)
    for queue in found["queues"]:
        yield from _queue(place, queue)
    for schedule in found["schedules"]:
        yield from _schedule(place, schedule)
    for subscription in found["subscriptions"]:
        yield from _subscription(place, subscription)


def _queue(place: Place, queue: dict[str, Any]) -> Iterator[Finding]:
    name = f"queue/{queue['id']}"
    if queue["state"] not in WORKING:
        mend = f"gcloud tasks queues resume {queue['id']} --location={place.region}"
        yield Finding(id=name, state=f"is {queue['state']}", mend=mend)
    if (queue.get("tasks") or 0) >= MANY:
        yield Finding(
            id=name,
            state=f"{queue['tasks']} tasks wait",
            mend="is its rate in functions/bundle.toml enough?",
        )


def _schedule(place: Place, schedule: dict[str, Any]) -> Iterator[Finding]:
    name = f"schedule/{schedule['id']}"
    if schedule["state"] not in WORKING:
        mend = f"gcloud scheduler jobs resume {schedule['id']} --location={place.region}"
        yield Finding(id=name, state=f"is {schedule['state']}", mend=mend)
    if schedule.get("status"):
        state = f"its last tick failed with code {schedule['status']}"
        yield Finding(id=name, state=state, mend="see the log of fanout")


def _subscription(place: Place, subscription: dict[str, Any]) -> Iterator[Finding]:
    waiting = subscription.get("backlog") or 0
    is_slow = queues.is_slow(subscription)
    if waiting and (is_slow or waiting >= MANY):
        lane = "in the slow lane: consumer could not do it for hours" if is_slow else "wait"
        mend = "see the log of consumer; it goes on by itself"
        name = f"subscription/{subscription['id']}"
        yield Finding(id=name, state=f"{waiting} messages {lane}", mend=mend)


def _server_time() -> datetime:
    return firestore.read("reminders/-").read_time
