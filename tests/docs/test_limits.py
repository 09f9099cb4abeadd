"""The page of limits and costs adds up, and its prices are those of the benches."""

import re

from tests.bench import spending
from tests.docs.scratch import ROOT

PAGE = (ROOT / "docs" / "limits-and-costs.md").read_text()
ROWS = re.findall(r"^\| ([^|]+) \|([^|]*)\| (\d+\.\d\d) \|$", PAGE, re.M)
PRICES = {
    "read": spending.READ,
    "reads": spending.READ,
    "writes": spending.WRITE,
    "deletes": spending.DELETE,
    "operations": spending.TASK,
}


def test_the_parts_of_a_million_messages_add_up() -> None:
    *parts, (name, _, total) = ROWS
    assert name == "together"
    assert round(sum(float(price) for _, _, price in parts), 2) == float(total)


def test_each_part_is_a_number_times_its_price() -> None:
    counted = [re.fullmatch(r"(\d+) (\w+)", many.strip()) for _, many, _ in ROWS]
    found = [(it, float(row[2])) for it, row in zip(counted, ROWS, strict=True) if it]
    assert len(found) == 5
    for it, price in found:
        assert round(int(it[1]) * PRICES[it[2]], 2) == price
