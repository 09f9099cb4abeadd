"""Everything that can happen next in a world.

`Rules.moves` yields every world that one event leads to: an
answer to an actor's request (the right one, or a fault), a crash, a late commit that arrives after
all, a step of the clock, a reminder that stops making sense. What must never happen is a
`Violation`.

    the services say │ it was applied              │ it was not        │ it may be, later
    ─────────────────┼─────────────────────────────┼───────────────────┼──────────────────
    ok, created      │ applied                     │                   │
    refused, existed │ to the second try           │ by a precondition │
                     │ (of the client library)     │                   │
    error            │ its reply is lost           │ fails             │ fails, on its way

The clock knows four times: before the reminder is due; due; its leases over; overdue.
"""

import copy
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from common.cloud.firestore import Filter
from tests.common.scheduling.proof import promises
from tests.common.scheduling.proof.actors import Actor, Delivered, Ring, Troupe
from tests.common.scheduling.proof.contents import ABSENT, Contents, Fields
from tests.common.scheduling.proof.scripts import (
    EPOCH,
    NEVER,
    Answer,
    Places,
    Query,
    Request,
    Script,
    Sight,
    Written,
    alarm_of,
)
from tests.common.scheduling.proof.world import (
    BEFORE,
    CLOCK,
    UNKNOWN,
    WAITING,
    Alarm,
    Budget,
    Doc,
    Late,
    Part,
    World,
    silenced,
    spend,
    with_part,
)


class Move(NamedTuple):
    """One thing that can happen."""

    what: str
    world: World


Branch = tuple[str, World, Part, Answer]
"""What happens to a request, the world and the actor then, and the answer it gets."""


