"""What must hold, whatever happens: checked at every write, every request and every end."""

from typing import TYPE_CHECKING

from common.idempotency.fingerprint import fingerprint
from tests.common.idempotency.proof.programs import RESULT, Kind, Programme
from tests.common.idempotency.proof.scripts import Content, Request

if TYPE_CHECKING:
    from tests.common.idempotency.proof.world import World

LIVE, EXPIRED = 0, 2
GIVES_UP = frozenset({"refused", "rejected", "careless"})
"""Programmes that may give up before their attempts are used up."""


class Violation(Exception):
    """A promise was broken."""


def check_request(
    world: "World",
    number: int,
    kind: Kind,
    programme: Programme,
    request: Request,
    learned: frozenset[str],
) -> None:
    """What a delivery may ask, or how it may end, the way the world is at this moment.

    `learned` are the outside effects of which the delivery knows that they happened.
    """
    if request.kind == "effect" and not request.is_under_way:
        _check_effect(world, number, kind, programme, request.name)
        if request.name in learned:
            raise Violation(f"effect {request.name} begins again, known to have happened")
    if request.kind == "end":
        _check_end(world, number, kind, request)


def _check_effect(world: "World", number: int, kind: Kind, programme: Programme, name: str) -> None:
    record = world.record
    if record is None or record.owner != number or record.state != "claimed":
        raise Violation(f"effect {name} begins without the claim")
    if name in dict(record.steps):
        raise Violation(f"effect {name} begins again after its mark")
    if (
        programme.on_unknown_outcome == "hold"
        and dict(world.ledger.outside).get(name)
        and not kind.is_replay
    ):
        raise Violation(f"effect {name} must not be repeated")


def _check_end(world: "World", number: int, kind: Kind, request: Request) -> None:
    record = world.record
    match request.name:
        case "done" | "duplicate":
            _check_done(world, kind, request)
        case "dead_lettered":
            if record is None or record.state != "dead" or world.dead_letter != "open":
                raise Violation("answered dead_lettered without a dead letter")
        case "reused":
            if record is None or record.fingerprint == fingerprint_of(kind):
                raise Violation(f"refused payload {kind.payload}, which the record is for")
        case "in_progress" | "lost":
            _check_kept_away(world, number)
        case "broken":
            raise Violation(f"an error of its own: {request.result}")


def _check_kept_away(world: "World", number: int) -> None:
    record, delivery = world.record, world.deliveries[number]
    assert not isinstance(delivery, str)
    was_forgotten = delivery.clock and delivery.clock[1]
    if record and record.owner == number and record.state == "claimed" and not was_forgotten:
        raise Violation("kept away by its own claim")


def _check_done(world: "World", kind: Kind, request: Request) -> None:
    record = world.record
    is_forgotten = world.age == EXPIRED and request.name == "duplicate"
    if record is None or record.state != "done" or is_forgotten:
        raise Violation(f"answered {request.name} without a done record")
    if record.fingerprint != fingerprint_of(kind):
        raise Violation(f"answered {request.name} to payload {kind.payload}, done for another")
    if request.result != RESULT or type(request.result) is not int:
        raise Violation(f"the result came back as {request.result!r}")


def check_write(
    before: "World",
    after: "World",
    number: int,
    kind: Kind,
    programme: Programme,
    request: Request,
    learned: frozenset[str],
) -> None:
    """Whether a write that was applied is a step the record may take, with its effects.

    `learned` are the outside effects of which the writer knew that they happened.
    """
    new = after.record
    assert new is not None
    old = before.previous(new)
    if new.owner != number:
        raise Violation("a write without the writer's token")
    if before.record is not None and _writer(new) == _writer(before.record):
        raise Violation("a write_id is used again")
    if old is None:
        _check_fresh(new, kind)
    elif old.owner == number and old.state == "claimed":
        uncounted = request.is_under_way or kind.is_early
        _check_progress(old, new, programme, uncounted, learned)
    elif new.state == "claimed":
        _check_take(before, old, new, kind, programme)
    else:
        _check_give_up(before, old, new, programme)
    _check_ledger(after, new, programme)


