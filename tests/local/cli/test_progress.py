"""How far a long command is: said while its answer is awaited, and only then."""

import io
import itertools
import threading
from datetime import UTC, datetime, timedelta

import pytest

from local.cli import progress

THURSDAY = datetime(2027, 1, 7, 3, 43, tzinfo=UTC)


class Screen(io.StringIO):
    """A terminal, or a file, that remembers what was written."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def test_a_way_is_told_by_what_is_gone_of_it() -> None:
    start = THURSDAY - timedelta(days=12)
    assert progress.way(start, THURSDAY, 45 * 86_400) == "Thu 03:43 … 12 d of 45 d"


def test_it_is_told_while_the_work_goes_on() -> None:
    told = threading.Event()

    def work() -> str:
        assert told.wait(10)
        return "done"

    assert progress.watched(work, told.set, itertools.repeat(0.001)) == "done"


def test_nothing_is_told_of_work_that_is_done_at_once() -> None:
    told: list[None] = []
    assert progress.watched(lambda: 7, lambda: told.append(None), itertools.repeat(60.0)) == 7
    assert told == []


def test_what_the_work_raises_is_raised() -> None:
    def work() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        progress.watched(work, lambda: None, itertools.repeat(60.0))


def test_a_terminal_has_one_line_that_is_taken_away_in_the_end() -> None:
    screen = Screen(is_terminal=True)
    line = progress.Line(screen)
    line.say("one")
    line.say("two")
    line.clear()
    assert screen.getvalue() == "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K"


def test_a_file_has_a_line_each_less_and_less_often() -> None:
    screen = Screen(is_terminal=False)
    line = progress.Line(screen)
    line.say("one")
    line.say("two")
    line.clear()
    assert screen.getvalue() == "one\ntwo\n"
    assert list(itertools.islice(line.pauses(), 7)) == [1, 2, 4, 8, 16, 30, 30]
