"""What the tests of each room took, and which lines of each room they ran through.

python -m tests.rooms COVERAGE.JSON     print the table of a report of coverage.py
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

WITH_ROOMS = ("common", "local", "operations")
"""The folders that have rooms; any other is one room."""


def room_of(path: str) -> str:
    """The room of a file, or that of the tests in it: `common/idempotency`, `functions`, `docs`.

    `tests` for a test of the whole tree.
    """
    folders = PurePosixPath(path).parts[:-1]
    if folders[:1] == ("tests",):
        folders = folders[1:] or folders
    return "/".join(folders[: 2 if folders[:1] and folders[0] in WITH_ROOMS else 1]) or "."


def times(durations: Iterable[tuple[str, float]]) -> list[str]:
    """A table from the seconds of each test's parts, by its pytest id; the longest first."""
    seconds: defaultdict[str, float] = defaultdict(float)
    tests: dict[str, set[str]] = defaultdict(set)
    for name, duration in durations:
        room = room_of(name.partition("::")[0])
        seconds[room] += duration
        tests[room].add(name)
    longest = sorted(seconds.items(), key=lambda item: -item[1])
    rows = [(room, len(tests[room]), total) for room, total in longest]
    return [f"{room:30} {count:>6,} tests {total:>9.1f} s" for room, count, total in rows]


def covered(report: dict[str, Any]) -> list[str]:
    """A table from a report of coverage.py in JSON, in the order of the names."""
    lines: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    for name, file in report["files"].items():
        room = room_of(name)
        lines[room] += file["summary"]["num_statements"]
        hit[room] += file["summary"]["covered_lines"]
    rows = [(room, lines[room], hit[room]) for room in sorted(lines) if lines[room]]
    rows.append(("in all", lines.total(), hit.total()))
    return [f"{room:30} {of:>6,} lines {100 * ran / of:>8.1f} %" for room, of, ran in rows]


if __name__ == "__main__":
    print("covered by the tests' own processes (the functions of a deployed bundle run in others)")
    print("\n".join(covered(json.loads(Path(sys.argv[1]).read_text()))))
