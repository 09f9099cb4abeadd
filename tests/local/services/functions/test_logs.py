"""What functions print is kept with the time of the cloud's clock."""

import asyncio
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

    async def follow() -> list[str]:
        log, stream = Log(path), asyncio.StreamReader()
        stream.feed_data("naïve\n\nlast".encode())
        stream.feed_eof()
        await log.follow(stream)
        log.close()
        return log.recent(3)

    assert asyncio.run(follow()) == ["naïve", "", "last"]
    assert path.read_text(encoding="utf-8") == "naïve\n\nlast\n"
