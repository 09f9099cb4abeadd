"""What is explored: which handler, which three deliveries, how much may go wrong."""

from dataclasses import replace
from datetime import timedelta

from common.idempotency.record import WHOLE
from tests.common.idempotency.proof import programs
from tests.common.idempotency.proof.explorer import Scenario
from tests.common.idempotency.proof.programs import Kind, Programme, update
from tests.common.idempotency.proof.world import Budget

ORDINARY = Kind()
OTHER = Kind(payload=2)
FIRST = Kind(is_first=True)
EARLY = Kind(is_early=True)
RINGING = Kind(is_ringing=True)
REPLAY = Kind(replays=WHOLE)
OF_THE_TASK = Kind(replays="task")
CORRECTED = Kind(replays=WHOLE, payload=2)
CORRECTED_TASK = Kind(replays="task", payload=2)

TWICE = (ORDINARY, ORDINARY, OTHER)
THRICE = (ORDINARY, ORDINARY, ORDINARY)
REPLAYED = (ORDINARY, REPLAY, OTHER)

ONE = Budget(faults=1, crashes=1, leases=1)
TWO = Budget(faults=2, crashes=1, leases=1)
STOPPED = Budget(faults=1, leases=1, sigterms=1)

SCENARIOS = [
    Scenario("Firestore effects", Programme(programs.commit), TWICE, TWO),
    Scenario("a step", Programme(programs.mail), TWICE, ONE),
    Scenario("a last step", Programme(programs.last), TWICE, ONE),
    Scenario("two last steps", Programme(programs.pair), TWICE, ONE),
    Scenario("all kinds of steps", Programme(programs.order), TWICE, ONE),
    Scenario("a handler that fails once", Programme(programs.flaky), TWICE, ONE),
    Scenario("a handler that fails for good", Programme(programs.refused), REPLAYED, ONE),
    Scenario(
        "a replay with another payload",
        Programme(programs.rejected),
        (ORDINARY, REPLAY, CORRECTED),
        ONE,
    ),
    Scenario(
        "a replay with another payload, after a step",
        Programme(programs.refused),
        (ORDINARY, REPLAY, CORRECTED),
        ONE,
    ),
    Scenario("too early", Programme(programs.early), (ORDINARY, EARLY, OTHER), ONE),
    Scenario("a handler that compensates", Programme(programs.careless), TWICE, ONE),
    Scenario(
        "a handler that goes on",
        Programme(programs.stubborn),
        (ORDINARY,),
        Budget(faults=3),
    ),
    Scenario("held, a step", Programme(programs.mail, on_unknown_outcome="hold"), TWICE, ONE),
    Scenario("held, a last step", Programme(programs.last, on_unknown_outcome="hold"), TWICE, ONE),
    Scenario(
        "effects with the claim",
        Programme(programs.commit, writes_on_claim=(update("begun"),)),
        TWICE,
        ONE,
    ),
    Scenario("first: Firestore alone", Programme(programs.commit), (FIRST, FIRST, OTHER), ONE),
    Scenario("first: a write, an effect", Programme(programs.later), (FIRST, FIRST, OTHER), ONE),
    Scenario(
        "first: a handler that compensates", Programme(programs.careless), (FIRST, FIRST), ONE
    ),
    Scenario(
        "the last attempt vanishes",
        Programme(programs.last, max_attempts=2),
        THRICE,
        Budget(faults=0, crashes=2, leases=2),
    ),
    Scenario(
        "poison",
        Programme(programs.last, max_attempts=2),
        TWICE,
        Budget(faults=1, crashes=1, leases=1),
        is_poison=True,
    ),
    Scenario(
        "effects that fail and wait, handed over",
        Programme(programs.pair, is_handed_over=True),
        (ORDINARY, RINGING),
        Budget(crashes=1, leases=1, outages=2),
    ),
    Scenario(
        "an effect that is refused for good, and replayed",
        Programme(programs.stepped, is_handed_over=True),
        (ORDINARY, OF_THE_TASK, RINGING),
        Budget(faults=1, outages=1, refusals=1),
    ),
    Scenario(
        "a correction beside a late original",
        Programme(programs.pair),
        (ORDINARY, CORRECTED_TASK, ORDINARY),
        Budget(crashes=1, leases=1, outages=1, refusals=1),
    ),
    Scenario(
        "an outage that outlasts patience",
        Programme(programs.pair, is_handed_over=True, outage_patience=timedelta(0)),
        (ORDINARY, RINGING, RINGING),
        Budget(faults=1, outages=2),
    ),
    Scenario(
        "held, effects",
        Programme(programs.pair, on_unknown_outcome="hold", is_handed_over=True),
        (ORDINARY, RINGING),
        Budget(crashes=1, leases=1, outages=1),
    ),
    Scenario(
        "a flapping database",
        Programme(programs.pair, is_handed_over=True),
        (ORDINARY, RINGING),
        Budget(crashes=2, leases=3),
    ),
    Scenario(
        "a mark that is committed at once",
        Programme(programs.unrepeatable),
        (ORDINARY, ORDINARY),
        Budget(faults=1, crashes=1, leases=1),
    ),
    Scenario("expiry", Programme(programs.commit), TWICE, Budget(faults=1, expiries=1)),
    Scenario("deleted by hand", Programme(programs.careless), TWICE, Budget(faults=1, deletions=1)),
    Scenario("SIGTERM", Programme(programs.mail), TWICE, STOPPED),
    Scenario(
        "SIGTERM, held",
        Programme(programs.mail, on_unknown_outcome="hold"),
        TWICE,
        Budget(faults=1, leases=1, sigterms=1),
    ),
]

LONG = {
    "a handler that fails for good",
    "Firestore effects",
    "all kinds of steps",
    "expiry",
    "deleted by hand",
    "SIGTERM",
    "SIGTERM, held",
    "held, a step",
    "held, a last step",
    "a step",
    "a replay with another payload, after a step",
    "an effect that is refused for good, and replayed",
}
"""Those that take more than four seconds each."""
SHORT = {
    "poison",
    "effects with the claim",
    "effects that fail and wait, handed over",
    "held, effects",
    "a mark that is committed at once",
    "first: a handler that compensates",
    "a flapping database",
    "first: Firestore alone",
    "the last attempt vanishes",
}
"""Those that take two seconds at most."""
DEEP = [
    replace(it, budget=it.budget._replace(faults=it.budget.faults + 1))
    for it in SCENARIOS
    if it.name in SHORT
]
"""Those with one more fault each; with the others it takes minutes."""
