"""What is printed behind the results: what the proof explored, and what each room took."""

from typing import Any

import pytest

from tests import rooms


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _tell_what_was_explored(terminalreporter)
    reports = [report for found in terminalreporter.stats.values() for report in found]
    durations = [(it.nodeid, it.duration) for it in reports if isinstance(it, pytest.TestReport)]
    if durations:
        terminalreporter.section("time per room")
        terminalreporter.write_line("\n".join(rooms.times(durations)))


def _tell_what_was_explored(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", [])
    found: list[tuple[str, Any]] = [it for report in passed for it in report.user_properties]
    explored = [it for name, it in found if name == "explored"]
    mutants = [it for name, it in found if name == "mutant"]
    if not explored:
        return
    terminalreporter.section("every schedule")
    for name, states, schedules, histories in explored:
        row = f"{name:45} {states:>10,} states {schedules:>18,} schedules {histories:>6,} histories"
        terminalreporter.write_line(row)
    states, schedules = (sum(it[place] for it in explored) for place in (1, 2))
    terminalreporter.write_line(f"{'in all':45} {states:>10,} states {schedules:>18,} schedules")
    terminalreporter.write_line(f"{len(mutants)} mistakes made, all caught")
