"""Events of a type that nobody handles are counted from what the functions say of them."""

import json
from pathlib import Path

from local.services.functions.ignored import MOST_TYPES, OTHERS, Ignored
from local.services.functions.logs import Log


def counted(*lines: str) -> dict[str, int]:
    ignored = Ignored()
    for line in lines:
        ignored.read(line)
    return dict(ignored.counts)


def record(**fields: object) -> str:
    return json.dumps({"severity": "INFO", "action": "ignored", **fields})


def test_ignored_deliveries_are_counted_by_type() -> None:
    lines = (record(event_type="a.b"), record(event_type="c"), record(event_type="a.b"))
    assert counted(*lines) == {"a.b": 2, "c": 1}


def test_what_does_not_say_so_is_not_counted() -> None:
    assert (
        counted(
            record(),
            record(event_type=7),
            record(event_type="x", action="received", message='was it "ignored"?'),
            'something "ignored" in plain text',
            '["ignored"]',
        )
        == {}
    )


def test_the_types_that_are_counted_apart_are_bounded() -> None:
    lines = (record(event_type=f"type-{n}") for n in range(MOST_TYPES + 5))
    found = counted(*lines, record(event_type="type-0"))
    assert len(found) == MOST_TYPES + 1
    assert (found["type-0"], found[OTHERS]) == (2, 5)


def test_a_functions_log_counts_what_it_is_told(tmp_path: Path) -> None:
    log = Log(tmp_path / "consumer.log")
    log.write(record(event_type="a.b"))
    log.close()
    assert log.ignored.counts == {"a.b": 1}
