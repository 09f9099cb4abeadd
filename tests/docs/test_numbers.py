"""The numbers in the documents are those of the code."""

import re

import pytest

from common.idempotency import dead_letters, job
from common.process.variables import VARIABLES
from common.scheduling import alarms
from tests.docs.scratch import ROOT
from tests.functions.test_costs import COSTS


def text(name: str) -> str:
    """A page, its lines joined."""
    return " ".join((ROOT / "docs" / name).read_text().split())


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("concepts.md", f"retention ({job.RETENTION.days} days)"),
        ("concepts.md", f"after the retention of {job.RETENTION.days} days"),
        ("concepts.md", f"lease ({VARIABLES['LEASE_SECONDS'].default} s)"),
        ("concepts.md", f"in `dead_letters` for {dead_letters.RETENTION.days} days"),
        ("concepts.md", f"further ahead than {alarms.HOP.days} days"),
        ("decisions.md", f"remembered for {job.RETENTION.days} days"),
        ("decisions.md", f"a dead letter for {dead_letters.RETENTION.days} days"),
    ],
)
def test_a_sentence_has_the_number_of_the_code(page: str, sentence: str) -> None:
    assert sentence in text(page)


def test_the_costs_of_an_event_are_those_that_a_test_holds() -> None:
    page = (ROOT / "docs" / "limits-and-costs.md").read_text()
    rows = re.findall(r"^\| `([a-z_.]+)`[^|]*((?: \| \d+){3}) \|$", page, re.MULTILINE)
    found = [(name, *map(int, re.findall(r"\d+", numbers))) for name, numbers in rows]
    assert found == [(name, *numbers) for name, _, *numbers in COSTS.values()]
