"""What must hold, whatever happens: checked at every write, every request and every end."""

from typing import TYPE_CHECKING

from common.idempotency.fingerprint import fingerprint
from common.idempotency.record import WHOLE
from tests.common.idempotency.proof.programs import RESULT, Kind, Programme
from tests.common.idempotency.proof.scripts import LETTERS, Content, Request
from tests.common.walk import Violation

if TYPE_CHECKING:
    from tests.common.idempotency.proof.world import World

LIVE, PAST, EXPIRED = 0, 2, 3
FIXED = Content._fields.index("steps")
"""From this field on, a takeover leaves a record as it was."""
MAX_VANISHED = 3
"""As the proof has it; the code says a dozen, which is the same and takes longer."""


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
    if name in {dead for dead, *_ in record.dead}:
        raise Violation(f"effect {name} begins after it was given up")
    is_replayed = kind.replays and kind.replays in dict(record.replays)
    if is_replayed and name != kind.replays and name in {owed for owed, *_ in record.owed}:
        raise Violation(f"effect {name} begins in the replay of {kind.replays}")
    happened = dict(world.ledger.outside).get(name)
    if programme.on_unknown_outcome == "hold" and happened and kind.replays is None:
        raise Violation(f"effect {name} must not be repeated")
    if record.fingerprint != fingerprint_of(kind):
        raise Violation(f"effect {name} begins for an older payload")


def _check_end(world: "World", number: int, kind: Kind, request: Request) -> None:
    record = world.record
    match request.name:
        case "done" | "duplicate":
            _check_done(world, kind, request)
        case "dead_lettered":
            if (
                record is None
                or record.state != "dead"
                or "open" not in dict(world.letters).values()
            ):
                raise Violation("answered dead_lettered without a dead letter")
        case "waiting":
            _check_waits(world)
        case "reused":
            if record is None or fingerprint_of(kind) in _accepted(record):
                raise Violation(f"refused payload {kind.payload}, which the record is for")
        case "in_progress" | "lost":
            _check_kept_away(world, number)
        case "broken":
            raise Violation(f"an error of its own: {request.result}")


def _check_waits(world: "World") -> None:
    record = world.record
    is_settled = record is not None and record.state in ("done", "dead")
    if record is not None and world.alarm != "pending" and not is_settled:
        raise Violation("answered waiting, and nothing rings")


def _accepted(record: Content) -> tuple[str, ...]:
    return record.accepted or (record.fingerprint,)


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
    if fingerprint_of(kind) not in _accepted(record):
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
        _check_progress(old, new, programme, learned, is_ending=request.is_under_way)
    elif new.state == "claimed":
        _check_take(before, old, new, kind)
    elif new.state == "waiting":
        _check_hand_over(before, old, new)
    else:
        _check_give_up(before, old, new)
    _check_ledger(after, new, programme)
    _check_documents(before, after, new)


def _writer(record: Content) -> tuple[object, str]:
    return record.owner, record.write_id


def _check_fresh(new: Content, kind: Kind) -> None:
    is_early = new.steps and not kind.is_first
    if new.attempts != 1 or is_early or new.owed or new.dead or new.handed_over:
        raise Violation(f"a fresh record is not fresh: {new}")
    if new.fingerprint != fingerprint_of(kind):
        raise Violation("a record with somebody else's fingerprint")


def _check_progress(
    old: Content, new: Content, programme: Programme, learned: frozenset[str], *, is_ending: bool
) -> None:
    _check_kept(old, new)
    if new.attempts != old.attempts:
        raise Violation(f"attempts went from {old.attempts} to {new.attempts}")
    if is_ending and new.state == "claimed":
        raise Violation("given back, and still held")
    if unmarked := learned - dict(new.steps).keys():
        raise Violation(f"known to have happened, and not marked: {sorted(unmarked)}")
    for name, reason, *_ in set(new.dead) - set(old.dead):
        _check_dead(name, reason, {it[0]: it[2] for it in old.owed}, programme)
    if new.state == "done" and (new.owed or new.dead):
        raise Violation("done, with something owed or dead")
    if new.state == "dead" and not new.dead:
        raise Violation("dead, of nothing")
    if new.state == "waiting" and not new.owed and new.handed_over and not old.handed_over:
        raise Violation("handed over, of nothing")


def _check_dead(name: str, reason: str, tries: dict[str, int], programme: Programme) -> None:
    if not programme.outage_patience:
        return
    if reason == "attempts_used_up" and tries.get(name, 0) + 1 < programme.max_attempts:
        raise Violation(f"{name or 'the work'} is given up after {tries.get(name, 0)} failures")
    if reason == "outage":
        raise Violation(f"{name or 'the work'} is given up in an outage")


