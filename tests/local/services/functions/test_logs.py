"""What functions print is kept with the time of the cloud's clock."""

from datetime import UTC, datetime
from pathlib import Path

from local.services.functions.logs import Log


def test_a_line_has_the_time_of_the_clock_that_is_given(tmp_path: Path) -> None:
    later = datetime(2040, 1, 1, tzinfo=UTC)
    log = Log(tmp_path / "consumer.log", now=lambda: later)
    log.write("hello")
    log.close()
    assert log.timed() == [(later, "hello")]


def test_lines_that_come_together_are_kept_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "consumer.log"
    log = Log(path)
    log.write("naïve", "", "last")
    log.close()
    assert log.recent(3) == ["naïve", "", "last"]
    assert path.read_text(encoding="utf-8") == "naïve\n\nlast\n"