class Rules:
    """What can happen, for one programme and its actors."""

    def __init__(self, troupe: Troupe, actors: Sequence[Actor], *, until: int, size: int) -> None:
        self.troupe = troupe
        self.actors = tuple(actors)
        self.contents = Contents()
        self.places = Places()
        self.reminder = self.places.of(troupe.path)
        self._until = until
        self._size = size
        self._scripts: list[Script] = []
        self._numbers: dict[tuple[Actor, Delivered | None], int] = {}
        self._keys: dict[int, str] = {}

    def beginning(self, budget: Budget) -> World:
        """Nothing has happened."""
        docs = (Doc(),) * self._size
        parts = (WAITING,) * len(self.actors)
        return World(docs, (), (), parts, frozenset(), BEFORE, True, budget)

    def alone(self, actor: Actor) -> "Rules":
        """The rules for one actor in the same worlds."""
        rules = copy.copy(self)
        rules.actors = (actor,)
        return rules

    def histories(self) -> int:
        """How many histories the code was asked about so far."""
        return sum(len(script.requests) for script in self._scripts)

    def fields(self, world: World, path: str) -> Fields:
        """What a document says; nothing if it is not there."""
        return self.contents.fields(world.docs[self.places.of(path)].content)

    def without(self, world: World, path: str) -> World:
        """The world in which this document has never been."""
        docs = [*world.docs]
        docs[self.places.of(path)] = Doc()
        return world._replace(docs=tuple(docs))

    def request(self, part: Part) -> Request:
        """What an actor waits for."""
        return self._scripts[part.script].requests[part.node]

    def moves(self, world: World) -> Iterator[Move]:
        """Everything that can happen next. Raises Violation."""
        for number, part in enumerate(world.parts):
            if isinstance(part, Part):
                yield from self._of_part(world, number, part)
            elif part == WAITING:
                for began, then in self.entrances(world, number):
                    yield from self._answers(then, number, began)
        yield from self._arrivals(world)
        yield from self._circumstances(world)

    def entrances(self, world: World, number: int) -> Iterator[tuple[Part, World]]:
        """The ways in which an actor can begin now."""
        actor = self.actors[number]
        if not isinstance(actor, Ring):
            yield self._entering(actor, None, None), world
            return
        if actor.is_replay and self._letter(world, actor.generation) != "open":
            return
        for place, alarm in enumerate(world.alarms):
            if alarm.generation != actor.generation:
                continue
            delivered = Delivered(f"alarm-{place}", alarm.at)
            is_early = CLOCK[world.clock] < alarm.at
            if not is_early:
                yield self._entering(actor, delivered, place), world
            elif world.budget.early:
                yield self._entering(actor, delivered, place), spend(world, "early")

    def _entering(self, actor: Actor, delivered: Delivered | None, alarm: int | None) -> Part:
        number = self._numbers.get((actor, delivered))
        if number is None:
            number = self._numbers[actor, delivered] = len(self._scripts)
            play = functools.partial(self.troupe.play, actor, delivered)
            self._scripts.append(Script(play, self.places, self.contents))
        return Part(number, 0, alarm, (UNKNOWN,) * self._size)

    def _letter(self, world: World, generation: int) -> str | None:
        return self.fields(world, self.troupe.letter_path(generation)).get("state")

    def _of_part(self, world: World, number: int, part: Part) -> Iterator[Move]:
        yield from self._answers(world, number, part)
        if world.budget.crashes:
            crashed = with_part(spend(world, "crashes"), number, "crashed")
            crashed = crashed._replace(is_alarm_missing=True)
            yield Move(f"{number}: crashes", self.tidy(crashed, number))

    def _answers(self, world: World, number: int, part: Part) -> Iterator[Move]:
        request = self.request(part)
        branches = {
            "read": self._read,
            "query": self._query,
            "commit": self._commit,
            "alarm": self._alarm,
            "exists": self._exists,
            "message": self._message,
            "check": self._check,
        }[request.kind]
        for what, then, it, answer in branches(world, number, part, request):
            yield Move(f"{number}: {request.kind} {what}", self._answered(then, number, it, answer))

    def _read(self, world: World, number: int, part: Part, request: Request) -> Iterator[Branch]:
        part, sights = self._look(world, number, part, request.places)
        yield "answered", world, part, ("found", sights)
        if world.budget.faults:
            yield "fails", spend(world, "faults"), part, ("error",)

    def _query(self, world: World, number: int, part: Part, request: Request) -> Iterator[Branch]:
        assert request.query is not None
        found = self._found(world, request.query)
        part, sights = self._look(world, number, part, found)
        yield "answered", world, part, ("found", sights)
        if world.budget.faults:
            yield "fails", spend(world, "faults"), part, ("error",)

    def _found(self, world: World, query: Query) -> tuple[int, ...]:
        return tuple(
            place
            for place, path in enumerate(self.places.paths)
            if path.startswith(f"{query.collection}/")
            and all(self._passes(world.docs[place], it) for it in query.filters)
        )[: query.limit]

    def _passes(self, doc: Doc, it: Filter) -> bool:
        name, operator, value = it
        assert operator == "<", "the one operator of the sweep"
        fields = self.contents.fields(doc.content)
        return bool(name in fields and fields[name] < value)

    def _look(
        self, world: World, number: int, part: Part, places: tuple[int, ...]
    ) -> tuple[Part, tuple[Sight, ...]]:
        sights = []
        for place in places:
            doc = world.docs[place]
            if doc.content == ABSENT:
                sights.append(Sight(place, ABSENT, NEVER, 0.0))
                continue
            part, moment = _sees(world, part, place)
            seen = self.contents.seen(doc.content, number)
            sights.append(Sight(place, seen, moment, CLOCK[doc.written]))
        return part, tuple(sights)

    def _commit(self, world: World, number: int, part: Part, request: Request) -> Iterator[Branch]:
        if not all(_holds(world, part, it) for it in request.writes):
            yield "refused", world, part, ("refused",)
            if world.budget.faults:
                yield "fails", spend(world, "faults"), part, ("error",)
            return
        then = self._applied(world, number, request)
        moment, places = part.known, [it.place for it in request.writes]
        yield "applied", then, _knowing(part, places, moment), ("ok", moment)
        if world.budget.late:
            late = _on_its_way(spend(world, "late"), number, request)
            yield "fails, on its way", late, part, ("error",)
        if not world.budget.faults:
            return
        yield "fails", spend(world, "faults"), part, ("error",)
        then, unaware = spend(then, "faults"), _knowing(part, places, UNKNOWN)
        yield "applied, its reply is lost", then, unaware, ("error",)
        yield "applied, refused to the second try", then, unaware, ("refused",)

    def _applied(self, world: World, number: int, request: Request) -> World:
        docs = [*world.docs]
        places = sorted({it.place for it in request.writes})
        for it in request.writes:
            written = self.contents.stored(it.fields, number)
            content = self.contents.after(docs[it.place].content, written)
            docs[it.place] = Doc(content, world.clock, places[0])
        then = world._replace(
            docs=_renumbered(docs, places),
            parts=tuple([_unaware(part, places) for part in world.parts]),
            late=_still_possible(world.late, places),
        )
        then = promises.committed(self, world, then, number, request)
        return then if isinstance(then.parts[number], Part) else self.tidy(then, number)

    def _alarm(self, world: World, number: int, part: Part, request: Request) -> Iterator[Branch]:
        assert request.alarm is not None
        generation, at, name = request.alarm
        name = _in_the_world(name, number)
        earlier = [it for it in world.alarms if it.name == name]
        if earlier:
            promises.check_name(earlier[0])
            yield "existed", world, part, ("existed",)
        else:
            alarms = (*world.alarms, Alarm(generation, at, name))
            then = world._replace(alarms=alarms)
            yield "set", then, part, ("created",)
            if world.budget.faults:
                spent = spend(then, "faults")
                yield "set, its reply is lost", spent, part, ("error",)
                yield "set, existed to the second try", spent, part, ("existed",)
        if world.budget.faults:
            failed = spend(world, "faults")._replace(is_alarm_missing=True)
            yield "fails", failed, part, ("error",)

    def _exists(self, world: World, number: int, part: Part, request: Request) -> Iterator[Branch]:
        live = {alarm_of(it.generation, it.at) for it in world.alarms if it.is_live}
        answer = "yes" if request.name in live else "no"
        yield f"says {answer}", world, part, (answer,)
        if world.budget.faults:
            yield "fails", spend(world, "faults"), part, ("error",)

    def _message(self, world: World, number: int, part: Part, request: Request) -> Iterator[Branch]:
        ring = self.actors[number]
        assert isinstance(ring, Ring)
        sent = promises.sent(self._keys, world, ring.generation, request)
        yield "goes out", sent, part, ("ok",)
        if world.budget.faults:
            yield "fails", spend(world, "faults"), part, ("error",)
            yield "is refused", spend(world, "faults"), part, ("refused",)
            yield "goes out, its yes is lost", spend(sent, "faults"), part, ("error",)

    def _check(self, world: World, number: int, part: Part, request: Request) -> Iterator[Branch]:
        answer = "yes" if world.makes_sense else "no"
        yield f"says {answer}", world, part, (answer,)

    def _answered(self, world: World, number: int, part: Part, answer: Answer) -> World:
        """The actor gets the answer, and goes on to its next request."""
        node = self._scripts[part.script].after(part.node, (answer, CLOCK[world.clock]))
        part = part._replace(node=node)
        request = self.request(part)
        promises.check_request(self, world, number, request)
        if request.kind != "end":
            return with_part(world, number, part)
        then = with_part(world, number, _ending(request))
        if request.code == 200 and part.alarm is not None:
            then = silenced(then, part.alarm)
        if request.code == 500:  # its writes may be there, without what was to come behind them
            then = then._replace(is_alarm_missing=True)
        promises.check_end(self, then, number, request)
        return self.tidy(then, number)

    def tidy(self, world: World, number: int) -> World:
        """Forget what nobody can tell any more: the tokens of who has ended."""
        docs = tuple([self._tidied(doc, number) for doc in world.docs])
        alarms = tuple([_tidied(alarm, number) for alarm in world.alarms])
        return world._replace(docs=docs, alarms=alarms)

    def _tidied(self, doc: Doc, number: int) -> Doc:
        content, written, commit = doc
        tidied = self.contents.tidied(content, number)
        return doc if tidied == content else Doc(tidied, written, commit)

    def _arrivals(self, world: World) -> Iterator[Move]:
        for late in world.late:
            rest = world._replace(late=world.late - {late})
            if all(it.fence != NEVER or _is_absent(world, it) for it in late.request.writes):
                then = self._applied(rest, late.sender, late.request)
                yield Move(f"{late.sender}: its commit arrives late", then)

    def _circumstances(self, world: World) -> Iterator[Move]:
        if world.clock < self._until:
            yield Move("time passes", world._replace(clock=world.clock + 1))
        if world.makes_sense and world.budget.senseless:
            then = spend(world, "senseless")._replace(makes_sense=False)
            yield Move("it stops making sense", then)
        if world.budget.lost:
            for place, alarm in enumerate(world.alarms):
                if alarm.is_live:
                    lost = spend(world, "lost")._replace(is_alarm_missing=True)
                    yield Move("an alarm is lost", silenced(lost, place))


