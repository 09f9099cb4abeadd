"""Every schedule of the real code, and what comes after it.

Wherever nobody is at work, the rest is played out: nothing goes wrong any more, and everything that
was not acknowledged is delivered again, until the reminder is settled.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.common.scheduling.proof import promises
from tests.common.scheduling.proof.actors import Actor, Event, Ring, Sweep, Troupe
from tests.common.scheduling.proof.promises import UNSETTLED
from tests.common.scheduling.proof.rules import Move, Rules
from tests.common.scheduling.proof.world import (
    CLOCK,
    DUE_NOW,
    LEASE_OVER,
    WAITING,
    Budget,
    Part,
    World,
)
from tests.common.walk import Broken, Explored, Violation, Walk

SIZE = 11
"""Documents in a world, at most."""


@dataclass(frozen=True)
class Scenario:
    """What is explored."""

    name: str
    actors: tuple[Actor, ...]
    budget: Budget
    programme: str = "message"
    before: tuple[Event, ...] = (Event("first"),)
    """What has happened already, before the reminder was due."""
    since: int = DUE_NOW
    until: int = LEASE_OVER
    """The times between which everything happens, by the clock."""
    ends: tuple[str, ...] = ("sent",)
    """How the reminder ends, in one schedule or another."""
    is_poison: bool = False
    """After the schedule, every message kills its process."""


def explore(scenario: Scenario) -> Explored:
    """Walk through everything that can happen. Raises Broken."""
    return _Walk(scenario).all()


class _Walk(Walk[World]):
    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        troupe = Troupe(scenario.programme)
        self._scenario = scenario
        self._rules = Rules(troupe, scenario.actors, until=scenario.until, size=SIZE)
        self._drain = _Drain(scenario, self._rules)

    def all(self) -> Explored:
        try:
            beginning = self._beginning()
        except Violation as violation:
            raise Broken(violation, []) from violation
        explored = self.walk(beginning)
        explored.histories = self._rules.histories()
        explored.endings = self._drain.endings
        return explored

    def moves(self, world: World) -> Iterator[Move]:
        return self._rules.moves(world)

    def look(self, world: World) -> None:
        if world.is_quiet:
            self._drain.rest(world)

    def _beginning(self) -> World:
        world = self._rules.beginning(self._scenario.budget)
        for event in self._scenario.before:
            world = self._drain.deliver(world, event)
        parts = (WAITING,) * len(self._scenario.actors)
        return world._replace(parts=parts, clock=self._scenario.since, budget=self._scenario.budget)


class _Drain:
    """After the schedule: nothing goes wrong, and what was not acknowledged is delivered again."""

    def __init__(self, scenario: Scenario, rules: Rules) -> None:
        self._events = [it for it in dict.fromkeys(scenario.actors) if isinstance(it, Event)]
        self._is_poison = scenario.is_poison
        self._numbers = {event: scenario.actors.index(event) for event in self._events}
        self._first = rules
        self._rules: dict[Actor, Rules] = {}
        self._visited: set[int] = set()
        self.endings: set[str] = set()

    def rest(self, world: World) -> None:
        """Play it out. Raises Violation."""
        rest = self._alone(world)
        events = [it for it in self._events if not self._is_acknowledged(world, it)]
        while (key := hash((rest, tuple(events)))) not in self._visited:
            self._visited.add(key)
            if events:
                rest, events = self._redelivered(rest, events)
            elif self._ringing(rest) is not None:
                rest = self._rung(rest)
            elif self._state(rest) in UNSETTLED:
                rest = self._swept(rest)
            else:
                self.endings.add(promises.check_rest(self._first, rest))
                return

    def deliver(self, world: World, actor: Actor) -> World:
        """One delivery, alone."""
        rules = self._rules_for(actor)
        world = self._alone(world)
        if isinstance(actor, Ring):
            place = self._ringing(world)
            began = [part for part, _ in rules.entrances(world, 0) if part.alarm == place]
        else:
            began = [part for part, _ in rules.entrances(world, 0)]
        world = world._replace(parts=(began[0],))
        while isinstance(part := world.parts[0], Part):
            if self._is_poison and rules.request(part).kind == "message":
                return self._alone(world._replace(parts=("crashed",)))
            world = next(rules.moves(world)).world
        return world

    def _rules_for(self, actor: Actor) -> Rules:
        if actor not in self._rules:
            self._rules[actor] = self._first.alone(actor)
        return self._rules[actor]

    def _alone(self, world: World) -> World:
        for number in range(len(world.parts)):
            world = self._first.tidy(world, number)
        return world._replace(parts=(WAITING,), late=frozenset(), budget=Budget())

    def _is_acknowledged(self, world: World, event: Event) -> bool:
        ends = zip(self._first.actors, world.parts, strict=True)
        return any(actor == event and str(end).endswith(" 200") for actor, end in ends)

    def _redelivered(self, rest: World, events: list[Event]) -> tuple[World, list[Event]]:
        rest = self.deliver(rest, events[0])
        if str(rest.parts[0]).endswith(" 200"):
            return self._alone(rest), events[1:]
        return self._later(rest), events

    def _ringing(self, world: World) -> int | None:
        live = (place for place, it in enumerate(world.alarms) if it.is_live)
        return next(live, None)

    def _rung(self, rest: World) -> World:
        place = self._ringing(rest)
        assert place is not None
        alarm = rest.alarms[place]
        while CLOCK[rest.clock] < alarm.at:
            rest = self._later(rest)
        rest = self.deliver(rest, Ring(alarm.generation))
        if str(rest.parts[0]).endswith(" 200"):
            return self._alone(rest)
        return self._later(rest)

    def _swept(self, rest: World) -> World:
        tick = Sweep("another tick")
        rest = self.deliver(self._later(rest), tick)
        if not str(rest.parts[0]).endswith(" 200"):
            raise Violation(f"the sweep ends with {rest.parts[0]}")
        return self._alone(rest)

    def _state(self, world: World) -> str | None:
        return self._first.fields(world, self._first.troupe.path).get("state")

    def _later(self, rest: World) -> World:
        if rest.clock + 1 == len(CLOCK):
            raise Violation(f"in the end the reminder is still {self._state(rest)}")
        return self._alone(rest._replace(clock=rest.clock + 1))
