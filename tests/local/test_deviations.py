"""The table of deviations: each row names the test that holds it, or when it was looked up."""

import re
from pathlib import Path

import pytest

LOCAL = Path(__file__).parent
README = (LOCAL.parents[1] / "local" / "README.md").read_text()
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
    for line in README.partition("## Known deviations")[2].splitlines()
    if line.startswith("| ") and not line.startswith(("| here |", "| --- |"))
]


def known() -> set[str]:
    found = (
        re.findall(r"^def (test_\w+)", it.read_text(), re.M) for it in LOCAL.rglob("test_*.py")
    )
    return {name for names in found for name in names}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_row_names_a_test_that_there_is_or_a_month(row: list[str]) -> None:
    assert len(row) == 4
    held_by = row[3].strip("`")
    assert held_by in known() or re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", held_by)
