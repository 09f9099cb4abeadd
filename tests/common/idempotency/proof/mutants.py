"""What the explorer must catch: the real code with one mistake in it, made in memory."""

from dataclasses import dataclass

from common.idempotency import attempt, change, claim, decision, delivery, record, work
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
        decision, "lease_left",
        "held.lease_seconds - _age(found)",
        "held.lease_seconds - _age(found) - 600",
        "Firestore effects",
    ),
    Mutant(
        "answer 200 while in progress",
        D, "_carry_out",
        "raise InProgressError(retry_after=spread(decision.retry_after, self._owner))",
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
        decision, "_signed",
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
        decision, "_decide_live",
        "if given != record.fingerprint and given not in record.accepted:",
        "if False:",
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
        "repeat what is held when its reply was lost",
        W, "_doubt",
        'self.is_held and not',
        "False and not",
        "held, a step",
    ),
    Mutant(
        "remember what has expired",
        decision, "is_expired",
        "return",
        "return False and",
        "expiry",
    ),
    Mutant(
        "drop the fingerprint when done",
        R, "completed",
        "result=result,",
        'result=result, fingerprint="",',
        "Firestore effects",
    ),
    Mutant(
        "complete without the effects",
        A, "_completion",
        "*outcome.writes,",
        "",
        "Firestore effects",
    ),
    Mutant(
        "do not mark the dead letter as replayed",
        A, "_completion",
        "*map(dead_letters.replayed, dict.fromkeys(letters)),",
        "",
        "a handler that fails for good",
    ),
    Mutant(
        "give up without a dead letter",
        A, "_letters",
        "return [*opened, *replayed]",
        "return replayed",
        "a handler that fails for good",
    ),
    Mutant(
        "a takeover forgets the steps",
        decision, "_taken",
        "state=State.CLAIMED,",
        "state=State.CLAIMED, steps={},",
        "a step",
    ),
    Mutant(
        "do not count what vanishes",
        decision, "_decide_vanished",
        "record.vanished + 1",
        "record.vanished",
        "poison",
    ),
    Mutant(
        "no end to what vanishes",
        decision, "_decide_vanished",
        "vanished >= MAX_VANISHED",
        "False",
        "poison",
    ),
    Mutant(
        "repeat at once what vanishes again and again",
        decision, "_decide_vanished",
        "if left < 0:",
        "if True:",
        "the last attempt vanishes",
    ),
    Mutant(
        "let anybody take over the dead",
        decision, "_decide_live",
        'return DeadAlready(error=record.error or "")',
        "return Acquire(record=_taken(record), fence=found.update_time)",
        "a handler that fails for good",
    ),
    Mutant(
        "a replay begins without the finished steps",
        decision, "_revived",
        "vanished=0,",
        "vanished=0, steps={},",
        "a handler that fails for good",
    ),
    Mutant(
        "repeat what is held when its attempt vanished",
        W, "_is_doubtful",
        "return self.is_held and name in self._claim.begun",
        "return False",
        "held, a step",
    ),
    Mutant(
        "go on as if an earlier step had not finished",
        W, "step",
        "(found := self._claim.result_of(name)) is not None",
        "found := None",
        "a step",
    ),
    Mutant(
        "go on as if an earlier effect had not finished",
        W, "effect",
        "(found := self._claim.result_of(name)) is not None",
        "found := None",
        "a last step",
    ),
    Mutant(
        "begin an effect before the claim that waits",
        C, "ensure_ready",
        "or not self.is_written or",
        "or",
        "first: a write, an effect",
    ),
    Mutant(
        "the claim that waits leaves its writes behind",
        C, "_created",
        "self._store.create(record, effects)",
        "self._store.create(record, [])",
        "first: Firestore alone",
    ),
    Mutant(
        "whoever comes takes what was handed over",
        decision, "_decide_live",
        "and not request.is_ringing",
        "and False",
        "effects that fail and wait, handed over",
    ),
    Mutant(
        "a correction is sent under the old key",
        decision, "_corrected",
        "**dict.fromkeys(replayed, salt)",
        "",
        "a correction beside a late original",
    ),
    Mutant(
        "a correction forgets the original",
        decision, "_corrected",
        "accepted=tuple(accepted)",
        "accepted=(fingerprint,)",
        "a correction beside a late original",
    ),
    Mutant(
        "an older payload is run",
        decision, "_decide_live",
        "if given != record.fingerprint:",
        "if False:",
        "a correction beside a late original",
    ),
    Mutant(
        "what is handed over never rings",
        A, "_writes",
        "*self._deferral_writes(ended)]",
        "]",
        "effects that fail and wait, handed over",
    ),
]  # fmt: skip
