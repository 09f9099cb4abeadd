"""Runs are listed, shown with what has been sent by now, and stopped."""

from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore
from operations.errors import NotFoundError
from operations.scheduled import campaigns

RUN = "weekly_digest:2026-11-30T08:00:00+00:00"


def run(name: str = RUN, **fields: Any) -> None:
    campaign, _, at = name.partition(":")
    kept = {"campaign": campaign, "run": at, "state": "running", "queues": 1, "a_second": 2.0}
    path = f"fanouts/{firestore.document_id(name)}"
    part = {"state": "done", "read": 30, **dict.fromkeys(("duplicate", "failed", "too_late"), 0)}
    numbers = {"enqueued": 30, "unknown_zone": 0}
    firestore.commit(
        [
            Merge(path=path, fields={**kept, "sent": 0, "skipped": 0, **fields}),
            Merge(path=f"{path}/shards/0", fields={**part, **numbers}),
        ]
    )


def test_runs_are_listed_those_begun_last_first(memory: MemoryFirestore) -> None:
    run("weekly_digest:a", started_at=memory.now)
    memory.advance(60)
    run("weekly_digest:b", started_at=memory.now, state="complete")
    assert [row["id"] for row in campaigns.listed(None, None, None)] == [
        "weekly_digest:b",
        "weekly_digest:a",
    ]
    assert [row["id"] for row in campaigns.listed(None, "running", None)] == ["weekly_digest:a"]
    assert campaigns.listed("other", None, None) == []


def test_a_run_is_stopped_once_and_it_is_said_what_was_sent_before(memory: MemoryFirestore) -> None:
    run()
    stopped = {"id": RUN, "sent": 0, "skipped": 0, "dead": 0}
    assert campaigns.cancel(RUN) == {**stopped, "state": "cancelled"}
    assert campaigns.cancel(RUN) == {**stopped, "state": "already_cancelled"}
    assert campaigns.whole(RUN)["state"] == "cancelled"


def test_a_run_is_shown_with_its_numbers_as_they_are_now(memory: MemoryFirestore) -> None:
    run()
    shown = campaigns.whole(RUN)
    assert {"enqueued": 30, "shards_done": 1, "sent": 0, "time_left": 15.0}.items() <= shown.items()


def test_a_run_that_is_not_there_is_said_so(memory: MemoryFirestore) -> None:
    assert campaigns.cancel("none") == {"id": "none", "state": "unknown"}
    with pytest.raises(NotFoundError):
        campaigns.whole("none")


def test_more_than_a_page_is_found_whole(
    memory: MemoryFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "PAGE", 3)
    for number in range(7):
        run(f"weekly_digest:{number}")
    assert len(campaigns.listed(None, None, None)) == 7


def test_what_has_been_sent_by_now_is_counted(memory: MemoryFirestore) -> None:
    """Of the work that is part of the run; what its document says of that is of its beginning."""
    run()
    for number, result in enumerate(['"sent"', '"sent"', '"skipped"']):
        part = {"part_of": RUN, "state": "done", "result": result}
        firestore.commit([Merge(path=f"idempotency/{number}", fields=part)])
    whole = campaigns.whole(RUN)
    assert (whole["sent"], whole["skipped"], whole["dead"]) == (2, 1, 0)
