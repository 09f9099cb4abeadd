"""The costs that the module promises are the ones that are measured."""

from typing import Any

import pytest

from common.idempotency import delivery
from tests.bench import idempotency_counts

DOCUMENTED = {
    "first delivery": "a delivery that nobody calls the first",
    "called the first": "first delivery, Firestore alone",
    "called the first with effects": "first delivery, with outside effects",
    "duplicate": "duplicate, in progress",
    "in progress": "duplicate, in progress",
    "waits already": "duplicate, in progress",
    "dead already": "duplicate, in progress",
    "after a failure": "after a wait",
    "after an attempt that vanished": "after a wait",
}


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return {str(name): counts for name, *counts in idempotency_counts.rows()}


@pytest.mark.parametrize("outcome", DOCUMENTED)
def test_the_documented_costs_are_true(outcome: str, measured: dict[str, Any]) -> None:
    _, commits, refused, _, reads = measured[outcome]
    assert delivery.__doc__
    (line,) = [it for it in delivery.__doc__.splitlines() if DOCUMENTED[outcome] in it]
    assert [int(cell) for cell in line.split("│")[1:]] == [commits, refused, reads]


def test_a_step_and_a_write_cost_a_commit_each_and_an_effect_none(
    measured: dict[str, Any],
) -> None:
    steps, plain = measured["with a write a step and an effect"], measured["first delivery"]
    assert steps[1] - plain[1] == 2
