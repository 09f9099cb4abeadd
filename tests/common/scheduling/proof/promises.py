"""What must hold, whatever happens: checked at every commit, every request and every end.

the reminder goes from    │ to                    │ in a commit of
──────────────────────────┼───────────────────────┼────────────────────────────────────────
any but sending           │ pending, the next     │ whoever schedules or moves it
                          │ generation            │
sending                   │ the same, marked      │ whoever schedules, moves or cancels it
sending                   │ pending, the next     │ a ring, with its end: what it was asked for
                          │ generation            │ meanwhile, or asks for itself
pending, dead             │ cancelled             │ whoever cancels it
pending, sending          │ sending               │ a ring, with its claim
dead                      │ sending               │ a replay, with its claim
sending                   │ pending               │ a ring that waits, and has surely sent nothing
sending                   │ sent, skipped,        │ a ring, with its done mark
                          │ cancelled             │
pending, sending          │ dead                  │ a ring, with its dead mark and dead letter
pending, sending          │ the same, its alarm   │ a ring that is too early; a sweep
                          │ another               │
"""

from typing import TYPE_CHECKING, Any

from tests.common.scheduling.proof.actors import DUE, Application, Event, Ring, Sweep
from tests.common.scheduling.proof.contents import Fields, owner
from tests.common.scheduling.proof.scripts import Request
from tests.common.scheduling.proof.world import CLOCK, Alarm, Generation, World
from tests.common.walk import Violation

if TYPE_CHECKING:
    from tests.common.scheduling.proof.rules import Rules

UNSETTLED = ("pending", "sending")
EXPECTED = ("TransientError", "UnavailableError", "early", "flaky")
"""Errors that the world brings about, or a programme."""
SETTLED = ("sent", "skipped", "dead", "cancelled")


# Commits


def committed(rules: "Rules", before: World, after: World, number: int, request: Request) -> World:
    """The world after a commit, with what it means for the reminder. Raises Violation."""
    actor = rules.actors[number]
    old = rules.contents.fields(before.docs[rules.reminder].content)
    new = rules.contents.fields(after.docs[rules.reminder].content)
    if isinstance(actor, Ring):
        _check_claim(rules, before, after, number, request)
    if rules.reminder not in {it.place for it in request.writes}:
        return after
    _check_overdue(new)
    if new["generation"] != old.get("generation", 0):
        return _scheduled(rules, after, number, old, new)
    return _moved(rules, after, number, old, new)


def _check_claim(
    rules: "Rules", before: World, after: World, number: int, request: Request
) -> None:
    """Whoever takes the claim moves the reminder with it."""
    ring = rules.actors[number]
    assert isinstance(ring, Ring)
    path = rules.troupe.record_path(ring)
    was, record = rules.fields(before, path), rules.fields(after, path)
    goes_on = was.get("state") == "claimed" and record.get("attempts") == was["attempts"]
    is_taken = record.get("state") == "claimed" and not goes_on and record != was
    if is_taken and rules.reminder not in {it.place for it in request.writes}:
        raise Violation("a claim without the reminder")


def _check_overdue(new: Fields) -> None:
    is_found = "overdue_at" in new
    if is_found != (new["state"] in UNSETTLED):
        raise Violation(f"{new['state']} {'with' if is_found else 'without'} overdue_at")
    if new["state"] != "sending" and "mark" in new:
        raise Violation(f"{new['state']}, and still marked")


def _scheduled(rules: "Rules", after: World, number: int, old: Fields, new: Fields) -> World:
    if new["generation"] != old.get("generation", 0) + 1 or new["state"] != "pending":
        raise Violation(f"from generation {old.get('generation')} to {new['generation']}")
    match rules.actors[number]:
        case Ring() as ring:
            _check_following(rules, after, ring, old, new)
        case Event() | Application() as it if it.does != "cancel":
            _check_replaced(rules, after, it, old, new)
        case other:
            raise Violation(f"{other} starts a generation")
    then = _withdrawn(after, old["generation"]) if old else after
    return _appended(then, new)


def _check_replaced(
    rules: "Rules", after: World, it: Event | Application, old: Fields, new: Fields
) -> None:
    if old.get("state") == "sending":
        raise Violation("replaced while it is being sent")
    expected = {"from": it.name} if it.does == "schedule" else old["payload"]
    if new["payload"] != expected:
        raise Violation("a generation with the payload of another")
    if it.does == "reschedule" and of(after, old["generation"]).sent:
        raise Violation("moved, and it has gone out")
    if isinstance(it, Event):
        mark = rules.fields(after, rules.troupe.record_path(it))
        if mark["state"] != "done" and not mark["steps"]:
            raise Violation("a reminder without the mark of its event")


