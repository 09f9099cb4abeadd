"""Durations, as they are typed and as they are shown."""

import contextlib

import pytest

from local.kernel import durations


def test_durations_are_understood() -> None:
    typed = ("2h", "45d", "90m", "30s", "250ms", "1w1d", "1h30m", "1.5h")
    day = 86_400
    seconds = [7200, 45 * day, 5400, 30, 0.25, 8 * day, 5400, 5400]
    assert [durations.seconds(text) for text in typed] == seconds


def test_what_is_no_duration_is_refused() -> None:
    understood = []
    for text in ("", "2", "h", "2 h", "-2h", "2y", "2h!", "1e3s", "٢h"):
        with contextlib.suppress(ValueError):
            understood.append(durations.seconds(text))
    assert understood == []
    with pytest.raises(ValueError, match="'2 h' is not a duration such as 2h, 45d or 30s"):
        durations.seconds("2 h")


def test_a_length_of_time_is_shown_with_its_two_largest_units() -> None:
    lengths = (0, 0.4, 45, 60, 3599.6, 7260, 86_400, 273_600, 273_661, 259_205)
    shown = ["0 s", "0 s", "45 s", "1 min", "1 h", "2 h 1 min", "1 d", "3 d 4 h", "3 d 4 h", "3 d"]
    assert [durations.words(seconds) for seconds in lengths] == shown
