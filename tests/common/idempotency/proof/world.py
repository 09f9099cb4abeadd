"""The world that the deliveries share, and everything that can happen next in it.

A `World` is immutable and hashable. `Rules.moves` yields every world that one event leads to: an
answer to a delivery's request (the right one, or a fault), a crash, SIGTERM, a late write that
arrives after all, a jump of the clock, a deletion by TTL. What must never happen is a `Violation`.

    Firestore says │ it was applied              │ it was not              │ it may be, later
    ───────────────┼─────────────────────────────┼─────────────────────────┼──────────────────────
    ok             │ applied                     │                         │
    refused        │ refused to the second try   │ refused; by an effect   │ by an effect, the
                   │ (of the client library)     │                         │ first try on its way
    error          │ its reply is lost           │ fails                   │ fails, on its way
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

from tests.common.idempotency.proof import promises
from tests.common.idempotency.proof.programs import Kind, Programme
from tests.common.idempotency.proof.scripts import (
    LEASE,
    ME,
    OTHER,
    RETENTION,
    Answer,
    Content,
    Request,
    Script,
)

LIVE, OVER, PAST, EXPIRED = 0, 1, 2, 3
"""Ages of a record; PAST: the pauses after vanished attempts are over too."""
NOBODY = -1

Counts = tuple[tuple[str, int], ...]
"""How often, by name; sorted."""


class Budget(NamedTuple):
    """How often each kind of misfortune may still happen."""

    faults: int = 0
    crashes: int = 0
    leases: int = 0
    expiries: int = 0
    sigterms: int = 0
    deletions: int = 0
    """By hand, of a record that has not expired."""
    outages: int = 0
    """Answers of somebody outside who is not there."""
    refusals: int = 0
    """Answers of somebody outside who will never do it."""


class Ledger(NamedTuple):
    """What has happened for the present record, from its creation on."""

    firestore: Counts = ()
    """Effects committed."""
    outside: Counts = ()
    """Outside effects that happened."""
    takes: int = 0
    """Claims written."""


class Delivery(NamedTuple):
    """One delivery, at work."""

    node: int = 0
    """Of its script's tree."""
    version: int = NOBODY
    """Which of the versions it has seen is the present one; NOBODY: none of them."""
    seen: int = 0
    """How many versions it has seen."""
    clock: tuple[int, int] | None = None
    """Leases and retentions that passed since it began; None: it has not begun."""
    learned: frozenset[str] = frozenset()
    """Outside effects of which it knows that they happened."""


class Late(NamedTuple):
    """A write on its way, of which its sender knows nothing."""

    sender: int
    request: Request


class World(NamedTuple):
    """Everything."""

    record: Content | None
    age: int
    ledger: Ledger
    letters: tuple[tuple[str, str], ...]
    """The states of the dead letters, by name."""
    alarm: str | None
    """The state of what rings for work that was handed over."""
    deliveries: tuple[Delivery | str, ...]
    """At work; or how it ended."""
    late: frozenset[Late]
    budget: Budget

    def previous(self, new: Content) -> Content | None:
        """The record that a write goes on with; None: what it writes is a fresh one."""
        old = self.record
        is_reset = self.age == EXPIRED and old and old.owner != new.owner and new.attempts == 1
        return None if is_reset else old

    @property
    def is_over(self) -> bool:
        """Whether no delivery is at work."""
        return all(isinstance(delivery, str) for delivery in self.deliveries)


class Move(NamedTuple):
    """One thing that can happen."""

    what: str
    world: World


Branch = tuple[str, World, Delivery, Answer]
"""What happens to a request, the world and the delivery then, and the answer it gets."""


