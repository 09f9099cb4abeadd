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
