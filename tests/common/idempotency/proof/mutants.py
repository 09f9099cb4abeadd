"""What the explorer must catch: the real code with one mistake in it, made in memory."""

from dataclasses import dataclass

from common.idempotency import attempt, change, claim, delivery, job, record, work
from tests.common import mutants


@dataclass(frozen=True)
class Mutant(mutants.Mutant):
    """A mistake that a scenario of the proof catches."""

    scenario: str


D = delivery._Delivery
A = attempt.Attempt
C = claim.Claim
R = record.Record
W = work.Work

MUTANTS = [
    Mutant(
        "write without the fence",
        C, "_is_committed",
        "self._store.replace(record, self.fence, effects)",
        "self._store.replace(record, self._store.read(self._id).update_time, effects)",
        "Firestore effects",
    ),
    Mutant(
        "take over without the fence",
        D, "_claim",
        "self._store.replace(decision.record, decision.fence, effects)",
        "self._store.replace(decision.record, self._store.read(self._id).update_time, effects)",
        "Firestore effects",
    ),
    Mutant(
        "trust a clock that is fast",
        record, "lease_left",
        "record.lease_seconds - _age(found)",
        "record.lease_seconds - _age(found) - 600",
        "Firestore effects",
    ),
    Mutant(
        "answer 200 while in progress",
        D, "_carry_out",
        "raise InProgressError(retry_after=decision.retry_after)",
        'return Answer(status="duplicate", result=0)',
        "Firestore effects",
    ),
    Mutant(
        "take one's own create for somebody else's",
        D, "_read_back",
        "found.record.owner != self._owner",
        "True",
        "Firestore effects",
    ),
    Mutant(
        "take somebody else's claim for one's own",
        D, "_read_back",
        "or found.record.owner != self._owner",
        "",
        "Firestore effects",
    ),
    Mutant(
        "forget the token",
        record, "_signed",
        "owner=request.fresh.owner,",
        "",
        "Firestore effects",
    ),
    Mutant(
        "use a write_id again",
        C, "_is_committed",
        "write_id=self._tokens()",
        "write_id=record.write_id",
        "a step",
    ),
    Mutant(
        "take an uncertain write for applied",
        C, "_is_committed",
        'return self._read_back(mine) == "applied"',
        "self.record = record; return True",
        "Firestore effects",
    ),
    Mutant(
        "take a refusal for a lost claim",
        C, "_is_committed",
        "found = self._read_back(mine)",
        "raise LostClaimError",
        "Firestore effects",
    ),
    Mutant(
        "take any record of ours for this write",
        C, "_adopt",
        'return "rebased"',
        'return "applied"',
        "a handler that goes on",
    ),
    Mutant(
        "write effects again that came late",
        change, "applied",
        "if name not in record.steps",
        "if True",
        "a handler that goes on",
    ),
    Mutant(
        "ignore the fingerprint",
        record, "_decide_live",
        "record.fingerprint != request.fresh.fingerprint",
        "False",
        "Firestore effects",
    ),
    Mutant(
        "drop the fingerprint when done",
        R, "completed",
        "state=State.DONE,",
        'state=State.DONE, fingerprint="",',
        "Firestore effects",
    ),
    Mutant(
        "replay another payload after a finished step",
        record, "_is_correction",
        "return is_replay and not record.steps",
        "return is_replay",
        "a replay with another payload, after a step",
    ),
    Mutant(
        "count attempts after user code",
        record, "_take_over",
        "attempts=record.attempts + 1",
        "attempts=record.attempts",
        "poison",
    ),
    Mutant(
        "do not count a failure",
        R, "failed",
        "state=State.WAITING,",
        "state=State.WAITING, attempts=self.attempts - 1,",
        "a handler that fails once",
    ),
    Mutant(
        "no cap on attempts that vanish",
        record, "_decide_claimed",
        "record.attempts >= request.max_attempts",
        "False",
        "poison",
    ),
    Mutant(
        "give up without a dead letter",
        job, "dead_letter_writes",
        "return [dead_letter, *job.writes_on_dead_letter()]",
        "return []",
        "a handler that fails for good",
    ),
    Mutant(
        "let anybody take over the dead",
        record, "_decide_dead",
        "request.fresh.replay_of is None",
        "False",
        "a handler that fails for good",
    ),
    Mutant(
        "a replay begins without the finished steps",
        record, "_decide_dead",
        "steps=record.steps,",
        "",
        "a handler that fails for good",
    ),
    Mutant(
        "do not mark the dead letter as replayed",
        A, "_completion",
        "if replay_of else []",
        "if False else []",
        "a handler that fails for good",
    ),
    Mutant(
        "complete without the effects",
        A, "_completion",
        "[*outcome.writes, *replayed]",
        "replayed",
        "Firestore effects",
    ),
    Mutant(
        "a falsy result comes back as nothing",
        D, "_carry_out",
        "json.loads(decision.result)",
        "json.loads(decision.result) or None",
        "Firestore effects",
    ),
    Mutant(
        "leave marks behind that could travel",
        C, "commit",
        "{**self._travelling, **change.marks}",
        "change.marks",
        "a last step",
    ),
    Mutant(
        "forget that an effect happened",
        C, "carry",
        "self._travelling[step] = mark",
        "pass",
        "a last step",
    ),
    Mutant(
        "begin a travelling step again",
        C, "result_of",
        "if step in self._travelling:",
        "if False:",
        "a last step",
    ),
    Mutant(
        "apply a change without its marks",
        change, "applied",
        "{name: mark.result for name, mark in new.items()}",
        "{}",
        "a step",
    ),
    Mutant(
        "apply a change without the writes of its marks",
        change, "applied",
        "[*marked, *change.writes]",
        "change.writes",
        "a step",
    ),
    Mutant(
        "apply a change without its own writes",
        change, "applied",
        "[*marked, *change.writes]",
        "marked",
        "Firestore effects",
    ),
    Mutant(
        "apply a change without its ending",
        change, "applied",
        "_ended(change.ending, record)",
        "record",
        "Firestore effects",
    ),
    Mutant(
        "a release does not end the attempt",
        change, "_ended",
        "return record.released()",
        "return record",
        "SIGTERM",
    ),
    Mutant(
        "go on as if an earlier step had not finished",
        W, "_performed",
        "(found := self._claim.result_of(name)) is not None",
        "found := None",
        "a step",
    ),
    Mutant(
        "a takeover forgets the steps",
        record, "_take_over",
        "state=State.CLAIMED,",
        "state=State.CLAIMED, steps={},",
        "a step",
    ),
    Mutant(
        "begin a step without asking whether the lease is over",
        C, "ensure_ready",
        "left < self.record.lease_seconds * RENEW_BELOW or not self._is_certain",
        "False",
        "two last steps",
    ),
    Mutant(
        "begin a step in doubt about the claim",
        C, "ensure_ready",
        "or not self._is_certain",
        "",
        "deleted by hand",
    ),
    Mutant(
        "go on after SIGTERM gave the claim back",
        C, "_ensure_held",
        "self._is_lost or self.record.state is not State.CLAIMED",
        "self._is_lost",
        "SIGTERM",
    ),
    Mutant(
        "repeat what is held when its attempt vanished",
        record, "_decide_claimed",
        'request.on_unknown_outcome == "hold"',
        "False",
        "held, a step",
    ),
    Mutant(
        "repeat what is held when its reply was lost",
        W, "_doubt",
        'self._on_unknown_outcome == "hold"',
        "False",
        "held, a step",
    ),
    Mutant(
        "give back what is held in the middle of it",
        A, "release",
        'is_last_call and self._job.on_unknown_outcome == "rerun"',
        "is_last_call",
        "SIGTERM, held",
    ),
    Mutant(
        "remember what has expired",
        record, "is_expired",
        "return",
        "return False and",
        "expiry",
    ),
    Mutant(
        "the fast path without a record",
        D, "_fast_path",
        "self._store.create(record, outcome.writes)",
        "pass",
        "the fast path",
    ),
]  # fmt: skip