class Rules:
    """What can happen, for one programme and its deliveries."""

    def __init__(self, programme: Programme, kinds: tuple[Kind, ...]) -> None:
        self.programme = programme
        self.kinds = kinds
        scripts = {kind: Script(kind, programme) for kind in set(kinds)}
        self._scripts = [scripts[kind] for kind in kinds]

    def beginning(self, budget: Budget) -> World:
        """Nothing has happened."""
        deliveries = tuple(Delivery() for _ in self.kinds)
        return World(None, LIVE, Ledger(), (), None, deliveries, frozenset(), budget)

    def histories(self) -> int:
        """How many histories the code was asked about so far."""
        return sum(len(script.requests) for script in set(self._scripts))

    def request(self, number: int, delivery: Delivery) -> Request:
        """What a delivery waits for."""
        return self._scripts[number].requests[delivery.node]

    def moves(self, world: World) -> Iterator[Move]:
        """Everything that can happen next. Raises Violation."""
        for number, delivery in enumerate(world.deliveries):
            if not isinstance(delivery, Delivery):
                continue
            if self._finds_no_letter(world, number, delivery):
                # Its trigger refuses it, before anything is claimed.
                yield Move(f"{number}: finds no letter", _with(world, number, "no_letter"))
            else:
                yield from self._of_delivery(world, number, delivery)
        if world.late:
            yield from self._late(world)
        if world.record is not None and not world.is_over:
            yield from _time(world, world.record)

    def _finds_no_letter(self, world: World, number: int, delivery: Delivery) -> bool:
        replays = self.kinds[number].replays
        has_begun = delivery.clock is not None or delivery.node != 0
        return not has_begun and replays is not None and replays not in dict(world.letters)

    def _of_delivery(self, world: World, number: int, delivery: Delivery) -> Iterator[Move]:
        request = self.request(number, delivery)
        branches = {"read": self._read, "effect": self._effect}.get(request.kind, self._write)
        for what, then, it, answer in branches(world, number, delivery, request):
            yield Move(f"{number}: {request.kind} {what}", self._answered(then, number, it, answer))
        if world.budget.crashes and delivery.clock is not None:
            crashed = _with(_spend(world, "crashes"), number, "crashed")
            yield Move(f"{number}: crashes", _tidy(crashed))

    def _read(
        self, world: World, number: int, delivery: Delivery, request: Request
    ) -> Iterator[Branch]:
        if world.budget.faults:
            yield "fails", _spend(world, "faults"), delivery, ("error",)
        if world.record is None:
            yield "finds nothing", world, delivery, ("absent",)
            return
        delivery, version = _sees(delivery)
        found = ("found", _seen_by(number, world.record), version, world.age)
        yield "finds it", world, delivery, found

    def _effect(
        self, world: World, number: int, delivery: Delivery, request: Request
    ) -> Iterator[Branch]:
        outside = _counted(world.ledger.outside, (request.name,))
        happened = world._replace(ledger=world.ledger._replace(outside=outside))
        learned = delivery._replace(learned=delivery.learned | {request.name})
        yield "happens", happened, learned, ("ok",)
        if world.budget.faults:
            yield "fails", _spend(world, "faults"), delivery, ("error",)
            yield "happens, its reply is lost", _spend(happened, "faults"), delivery, ("error",)
        if world.budget.outages:
            spent = _spend(world, "outages")
            yield "finds them down", spent, delivery, ("down",)
            lost = _spend(happened, "outages")
            yield "happens, and they do not say so", lost, delivery, ("unknown",)
        if world.budget.refusals:
            yield "is refused for good", _spend(world, "refusals"), delivery, ("never",)
        if world.budget.sigterms:
            yield "meets SIGTERM", _spend(world, "sigterms"), delivery, ("sigterm",)

    def _write(
        self, world: World, number: int, delivery: Delivery, request: Request
    ) -> Iterator[Branch]:
        if not _fence_holds(world, delivery, request):
            yield "refused", world, delivery, ("refused",)
            if world.budget.faults:
                yield from self._fails(_spend(world, "faults"), number, delivery, request)
            return
        then = self._apply(world, number, request, delivery.learned)
        now, version = _sees(delivery._replace(version=NOBODY))
        yield "applied", then, now, ("ok", version)
        if not world.budget.faults:
            return
        spent = _spend(world, "faults")
        yield from self._fails(spent, number, delivery, request)
        then, old = _spend(then, "faults"), delivery._replace(version=NOBODY)
        yield "applied, its reply is lost", then, old, ("error",)
        yield "applied, refused to the second try", then, old, ("refused",)
        if any(effect.has_precondition for effect in request.effects):
            late = spent._replace(late=spent.late | {Late(number, request)})
            yield "refused by an effect", spent, delivery, ("refused",)
            yield "refused by an effect, its first try on its way", late, delivery, ("refused",)

    def _fails(
        self, spent: World, number: int, delivery: Delivery, request: Request
    ) -> Iterator[Branch]:
        yield "fails", spent, delivery, ("error",)
        if request.kind == "create" or request.version == delivery.version != NOBODY:
            late = spent._replace(late=spent.late | {Late(number, request)})
            yield "fails, on its way", late, delivery, ("error",)

    def _answered(self, world: World, number: int, delivery: Delivery, answer: Answer) -> World:
        """The delivery gets the answer, and runs to its next request."""
        clock = delivery.clock or (0, 0)
        now = clock[0] * (LEASE + 1) + clock[1] * (RETENTION + 1)
        script = self._scripts[number]
        node = script.after(delivery.node, (answer, now))
        request = script.requests[node]
        kind, learned = self.kinds[number], delivery.learned
        promises.check_request(world, number, kind, self.programme, request, learned)
        if request.kind == "end":
            return _tidy(_with(world, number, request.name))
        it = Delivery(node, delivery.version, delivery.seen, clock, delivery.learned)
        return _with(world, number, it)

    def _apply(
        self, world: World, number: int, request: Request, learned: frozenset[str] = frozenset()
    ) -> World:
        assert request.content is not None
        record = _owned(request.content, number)
        if record == world.record and not request.effects:
            return world  # a no-op leaves the update time as it was
        previous = world.previous(record)
        letters, alarm = _documents(world, request)
        then = World(
            record,
            LIVE,
            _commit(world.ledger if previous else Ledger(), record, previous, request),
            letters,
            alarm,
            _all_stale(world.deliveries),
            _creations(world.late),
            world.budget,
        )
        kind = self.kinds[number]
        promises.check_write(world, then, number, kind, self.programme, request, learned)
        return then

    def _late(self, world: World) -> Iterator[Move]:
        for late in world.late:
            if late.request.kind == "create" and world.record is not None:
                continue
            rest = world._replace(late=world.late - {late})
            what = f"{late.sender}: its {late.request.kind} arrives late"
            yield Move(what, _tidy(self._apply(rest, late.sender, late.request)))


