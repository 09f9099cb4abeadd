"""Every schedule of the real code, and what comes after it.

Where every delivery has ended, the rest is played out: nothing goes wrong any more, and everything
that was not acknowledged is delivered again, until the work is done or dead.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.common.idempotency.proof import promises
from tests.common.idempotency.proof.programs import Kind, Programme
from tests.common.idempotency.proof.scripts import Content
from tests.common.idempotency.proof.world import PAST, Budget, Delivery, Late, Move, Rules, World
from tests.common.walk import Explored, Violation, Walk

NOTHING = Budget()
SETTLED = ("done", "duplicate", "dead_lettered", "reused", "forced", "no_letter")
"""How a delivery ends after which it is not made again."""


@dataclass(frozen=True)
class Scenario:
    """What is explored."""

    name: str
    programme: Programme
    kinds: tuple[Kind, ...]
    budget: Budget
    is_poison: bool = False
    """After the schedule, every effect kills its process."""


def explore(scenario: Scenario) -> Explored:
    """Walk through everything that can happen. Raises Broken."""
    return _Walk(scenario).all()


class _Walk(Walk[World]):
    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self._scenario = scenario
        self._numbers = list(range(len(scenario.kinds)))
        self._alike = _alike(scenario.kinds)
        self._rules = Rules(scenario.programme, scenario.kinds)
        self._drained: set[int] = set()
        self._endings: set[str] = set()
        again = {kind._replace(is_early=False, is_first=False) for kind in scenario.kinds}
        again |= {kind._replace(is_ringing=True, replays=None) for kind in again}
        self._redelivered = {kind: Rules(scenario.programme, (kind,)) for kind in again}

    def all(self) -> Explored:
        explored = self.walk(self._rules.beginning(self._scenario.budget))
        explored.histories = self._rules.histories()
        explored.endings = self._endings
        return explored

    def moves(self, world: World) -> Iterator[Move]:
        return self._rules.moves(world)

    def look(self, world: World) -> None:
        if world.is_over:
            self._endings.add(" ".join(map(str, world.deliveries)))
            self._drain(world)

    def key(self, world: World) -> int:
        """Worlds that differ only in which of two equal deliveries did what are the same."""
        order = self._order(world)
        if order == self._numbers:
            return hash(world)
        place = {number: place for place, number in enumerate(order)}
        record, age, ledger, letters, alarm, deliveries, late, budget = world
        if record is not None and record.owner in place:
            record = record._replace(owner=place[record.owner])
        if late:
            late = frozenset([Late(place[it.sender], it.request) for it in late])
        deliveries = tuple([deliveries[number] for number in order])
        return hash((record, age, ledger, letters, alarm, deliveries, late, budget))

    def _order(self, world: World) -> list[int]:
        order = self._numbers
        for one, other in self._alike:
            a, b = order[one], order[other]
            if hash(world.deliveries[a]) > hash(world.deliveries[b]):
                order = [*order]
                order[one], order[other] = b, a
        return order

    # After the schedule: what was not acknowledged is delivered again, and nothing goes wrong

    def _drain(self, world: World) -> None:
        record = world.record and world.record._replace(owner=-1, write_id="")
        rest = world._replace(record=record, late=frozenset(), budget=NOTHING)
        if (key := hash(rest)) in self._drained:
            return
        self._drained.add(key)
        ends = zip(self._scenario.kinds, world.deliveries, strict=True)
        again = {kind for kind, end in ends if end in ("error", "in_progress", "lost", "crashed")}
        kinds = sorted(again or {self._scenario.kinds[0]}, key=repr)
        rest = self._deliver(rest, [it._replace(is_early=False, is_first=False) for it in kinds])
        if rest.alarm == "pending" and rest.record is not None:
            self._ring(rest, rest.record)

    def _ring(self, world: World, record: Content) -> None:
        """What was handed over rings: with the newest payload, which its record holds."""
        kinds = [it for it in self._redelivered if it.is_ringing]
        newest = [it for it in kinds if promises.fingerprint_of(it) == record.fingerprint]
        world = self._deliver(world, newest[:1])
        if world.alarm == "pending" or (world.record and world.record.owed):
            raise Violation("what was handed over is never done")

    def _deliver(self, world: World, kinds: list[Kind]) -> World:
        """Deliver these again and again, until each is acknowledged."""
        for _ in range(self._scenario.programme.max_attempts + 5):
            kinds = [*kinds]
            for kind in kinds[:]:
                world = self._once(world, kind)
                how = world.deliveries[0]
                if how in SETTLED or (how == "waiting" and not kind.is_ringing):
                    kinds.remove(kind)
            if not kinds:
                return world
        raise Violation(f"{kinds[0]} is never acknowledged: {how}")

    def _once(self, world: World, kind: Kind) -> World:
        record = world.record and world.record._replace(owner=-1, write_id="")
        world = world._replace(record=record, deliveries=(Delivery(0),))
        world = self._run(self._redelivered[kind], world)
        if world.record and world.record.state == "claimed":
            return world._replace(age=PAST)
        return world

    def _run(self, rules: Rules, world: World) -> World:
        while isinstance(delivery := world.deliveries[0], Delivery):
            request = rules.request(0, delivery)
            if request.kind == "effect" and self._scenario.is_poison:
                return world._replace(deliveries=("crashed",))
            world = next(rules.moves(world)).world
        return world


def _alike(kinds: tuple[Kind, ...]) -> list[tuple[int, int]]:
    """The neighbours that are of one kind, in an order in which comparing them sorts three."""
    pairs = [(0, 1), (1, 2), (0, 1)]
    return [(a, b) for a, b in pairs if b < len(kinds) and kinds[a] == kinds[b]]
