"""The tables of rooms that a run of the tests ends with."""

import pytest

from tests.rooms import covered, room_of, times


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("common/idempotency/work.py", "common/idempotency"),
        ("common/errors.py", "common"),
        ("functions/shop/carts.py", "functions"),
        ("local/services/tasks/store.py", "local/services"),
        ("main.py", "."),
        ("tests/common/idempotency/proof/test_proof.py", "common/idempotency"),
        ("tests/functions/test_storm.py", "functions"),
        ("tests/docs/test_pages.py", "docs"),
        ("tests/test_architecture.py", "tests"),
    ],
)
def test_a_file_and_its_tests_have_the_same_room(path: str, room: str) -> None:
    assert room_of(path) == room


def test_the_times_of_a_test_are_summed_by_room() -> None:
    durations = [("tests/docs/a.py::x", 1.0), ("tests/docs/a.py::x", 0.5), ("tests/b.py::y", 2.0)]
    longest, other = times(durations)
    assert longest.split() == ["tests", "1", "tests", "2.0", "s"]
    assert other.split() == ["docs", "1", "tests", "1.5", "s"]


def test_the_lines_of_a_report_are_summed_by_room() -> None:
    files = {"common/a/x.py": (10, 5), "common/a/y.py": (10, 10), "main.py": (2, 2)}
    report = {
        name: {"summary": {"num_statements": lines, "covered_lines": hit}}
        for name, (lines, hit) in files.items()
    }
    rows = [row.split() for row in covered({"files": report})]
    assert rows[1] == ["common/a", "20", "lines", "75.0", "%"]
    assert rows[-1] == ["in", "all", "22", "lines", "77.3", "%"]