def _time(world: World, record: Content) -> Iterator[Move]:
    if world.budget.leases and world.age <= _oldest(record) and record.state == "claimed":
        then = _passed(_spend(world, "leases"), (1, 0))
        yield Move("the lease runs out", then._replace(age=world.age + 1))
    if world.budget.expiries and world.age != EXPIRED:
        # Nothing stays on its way for as long as a record is remembered.
        then = _passed(_spend(world, "expiries"), (0, 1))
        yield Move("the record expires", then._replace(age=EXPIRED, late=frozenset()))
    if world.age == EXPIRED:
        yield Move("TTL deletes the record", _deleted(world))
    if world.budget.deletions:
        then = _spend(world, "deletions")._replace(late=frozenset())
        yield Move("somebody deletes the record", _deleted(then))


def _oldest(record: Content) -> int:
    """The age up to which it can make a difference that more time passes."""
    return OVER if record.vanished else LIVE


def _deleted(world: World) -> World:
    deliveries, late = _all_stale(world.deliveries), _creations(world.late)
    return World(None, LIVE, Ledger(), world.letters, world.alarm, deliveries, late, world.budget)


def _documents(world: World, request: Request) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """The dead letters and the alarm once the request is applied."""
    letters, alarm = dict(world.letters), world.alarm
    for effect in request.effects:
        kind, _, rest = effect.name.partition(":")
        if kind == "letter":
            name, _, state = rest.rpartition(":")
            letters[name] = state
        elif kind == "alarm":
            alarm = rest
    return tuple(sorted(letters.items())), alarm


def _fence_holds(world: World, delivery: Delivery, request: Request) -> bool:
    if request.kind == "create":
        return world.record is None
    return world.record is not None and request.version == delivery.version != NOBODY


def _creations(late: frozenset[Late]) -> frozenset[Late]:
    """What can still come true once the record has changed: no update time comes back."""
    return frozenset(it for it in late if it.request.kind == "create") if late else late


def _commit(ledger: Ledger, new: Content, old: Content | None, request: Request) -> Ledger:
    taken = new.state == "claimed" and (old is None or new.owner != old.owner)
    names = tuple(e.name for e in request.effects if ":" not in e.name)
    return Ledger(_counted(ledger.firestore, names), ledger.outside, ledger.takes + taken)


@functools.cache
def _counted(counts: Counts, names: tuple[str, ...]) -> Counts:
    found = dict(counts)
    for name in names:
        found[name] = found.get(name, 0) + 1
    return tuple(sorted(found.items()))


def _sees(delivery: Delivery) -> tuple[Delivery, int]:
    if delivery.version != NOBODY:
        return delivery, delivery.version
    return delivery._replace(version=delivery.seen, seen=delivery.seen + 1), delivery.seen


def _seen_by(number: int, record: Content) -> Content:
    if record.owner == number:
        return record._replace(owner=ME)
    return record._replace(owner=OTHER, write_id=OTHER)


def _owned(record: Content, number: int) -> Content:
    return record._replace(owner=number if record.owner == ME else NOBODY)


def _all_stale(deliveries: tuple[Delivery | str, ...]) -> tuple[Delivery | str, ...]:
    return tuple([it if isinstance(it, str) else it._replace(version=NOBODY) for it in deliveries])


def _with(world: World, number: int, delivery: Delivery | str) -> World:
    deliveries = [*world.deliveries]
    deliveries[number] = delivery
    record, age, ledger, letters, alarm, _, late, budget = world
    return World(record, age, ledger, letters, alarm, tuple(deliveries), late, budget)


def _tidy(world: World) -> World:
    """Forget what nobody can tell any more: a write_id whose writer is gone."""
    record = world.record
    if record is None or record.owner == NOBODY or record.write_id == OTHER:
        return world
    if isinstance(world.deliveries[record.owner], Delivery):
        return world
    return world._replace(record=record._replace(write_id=OTHER))


@functools.cache
def _less(budget: Budget, name: str) -> Budget:
    return budget._replace(**{name: getattr(budget, name) - 1})


def _spend(world: World, name: str) -> World:
    record, age, ledger, letters, alarm, deliveries, late, budget = world
    return World(record, age, ledger, letters, alarm, deliveries, late, _less(budget, name))


def _passed(world: World, time: tuple[int, int]) -> World:
    def later(it: Delivery | str) -> Delivery | str:
        if isinstance(it, str) or it.clock is None:
            return it
        return it._replace(clock=(it.clock[0] + time[0], it.clock[1] + time[1]))

    return world._replace(deliveries=tuple(map(later, world.deliveries)))
