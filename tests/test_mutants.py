"""Every mistake on the lists is noticed by each of the tests that the list names for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.common.cloud import mutants as cloud
from tests.common.idempotency import mutants as idempotency
from tests.common.messaging import mutants as messaging
from tests.common.mutants import Noticed, unnoticed
from tests.common.outside import mutants as outside
from tests.common.people import mutants as people
from tests.common.process import mutants as process
from tests.common.scheduling import mutants as scheduling
from tests.common.scheduling.campaigns import mutants as campaigns
from tests.common.triggers import mutants as triggers
from tests.deployment import mutants as deployment
from tests.functions import mutants as functions
from tests.local.services import mutants as local
from tests.operations import mutants as operations

TESTS = Path(__file__).parent
LISTS = {
    TESTS / "common/triggers": triggers.MUTANTS,
    TESTS / "common/idempotency": idempotency.MUTANTS,
    TESTS / "common/messaging": messaging.MUTANTS,
    TESTS / "common/outside": outside.MUTANTS,
    TESTS / "common/cloud": cloud.MUTANTS,
    TESTS / "common/process": process.MUTANTS,
    TESTS / "common/people": people.MUTANTS,
    TESTS / "common/scheduling": scheduling.MUTANTS,
    TESTS / "common/scheduling/campaigns": campaigns.MUTANTS,
    TESTS / "functions": functions.MUTANTS,
    TESTS / "deployment": deployment.MUTANTS,
    TESTS / "operations": operations.MUTANTS,
    TESTS / "local/services": local.MUTANTS,
}
LONG = {
    TESTS / folder for folder in ("common/cloud", "common/outside", "deployment", "local/services")
}
"""Folders whose tests take seconds each: sockets, and comparisons with other stores."""
QUICK_LISTS = {folder: each for folder, each in LISTS.items() if folder not in LONG}
LONG_LISTS = {folder: each for folder, each in LISTS.items() if folder in LONG}
MUTANTS = [mutant for each in LISTS.values() for mutant in each]


def _all(lists: Mapping[Path, Sequence[Noticed]]) -> list[Noticed]:
    return [mutant for each in lists.values() for mutant in each]


@pytest.fixture(scope="module")
def silent() -> dict[str, set[str]]:
    """The tests that did not notice, by mistake."""
    return unnoticed(QUICK_LISTS)


@pytest.fixture(scope="module")
def long_silent() -> dict[str, set[str]]:
    """The same of the folders that take long."""
    return unnoticed(LONG_LISTS)


def test_each_mistake_has_a_name_of_its_own_and_tests() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.tests for mutant in MUTANTS)


def test_each_mistake_can_be_made_in_the_code_as_it_is() -> None:
    for mutant in MUTANTS:
        with mutant.made():
            pass


@pytest.mark.parametrize("mutant", _all(QUICK_LISTS), ids=lambda it: it.name)
def test_a_mistake_is_noticed(mutant: Noticed, silent: dict[str, set[str]]) -> None:
    assert silent[mutant.name] == set()


@pytest.mark.slow
@pytest.mark.parametrize("mutant", _all(LONG_LISTS), ids=lambda it: it.name)
def test_a_mistake_that_takes_long_is_noticed(
    mutant: Noticed, long_silent: dict[str, set[str]]
) -> None:
    assert long_silent[mutant.name] == set()
