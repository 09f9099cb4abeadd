"""`doctor`, the live side: what hangs, what is late, what nobody does, each with what mends it."""

from collections import Counter
from collections.abc import Callable, Iterator
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
WORKING = ("RUNNING", "ENABLED")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is not as it should be."""

    id: str
    state: str
    """What is wrong with it."""
    mend: str
    """What to do, mostly a command."""


def examine(place: Place, tell: Callable[[str], None]) -> list[Finding]:
    """All that is found. `tell` gets a line for what cannot be asked now."""
    found: list[Finding] = []
    for ask in (_stuck, _overdue, _letters, _flow):
        try:
            found += ask(place)
        except (OperationsError, BundleError) as error:
            tell(f"! not asked: {error}")
            if isinstance(error, TransientError):
                break  # the others would wait as long for the same answer
    return found


def _stuck(place: Place) -> Iterator[Finding]:
    """Claims whose lease is over, and of which no delivery came since."""
    held = firestore.query("idempotency", ("state", "==", "claimed"), limit=MOST)
    over = [found for found in held if is_over(found)]
    for found in over[:5]:
        name = f"work/{found.data.get('scope')}/{found.data.get('key')}"
        since = moments.lasting(found.read_time - (found.update_time or found.read_time))
        mend = place.command("show", str(found.data.get("key")))
        yield Finding(id=name, state=f"claimed {since} ago, and its lease is over", mend=mend)
    if len(over) > 5:
        more = f"{len(over) - 5} more claims whose lease is over"
        yield Finding(id="work", state=more, mend="see the functions' logs: do they crash?")


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
