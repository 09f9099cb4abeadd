"""The world that the actors share: an immutable, hashable value."""

import functools
from typing import NamedTuple

from tests.common.scheduling.proof.actors import DUE
from tests.common.scheduling.proof.contents import ABSENT
from tests.common.scheduling.proof.scripts import LEASE, Request

OVERDUE = DUE + 1000 + LEASE
CLOCK = (0.0, DUE, DUE + LEASE + 1, *(OVERDUE + 1100 * step for step in range(16)))
"""What the clock shows, in seconds since the EPOCH. Leases end between any two; from the fourth on,
what was unsettled at the time before is overdue. Later than the fourth only the drain gets."""
BEFORE, DUE_NOW, LEASE_OVER, OVERDUE_NOW = range(4)
UNKNOWN = -2
"""The moment of a document that the actor has not seen since it was written last."""
WAITING = "waiting"
"""An actor who has not begun."""


class Doc(NamedTuple):
    """A document."""

    content: int = ABSENT
    written: int = BEFORE
    """When, by the clock."""
    commit: int = ABSENT
    """Those that the same commit wrote last have the same number."""


class Alarm(NamedTuple):
    """A task that was created."""

    generation: int
    at: float
    name: str
    """Empty once nobody can use it again."""
    is_live: bool = True
    """Not acknowledged yet; Cloud Tasks delivers it until it is, and may do so again afterwards."""


class Generation(NamedTuple):
    """What has happened to one generation of the reminder."""

    payload: str = ""
    has_begun: bool = False
    """The commit of a claim has moved it from pending to sending."""
    is_withdrawn: bool = False
    """It was cancelled or replaced while it was pending."""
    sent: int = 0
    """Messages, two at most counted."""


class Budget(NamedTuple):
    """How often each kind of misfortune may still happen."""

    faults: int = 0
    late: int = 0
    """A commit fails, and is applied later all the same."""
    crashes: int = 0
    senseless: int = 0
    """The reminder stops making sense."""
    early: int = 0
    """An alarm rings long before its time."""
    lost: int = 0
    """A queue loses an alarm."""


class Part(NamedTuple):
    """An actor at work."""

    script: int
    node: int
    alarm: int | None
    """The one that rings."""
    moments: tuple[int, ...]
    """Of each document, which of the commits that the actor knows of wrote it."""
    known: int = 1
    """The moment of the next commit that it comes to know of."""


class Late(NamedTuple):
    """A commit on its way, of which its sender knows nothing."""

    sender: int
    request: Request
    places: tuple[int, ...]
    """The documents that must not change until then."""


class World(NamedTuple):
    """Everything."""

    docs: tuple[Doc, ...]
    alarms: tuple[Alarm, ...]
    generations: tuple[Generation, ...]
    parts: tuple[Part | str, ...]
    """At work; or how it ended."""
    late: frozenset[Late]
    clock: int
    makes_sense: bool
    budget: Budget
    is_alarm_missing: bool = False
    """An alarm could not be set, is lost, or who was to set it has ended: the sweep will.

    It cannot be promised more strictly: where a record commits with a claim or a step, its alarm
    comes after that commit, because no Firestore effect waits for Cloud Tasks. Whoever ends between
    the two leaves the alarm to the sweep, which comes half an hour later at most.
    """

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is at work."""
        return not any(isinstance(part, Part) for part in self.parts)


def silenced(world: World, place: int) -> World:
    """An alarm does not ring any more."""
    alarms = [*world.alarms]
    alarms[place] = alarms[place]._replace(is_live=False)
    return world._replace(alarms=tuple(alarms))


def with_part(world: World, number: int, part: Part | str) -> World:
    """The actor is there now, or has ended like this."""
    parts = [*world.parts]
    parts[number] = part
    return world._replace(parts=tuple(parts))


@functools.cache
def _less(budget: Budget, name: str) -> Budget:
    return budget._replace(**{name: getattr(budget, name) - 1})


def spend(world: World, name: str) -> World:
    """One misfortune fewer."""
    return world._replace(budget=_less(world.budget, name))
