"""The proof of `common.scheduling`: every schedule keeps every promise to a reminder.

The real code schedules, reschedules, cancels, rings and sweeps one reminder, in every interleaving,
and meets all that can go wrong at every point at which it can; `rules` has the list. What must hold
is in `promises`: a message is sent only after the commit that moved its reminder from pending to
sending with the claim, and never of what was cancelled or replaced before that; what was settled
stays so; what is unsettled has an alarm, or is found by a sweep; and in the end, when nothing goes
wrong any more, whatever was scheduled is sent, skipped, dead or cancelled, and its record says so.
"""

from collections.abc import Callable

import pytest
from _pytest.mark import ParameterSet

from tests.common.scheduling.proof.explorer import Scenario, explore
from tests.common.scheduling.proof.mutants import MUTANTS, Mutant
from tests.common.scheduling.proof.scenarios import DEEP, SCENARIOS, SLOW
from tests.common.walk import Broken

Record = Callable[[str, object], None]


def _name(it: Scenario | Mutant) -> str:
    return it.name


def _marked(it: Scenario) -> ParameterSet:
    return pytest.param(it, id=it.name, marks=[pytest.mark.slow] if it.name in SLOW else [])


@pytest.mark.parametrize("scenario", [_marked(it) for it in SCENARIOS])
def test_every_schedule_keeps_every_promise(scenario: Scenario, record_property: Record) -> None:
    found = explore(scenario)
    row = [f"reminders: {scenario.name}", found.states, found.schedules, found.histories]
    record_property("explored", row)
    assert found.endings == set(scenario.ends)
    assert found.states > 500


@pytest.mark.slow
@pytest.mark.parametrize("scenario", DEEP, ids=_name)
def test_every_schedule_keeps_every_promise_with_one_more_fault(
    scenario: Scenario, record_property: Record
) -> None:
    found = explore(scenario)
    row = [f"reminders: {scenario.name}", found.states, found.schedules, found.histories]
    record_property("explored", row)


@pytest.mark.parametrize("mutant", MUTANTS, ids=_name)
def test_every_mistake_breaks_a_promise(mutant: Mutant, record_property: Record) -> None:
    (scenario,) = [it for it in SCENARIOS if it.name == mutant.scenario]
    with mutant.made(), pytest.raises(Broken) as broken:
        explore(scenario)
    record_property("mutant", [mutant.name, str(broken.value.violation)])