def _holds(world: World, part: Part, write: Written) -> bool:
    if write.fence is None:
        return True
    if write.fence == NEVER:
        return _is_absent(world, write)
    return _moment(world, part, write.place) == write.fence


def _is_absent(world: World, write: Written) -> bool:
    return world.docs[write.place].content == ABSENT


def _moment(world: World, part: Part, place: int) -> int:
    """The commit that wrote a document, as far as the actor knows it, through any of its writes."""
    commit = world.docs[place].commit
    together = (part.moments[it] for it, doc in enumerate(world.docs) if doc.commit == commit)
    return next((moment for moment in together if moment != UNKNOWN), UNKNOWN)


def _sees(world: World, part: Part, place: int) -> tuple[Part, int]:
    moment = _moment(world, part, place)
    if moment == UNKNOWN:
        moment = part.known
    return _knowing(part, [place], moment), moment


def _knowing(part: Part, places: Sequence[int], moment: int) -> Part:
    moments = [*part.moments]
    for place in places:
        moments[place] = moment
    return part._replace(moments=tuple(moments), known=max(part.known, moment + 1))


def _unaware(part: Part | str, places: Sequence[int]) -> Part | str:
    return part if isinstance(part, str) else _knowing(part, places, UNKNOWN)


def _renumbered(docs: list[Doc], written: Sequence[int]) -> tuple[Doc, ...]:
    """The commits numbered anew, each by the first document that it was the last to write."""
    first: dict[tuple[bool, int], int] = {}
    renumbered = []
    for place, doc in enumerate(docs):
        if doc.content != ABSENT:
            commit = first.setdefault((place in written, doc.commit), place)
            doc = doc._replace(commit=commit)
        renumbered.append(doc)
    return tuple(renumbered)


def _on_its_way(world: World, number: int, request: Request) -> World:
    fenced = tuple(it.place for it in request.writes if it.fence not in (None, NEVER))
    return world._replace(late=world.late | {Late(number, request, fenced)})


def _still_possible(late: frozenset[Late], written: Sequence[int]) -> frozenset[Late]:
    """What can still come true once these have changed: no update time comes back."""
    if not late:
        return late
    return frozenset(it for it in late if not set(it.places) & set(written))


def _in_the_world(name: str, number: int) -> str:
    """An alarm's name, in which tokens and times between seconds are those of one actor."""
    parts = name.split("\0")
    renamed = [it.replace("me#", f"{number}#") if it.startswith("me#") else it for it in parts]
    is_precise = any(EPOCH.strftime("%Y-") in it and "." in it for it in parts)
    return "\0".join([*renamed, f"{number}#"] if is_precise else renamed)


@functools.cache
def _tidied(alarm: Alarm, number: int) -> Alarm:
    is_mine = any(it.startswith(f"{number}#") for it in alarm.name.split("\0"))
    return alarm._replace(name="") if is_mine else alarm


def _ending(request: Request) -> str:
    return f"{request.name} {request.code}"
