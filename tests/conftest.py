"""What the tests of the proof explored, behind the results."""

from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", [])
    found: list[tuple[str, Any]] = [it for report in passed for it in report.user_properties]
    explored = [it for name, it in found if name == "explored"]
    mutants = [it for name, it in found if name == "mutant"]
    if not explored:
        return
    terminalreporter.section("idempotency: every schedule")
    for name, states, schedules, histories in explored:
        row = f"{name:45} {states:>10,} states {schedules:>18,} schedules {histories:>6,} histories"
        terminalreporter.write_line(row)
    states, schedules = (sum(it[place] for it in explored) for place in (1, 2))
    terminalreporter.write_line(f"{'in all':45} {states:>10,} states {schedules:>18,} schedules")
    terminalreporter.write_line(f"{len(mutants)} mistakes made, all caught")