def _writer(record: Content) -> tuple[object, str]:
    return record.owner, record.write_id


def _check_fresh(new: Content, kind: Kind) -> None:
    if new.attempts != 1 or new.steps or new.waited or new.error:
        raise Violation(f"a fresh record is not fresh: {new}")
    if new.fingerprint != fingerprint_of(kind):
        raise Violation("a record with somebody else's fingerprint")


def _check_progress(
    old: Content, new: Content, programme: Programme, uncounted: bool, learned: frozenset[str]
) -> None:
    _check_kept(old, new)
    if new.attempts != old.attempts - uncounted:
        raise Violation(f"attempts went from {old.attempts} to {new.attempts}")
    may_give_up = programme.handle.__name__ in GIVES_UP or programme.on_unknown_outcome == "hold"
    if new.state == "dead" and old.attempts < programme.max_attempts and not may_give_up:
        raise Violation(f"given up after {old.attempts} attempts")
    if unmarked := learned - dict(new.steps).keys():
        raise Violation(f"known to have happened, and not marked: {sorted(unmarked)}")


def _check_take(
    before: "World", old: Content, new: Content, kind: Kind, programme: Programme
) -> None:
    if old.state == "done":
        raise Violation("a done record was taken over")
    if old.state == "dead":
        return _check_replay(old, new, kind)
    if old.state == "claimed" and before.age == LIVE:
        raise Violation("a live claim was stolen")
    if old.state == "claimed" and programme.on_unknown_outcome == "hold":
        raise Violation("an attempt that vanished was repeated")
    _check_kept(old, new)
    if new.fingerprint != fingerprint_of(kind):
        raise Violation("taken over for another payload")
    if dict(old.steps) != dict(new.steps):
        raise Violation("a takeover changed the steps")
    if new.attempts != old.attempts + 1 or new.attempts > programme.max_attempts:
        raise Violation(f"attempts went from {old.attempts} to {new.attempts}")


def _check_replay(old: Content, new: Content, kind: Kind) -> None:
    if not kind.is_replay:
        raise Violation("a dead record was taken over without a replay")
    if dict(old.steps) != dict(new.steps) or new.attempts != 1:
        raise Violation("a replay keeps the steps, and its attempts begin anew")
    if new.fingerprint != old.fingerprint and old.steps:
        raise Violation("a replay with another payload after finished steps")


def _check_give_up(before: "World", old: Content, new: Content, programme: Programme) -> None:
    if new.state != "dead" or old.state not in ("claimed", "waiting"):
        raise Violation(f"somebody else's record went from {old.state} to {new.state}")
    if old.state == "claimed" and before.age == LIVE:
        raise Violation("a live claim was given up by another")
    held = old.state == "claimed" and programme.on_unknown_outcome == "hold"
    if old.attempts < programme.max_attempts and not held:
        raise Violation(f"given up after {old.attempts} attempts")
    _check_kept(old, new)


def _check_kept(old: Content, new: Content) -> None:
    if new.fingerprint != old.fingerprint:
        raise Violation("the fingerprint changed")
    if not dict(old.steps).items() <= dict(new.steps).items():
        raise Violation("a finished step was forgotten")


def _check_ledger(world: "World", record: Content, programme: Programme) -> None:
    expected = dict.fromkeys(dict(record.steps), 1)
    if record.state == "done":
        expected["done"] = 1
    if programme.writes_on_claim:
        expected["begun"] = world.ledger.takes
    happened = dict(world.ledger.firestore)
    if happened != expected:
        raise Violation(f"committed {happened}, but the record says {expected}")
    if record.state == "dead" and world.dead_letter != "open":
        raise Violation("a dead record without its dead letter")
    if record.state == "done" and record.replay_of and world.dead_letter != "replayed":
        raise Violation("a replay was done, and its dead letter is not marked")


def fingerprint_of(kind: Kind) -> str:
    """What identifies a delivery's payload; not asked of the code that is examined."""
    return FINGERPRINTS[kind.payload]


FINGERPRINTS = {payload: fingerprint({"payload": payload}) for payload in (1, 2)}
