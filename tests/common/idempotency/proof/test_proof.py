"""The proof of `common.idempotency`: every schedule keeps every promise, and every mistake shows.

Three deliveries of two payloads meet all that can go wrong, at every point at which it can; `world`
has the list. What must hold is in `promises`: an effect in Firestore is committed once, with its
mark; a 2xx stands for a record that is done or dead; no effect begins without the claim, or again
after its mark; nobody writes what is somebody else's; a mismatch leaves the original as it was;
and whatever was not acknowledged ends, delivered again, done or dead-lettered.
"""

from collections.abc import Callable

import pytest
from _pytest.mark import ParameterSet

from tests.common.idempotency.proof.explorer import Scenario, explore
from tests.common.idempotency.proof.mutants import MUTANTS, Mutant
from tests.common.idempotency.proof.scenarios import DEEP, LONG, SCENARIOS
from tests.common.walk import Broken

Record = Callable[[str, object], None]

pytestmark = pytest.mark.no_cover
"""Counting the lines would take three times as long as running them; the tests beside count."""


def _name(it: Scenario | Mutant) -> str:
    return it.name


def _marked(it: Scenario) -> ParameterSet:
    return pytest.param(it, id=it.name, marks=[pytest.mark.slow] if it.name in LONG else [])


@pytest.mark.parametrize("scenario", [_marked(it) for it in SCENARIOS])
def test_every_schedule_keeps_every_promise(scenario: Scenario, record_property: Record) -> None:
    """With one fault, one crash and one lease running out, wherever they may fall."""
    found = explore(scenario)
    record_property("explored", [scenario.name, found.states, found.schedules, found.histories])
    assert found.states > 1000


@pytest.mark.slow
@pytest.mark.parametrize("scenario", DEEP, ids=_name)
def test_every_schedule_keeps_every_promise_with_one_more_fault(
    scenario: Scenario, record_property: Record
) -> None:
    found = explore(scenario)
    record_property("explored", [scenario.name, found.states, found.schedules, found.histories])


@pytest.mark.parametrize("mutant", MUTANTS, ids=_name)
def test_every_mistake_breaks_a_promise(mutant: Mutant, record_property: Record) -> None:
    (scenario,) = [it for it in SCENARIOS if it.name == mutant.scenario]
    with mutant.made(), pytest.raises(Broken) as broken:
        explore(scenario)
    record_property("mutant", [mutant.name, str(broken.value.violation)])


def test_the_explorer_tells_by_which_schedule_a_promise_was_broken() -> None:
    (mutant,) = [it for it in MUTANTS if it.name == "answer 200 while in progress"]
    with mutant.made(), pytest.raises(Broken, match="without a done record\n  0: create applied"):
        explore(SCENARIOS[0])