def _check_following(rules: "Rules", after: World, ring: Ring, old: Fields, new: Fields) -> None:
    """A ring ends with what others asked for meanwhile, or with what it asks for itself."""
    mark = old.get("mark", {})
    if old["state"] != "sending" or ring.generation != old["generation"]:
        raise Violation(f"a ring of generation {ring.generation} replaces {old['generation']}")
    if rules.fields(after, rules.troupe.record_path(ring))["state"] == "claimed":
        raise Violation("replaced by its own ring, which goes on")
    if mark.get("does") == "cancel":
        raise Violation("cancelled, and another comes after it")
    asked = mark["payload"] if mark else {"from": "next"}
    if new["payload"] != asked:
        raise Violation("a generation with the payload of another")
    if mark.get("does") == "reschedule" and of(after, ring.generation).sent:
        raise Violation("moved, and it has gone out")


def _appended(world: World, new: Fields) -> World:
    it = Generation(payload=new["payload"]["from"])
    return world._replace(generations=(*world.generations, it))


def _withdrawn(world: World, generation: int) -> World:
    it = of(world, generation)._replace(is_withdrawn=True)
    return _with_generation(world, generation, it)


def _moved(rules: "Rules", after: World, number: int, old: Fields, new: Fields) -> World:
    actor = rules.actors[number]
    asks = actor.does if isinstance(actor, Event | Application) else None
    match (old["state"], new["state"]):
        case ("sending", "sending") if asks:
            if _without(old, "mark", "write_ids") != _without(new, "mark", "write_ids"):
                raise Violation(f"{actor} changes more than the mark of what is being sent")
            return after
        case ("pending" | "sending" as was, now) if was == now and _is_another_alarm(old, new):
            if asks:
                raise Violation(f"{actor} moves an alarm")
            return after
        case ("pending" | "dead", "cancelled"):
            return _cancelled(after, asks, old)
        case ("pending" | "sending" | "dead" as was, "sending"):
            return _begun(rules, after, number, was, new)
        case ("sending", "pending"):
            return _put_back(rules, after, number, new)
        case ("sending", "cancelled"):
            _ring(rules, after, number, new)
            if old.get("mark", {}).get("does") != "cancel":
                raise Violation("a ring cancels")
            return _withdrawn(after, old["generation"])
        case ("sending", "sent" | "skipped" as state):
            _check_settled(rules, after, number, state, new)
            return after
        case ("pending" | "sending", "dead"):
            _check_settled(rules, after, number, "dead", new)
            return after
    raise Violation(f"from {old['state']} to {new['state']}")


def _is_another_alarm(old: Fields, new: Fields) -> bool:
    alarm = ("alarm_at", "alarm_setter", "overdue_at")
    return _without(old, *alarm) == _without(new, *alarm)


def _without(fields: Fields, *names: str) -> dict[str, Any]:
    return {name: it for name, it in fields.items() if name not in names}


def _cancelled(after: World, asks: str | None, old: Fields) -> World:
    if asks != "cancel":
        raise Violation("cancelled by nobody")
    if old["state"] == "pending" and of(after, old["generation"]).sent:
        raise Violation("cancelled, and it has gone out")
    return _withdrawn(after, old["generation"])


def _put_back(rules: "Rules", after: World, number: int, new: Fields) -> World:
    ring, record = _ring(rules, after, number, new)
    if record["state"] != "waiting":
        raise Violation(f"back to pending, and its claim is {record['state']}")
    it = of(after, ring.generation)
    if it.sent:
        raise Violation("back to pending, and it may have gone out")
    return _with_generation(after, ring.generation, it._replace(has_begun=False))


def _begun(rules: "Rules", after: World, number: int, was: str, new: Fields) -> World:
    ring, record = _ring(rules, after, number, new)
    if record["state"] != "claimed" or owner(record["owner"]) != number:
        raise Violation("from pending to sending without the claim")
    if was == "dead" and not ring.is_replay:
        raise Violation("from dead to sending without a replay")
    it = of(after, ring.generation)
    return _with_generation(after, ring.generation, it._replace(has_begun=True))


def _check_settled(rules: "Rules", after: World, number: int, state: str, new: Fields) -> None:
    ring, record = _ring(rules, after, number, new)
    if record["state"] != ("dead" if state == "dead" else "done"):
        raise Violation(f"{state}, and its claim is {record['state']}")
    sent, marked = of(after, ring.generation).sent, bool(record["steps"])
    if state == "sent" and not sent:
        raise Violation("sent, and no message went out")
    if state == "skipped" and marked:
        raise Violation("skipped, and its message is marked")
    letter = rules.fields(after, rules.troupe.letter_path(ring.generation))
    if state == "dead" and letter.get("state") != "open":
        raise Violation("dead without a dead letter")
    if state != "dead" and ring.is_replay and letter.get("state") != "replayed":
        raise Violation("a replay was done, and its dead letter is not marked")


def _ring(rules: "Rules", world: World, number: int, new: Fields) -> tuple[Ring, Fields]:
    ring = rules.actors[number]
    if not isinstance(ring, Ring):
        raise Violation(f"{ring} moves the reminder to {new['state']}")
    if ring.generation != new["generation"]:
        raise Violation(f"a ring of generation {ring.generation} moves {new['generation']}")
    return ring, rules.fields(world, rules.troupe.record_path(ring))


