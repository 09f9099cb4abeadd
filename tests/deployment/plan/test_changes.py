"""Differences field by field, and how long pauses are."""

import pytest

from deployment.plan.changes import CHANGE, Change, Difference, differences, maps, shown
from deployment.table import pauses


def test_only_what_is_not_the_same_is_a_difference() -> None:
    [found] = differences({"a": 1, "b": "x"}, {"a": 1, "b": "y"})
    assert str(found) == "b: is x, will be y"


def test_what_is_not_there_is_not_set() -> None:
    assert str(differences({}, {"a": "1"})[0]) == "a: is not set, will be 1"


def test_a_map_differs_in_what_is_not_wanted_any_more() -> None:
    found = maps("settings", {"A": "1", "B": "2"}, {"A": "1", "C": "3"})
    assert [str(it) for it in found] == [
        "settings.B: is 2, will be not set",
        "settings.C: is not set, will be 3",
    ]


def test_a_long_value_is_cut_where_it_is_shown() -> None:
    assert len(str(Difference(name="a", found="x" * 500, wanted="y"))) < 100


@pytest.mark.parametrize(
    ("value", "text"),
    [(500.0, "500"), (0.5, "0.5"), (None, "not set"), ("", "not set"), (True, "yes"), ([], "none")],
)
def test_a_value_is_shown_as_text(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_change_is_a_line_and_a_line_for_each_field() -> None:
    change = Change(
        sign=CHANGE,
        kind="queue",
        name="digests",
        commands=(),
        differences=(Difference(name="state", found="PAUSED", wanted="RUNNING"),),
    )
    assert list(change.lines()) == ["~ queue digests", "    state: is PAUSED, will be RUNNING"]


def test_pauses_are_doubled_and_then_grow_evenly_up_to_the_last() -> None:
    found = [pauses.pause(n, 10, 600, 3) for n in range(9)]
    assert found == [10, 20, 40, 80, 160, 240, 320, 400, 480]
    assert pauses.pause(50, 10, 600, 3) == 600


def test_attempts_and_how_long_they_last_agree() -> None:
    attempts = pauses.attempts_in(86_400, 10, 600, 5)
    assert pauses.lasts(attempts + 1, 10, 600, 5) >= 86_400 > pauses.lasts(attempts, 10, 600, 5)
