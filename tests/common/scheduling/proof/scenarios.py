"""What is explored: which actors, what has happened before, how much may go wrong."""

from dataclasses import replace

from tests.common.scheduling.proof.actors import Application, Event, Ring, Sweep
from tests.common.scheduling.proof.explorer import Scenario
from tests.common.scheduling.proof.world import BEFORE, DUE_NOW, LEASE_OVER, OVERDUE_NOW, Budget

FIRST, AGAIN, THIRD = Event("first"), Event("again"), Event("third")
BY_STEP = Event("first", by_step=True)
CANCEL = Event("cancel", "cancel")
MOVE = Event("move", "reschedule")
ASKED, CALLED_OFF, CALLED_LATER = (
    Application("asked"),
    Application("called off", "cancel"),
    Application("called later", "reschedule"),
)
RING, NEWER = Ring(1), Ring(2)
REPLAY = Ring(1, is_replay=True)
SWEEP = Sweep("tick")

ONE = Budget(faults=1, crashes=1)
FAULT = Budget(faults=1)
CRASH = Budget(crashes=1)
LATE = Budget(late=1, crashes=1)

EITHER = ("cancelled", "sent")
Actors = tuple[Event | Application | Ring, ...]
SENSE = ("sent", "skipped")
MENDED = ("dead", "sent")


def _new(name: str, actors: Actors, budget: Budget, ends: tuple[str, ...] = ("sent",)) -> Scenario:
    return Scenario(name, actors, budget, before=(), since=BEFORE, ends=ends)


SCENARIOS = [
    _new("scheduled", (FIRST, RING), ONE),
    _new("scheduled by a step", (BY_STEP, RING), ONE),
    _new("the event comes twice", (FIRST, FIRST, RING), CRASH),
    _new("scheduled by two events", (FIRST, AGAIN, RING), CRASH),
    Scenario("rung twice", (RING, RING), ONE),
    Scenario("cancelled", (CANCEL, RING), ONE, ends=EITHER),
    Scenario("cancelled, rung twice", (CANCEL, RING, RING), CRASH, ends=EITHER),
    Scenario("cancelled, a commit is late", (CANCEL, RING), LATE, ends=EITHER),
    Scenario("rescheduled", (AGAIN, RING, NEWER), FAULT),
    Scenario("rescheduled twice", (AGAIN, THIRD, RING), Budget()),
    Scenario("rescheduled, and cancelled", (AGAIN, CANCEL, RING), CRASH, ends=EITHER),
    Scenario(
        "early", (RING, RING, CANCEL), Budget(early=2), since=BEFORE, until=DUE_NOW, ends=EITHER
    ),
    Scenario(
        "early, and a fault",
        (RING, RING),
        Budget(early=2, faults=1),
        since=BEFORE,
        until=DUE_NOW,
    ),
    Scenario("swept", (SWEEP, SWEEP, RING), Budget(faults=1, lost=1), since=OVERDUE_NOW),
    Scenario(
        "swept, and cancelled",
        (SWEEP, RING, CANCEL),
        Budget(crashes=1, lost=1),
        since=LEASE_OVER,
        until=OVERDUE_NOW,
        ends=EITHER,
    ),
    Scenario("checked", (RING, RING), Budget(crashes=1, senseless=1), "checked", ends=SENSE),
    Scenario(
        "checked, marked",
        (RING, RING),
        Budget(crashes=1, senseless=1),
        "checked, marked",
        ends=SENSE,
    ),
    Scenario("fails once", (RING, RING, CANCEL), ONE, "flaky", until=DUE_NOW, ends=EITHER),
    Scenario("fails for good", (RING, REPLAY), ONE, "broken", ends=MENDED),
    Scenario(
        "fails for good, and rescheduled", (RING, REPLAY, AGAIN), CRASH, "broken", ends=("dead",)
    ),
    Scenario("waits", (RING, RING), ONE, "early"),
    Scenario("waits, and rescheduled", (RING, AGAIN), ONE, "early"),
    Scenario("finds nothing to do", (RING, RING), ONE, "pointless", ends=("skipped",)),
    _new("scheduled by an application", (ASKED, RING), ONE, ends=("none", "sent")),
    Scenario("cancelled by an application", (CALLED_OFF, RING), ONE, ends=EITHER),
    Scenario("moved by an application", (CALLED_LATER, RING), FAULT),
    Scenario("moved", (MOVE, RING, NEWER), FAULT),
    Scenario("moved, and cancelled", (MOVE, CANCEL, RING), CRASH, ends=EITHER),
    Scenario("recurs", (RING, NEWER), ONE, "recurring"),
    Scenario("recurs, and cancelled", (RING, CANCEL), CRASH, "recurring", ends=EITHER),
    Scenario("recurs, and rescheduled", (RING, AGAIN), CRASH, "recurring"),
    Scenario("poison", (RING, RING), CRASH, "poison", is_poison=True, ends=MENDED),
]

SLOW = (
    "waits",
    "waits, and rescheduled",
    "rescheduled",
    "fails once",
    "fails for good",
    "rung twice",
    "scheduled by two events",
    "cancelled, a commit is late",
)
"""Those that take more than four seconds each."""
LONG = (
    "scheduled by a step",
    "checked, marked",
    "cancelled",
    "cancelled by an application",
    "moved by an application",
    *SLOW,
)
DEEP = [
    replace(it, budget=it.budget._replace(faults=it.budget.faults + 1))
    for it in SCENARIOS
    if len(it.actors) < 3 and not it.budget.late and it.name not in LONG
]
"""Those of two actors with one more fault each. Left out, because they take minutes: a third actor
and a late commit, each together with one more fault, and what is LONG."""