# Requests


def check_request(rules: "Rules", world: World, number: int, request: Request) -> None:
    """What an actor may ask for, the way the world is at this moment."""
    if request.kind == "message":
        _check_message(rules, world, number, request)


def _check_message(rules: "Rules", world: World, number: int, request: Request) -> None:
    ring = rules.actors[number]
    assert isinstance(ring, Ring)
    record = rules.fields(world, rules.troupe.record_path(ring))
    if record.get("state") != "claimed" or owner(record["owner"]) != number:
        raise Violation("a message without the claim")
    if record["steps"]:
        raise Violation("a message again, after its mark")
    if CLOCK[world.clock] < DUE:
        raise Violation("a message before its time")
    it = of(world, ring.generation)
    if not it.has_begun:
        raise Violation("a message before the commit that moved its reminder to sending")
    if it.is_withdrawn:
        raise Violation("a message of what was cancelled or replaced while it was pending")
    if request.name != it.payload:
        raise Violation(f"a message of generation {ring.generation} with the payload of another")


def sent(keys: dict[int, str], world: World, generation: int, request: Request) -> World:
    """The world after a message. Raises Violation for a key that the provider does not know."""
    if keys.setdefault(generation, request.key) != request.key:
        raise Violation("two messages of one generation, to the provider")
    if any(key == request.key and it != generation for it, key in keys.items()):
        raise Violation("two generations are one message to the provider")
    it = of(world, generation)
    return _with_generation(world, generation, it._replace(sent=min(it.sent + 1, 2)))


def check_name(earlier: Alarm) -> None:
    """An alarm of this name exists already: it must be the same, and still to ring."""
    if not earlier.is_live:
        raise Violation("an alarm has the name of one that has rung")


# Ends


def check_end(rules: "Rules", world: World, number: int, request: Request) -> None:
    """How an actor may end, the way the world is at this moment."""
    actor = rules.actors[number]
    if request.code == 500 and request.key not in EXPECTED:
        raise Violation(f"an error of its own: {request.key}")
    if request.code == 200 and not isinstance(actor, Sweep):
        _check_alarm(rules, world, number)
    if request.code == 200 and isinstance(actor, Ring):
        _check_acknowledged(rules, world, actor, request)


def _check_alarm(rules: "Rules", world: World, number: int) -> None:
    """What is pending has had an alarm, unless setting one has failed, or is about to happen."""
    reminder = rules.fields(world, rules.troupe.path)
    others = [part for it, part in enumerate(world.parts) if it != number]
    is_busy = any(not isinstance(part, str) for part in others)
    if reminder.get("state") != "pending" or world.is_alarm_missing or is_busy:
        return
    due = DUE if world.clock == 0 else CLOCK[world.clock]
    alarms = [it for it in world.alarms if it.generation == reminder["generation"]]
    if not any(it.at <= due + 1 or it.is_live for it in alarms):
        raise Violation("pending without an alarm")


def _check_acknowledged(rules: "Rules", world: World, ring: Ring, request: Request) -> None:
    reminder = rules.fields(world, rules.troupe.path)
    if reminder.get("generation") != ring.generation or reminder["state"] in SETTLED:
        return
    if request.name == "waiting":
        # Lost or not, there was one; if setting it failed, the sweep does it.
        if not world.is_alarm_missing and not any(
            it.generation == ring.generation for it in world.alarms
        ):
            raise Violation("waits without another alarm")
    elif request.name == "enqueued":
        # The same of an alarm that relies on a later one, which the record names.
        if not world.is_alarm_missing and not any(
            it.is_live and it.generation == ring.generation for it in world.alarms
        ):
            raise Violation("put off without another alarm")
    elif reminder["state"] == "pending" and world.is_alarm_missing:
        return
    elif request.name != "skipped" or of(world, ring.generation).has_begun:
        raise Violation(f"answered {request.name}, and the reminder is {reminder['state']}")


def check_rest(rules: "Rules", world: World) -> str:
    """How the reminder ended, after everything was delivered. Raises Violation."""
    reminder = rules.fields(world, rules.troupe.path)
    if not reminder:
        return "none"
    state, generation = reminder["state"], of(world, reminder["generation"])
    endings = ("cancelled",) if generation.is_withdrawn else rules.troupe.programme.endings
    if state not in endings:
        raise Violation(f"in the end the reminder is {state}")
    if world.makes_sense and state == "skipped" and rules.troupe.programme.has_check:
        raise Violation("skipped, though it made sense all the time")
    return str(state)


def of(world: World, generation: int) -> Generation:
    """What has happened to a generation."""
    return world.generations[generation - 1]


def _with_generation(world: World, generation: int, it: Generation) -> World:
    generations = [*world.generations]
    generations[generation - 1] = it
    return world._replace(generations=tuple(generations))