def _check_take(before: "World", old: Content, new: Content, kind: Kind) -> None:
    if old.state == "done":
        raise Violation("a done record was taken over")
    if old.state == "claimed" and before.age == LIVE:
        raise Violation("a live claim was stolen")
    revived = {name for name, *_ in old.dead} - {name for name, *_ in new.dead}
    if revived or old.state == "dead":
        return _check_replay(old, new, kind, revived, dict(before.letters))
    if old.state == "claimed" and old.vanished and before.age < PAST:
        raise Violation("what vanishes again and again is repeated at once")
    if old.state == "waiting" and old.handed_over and not kind.is_ringing:
        raise Violation("what was handed over is taken by one who does not ring")
    _check_kept(old, new)
    if new.fingerprint != fingerprint_of(kind):
        raise Violation("taken over for another payload")
    if new[FIXED:] != old[FIXED:]:
        raise Violation("a takeover changed more than who holds it")
    _check_counted(old, new)


def _check_counted(old: Content, new: Content) -> None:
    if new.attempts != 2:
        raise Violation(f"attempts went from {old.attempts} to {new.attempts}")
    expected = old.vanished + (old.state == "claimed")
    if new.vanished != expected or new.vanished >= MAX_VANISHED:
        raise Violation(f"vanished attempts went from {old.vanished} to {new.vanished}")


def _check_replay(
    old: Content, new: Content, kind: Kind, revived: set[str], letters: dict[str, str]
) -> None:
    if kind.replays is None:
        raise Violation("a dead record was taken over without a replay")
    if kind.replays not in letters:
        raise Violation("the replay of a letter that there is not")
    if kind.replays and revived != {kind.replays}:
        raise Violation(f"the replay of {kind.replays} takes up {sorted(revived)}")
    if dict(old.steps) != dict(new.steps) or old.owed != new.owed:
        raise Violation("a replay keeps what is done, and what is owed")
    if new.fingerprint != fingerprint_of(kind):
        raise Violation("a replay runs another payload")
    if not set(_accepted(old)) <= set(_accepted(new)):
        raise Violation("a correction forgot what was accepted before")
    is_corrected = new.fingerprint != old.fingerprint
    if is_corrected and any(name in revived and unknown for name, _, unknown in old.dead):
        raise Violation("corrected, and may have happened as it was before")
    salts = dict(new.salts)
    if is_corrected and any(salts.get(it) == dict(old.salts).get(it) for it in revived):
        raise Violation("what is corrected has its old key")


def _check_hand_over(before: "World", old: Content, new: Content) -> None:
    if old.state != "claimed" or before.age == LIVE or not old.vanished:
        raise Violation(f"somebody else's record went from {old.state} to {new.state}")
    if not new.handed_over or new.vanished != old.vanished + 1:
        raise Violation("put off, and not handed over")
    _check_kept(old, new)


def _check_give_up(before: "World", old: Content, new: Content) -> None:
    if new.state != "dead" or old.state != "claimed":
        raise Violation(f"somebody else's record went from {old.state} to {new.state}")
    if before.age == LIVE:
        raise Violation("a live claim was given up by another")
    if old.vanished + 1 < MAX_VANISHED:
        raise Violation(f"given up after {old.vanished + 1} attempts that vanished")
    _check_kept(old, new)


def _check_kept(old: Content, new: Content) -> None:
    if (new.fingerprint, new.accepted) != (old.fingerprint, old.accepted):
        raise Violation("the fingerprint changed")
    if not dict(old.steps).items() <= dict(new.steps).items():
        raise Violation("a finished step was forgotten")
    if not {name for name, *_ in old.dead} <= {name for name, *_ in new.dead}:
        raise Violation("what was given up is forgotten")


def _check_documents(before: "World", after: "World", new: Content) -> None:
    """The dead letters and the alarm say what the record says."""
    if new.handed_over != (after.alarm == "pending"):
        raise Violation(f"handed over: {new.handed_over}, but the alarm is {after.alarm}")
    letters = dict(after.letters)
    for name, *_ in new.dead:
        if letters.get(name) != "open":
            raise Violation(f"{name or 'the work'} is dead without its dead letter")
    over = dict(before.record.replays if before.record else ()).keys() - dict(new.replays).keys()
    if new.state == "dead" and WHOLE in {dead for dead, *_ in new.dead}:
        return  # the letter stays open
    still_dead = {dead for dead, *_ in new.dead}
    for name in over - still_dead - {it for it in LETTERS if LETTERS[it] in still_dead}:
        if letters.get(LETTERS.get(name, name)) != "replayed":
            raise Violation(f"{name or 'the work'} was replayed, and its letter is not marked")


def _check_ledger(world: "World", record: Content, programme: Programme) -> None:
    expected = dict.fromkeys(dict(record.steps), 1)
    if record.state == "done":
        expected["done"] = 1
    if programme.writes_on_claim:
        expected["begun"] = world.ledger.takes
    happened = dict(world.ledger.firestore)
    if happened != expected:
        raise Violation(f"committed {happened}, but the record says {expected}")


def fingerprint_of(kind: Kind) -> str:
    """What identifies a delivery's payload; not asked of the code that is examined."""
    return FINGERPRINTS[kind.payload]


FINGERPRINTS = {payload: fingerprint({"payload": payload}) for payload in (1, 2)}
