"""The newest version of the changelog is the version of the code."""

import re
from datetime import date

import common
from tests.docs.scratch import ROOT

PAGE = (ROOT / "CHANGELOG.md").read_text()
VERSIONS = re.findall(r"^## (\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)$", PAGE, re.MULTILINE)


def test_the_newest_version_is_that_of_the_code() -> None:
    assert VERSIONS[0][0] == common.__version__


def test_every_version_has_a_date_and_the_newest_comes_first() -> None:
    assert len(VERSIONS) == len(re.findall(r"^## ", PAGE, re.MULTILINE))
    dates = [date.fromisoformat(day) for _, day in VERSIONS]
    assert dates == sorted(dates, reverse=True)


def test_the_newest_version_says_how_to_take_it() -> None:
    newest = PAGE.split("\n## ")[1]
    assert "### How to take it into a bundle of your own" in newest
