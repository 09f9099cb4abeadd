"""Campaigns over the wire: in a nasty world too, each user has exactly one task."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Delete, Merge, Snapshot
from common.scheduling.campaigns import Audience, working
from common.scheduling.campaigns.working import Slices
from local.kernel.faults import Plan, Rule
from tests.common.scheduling.campaigns.news import RUN, TICK, News, users
from tests.common.scheduling.campaigns.test_shards import Killed
from tests.common.scheduling.campaigns.wire_cloud import WireCloud, running

LOST = Rule(service="CloudTasks", method="BatchCreateTasks", lost_replies=0.2, errors=0.05)
NO_BATCH = Rule(service="CloudTasks", method="BatchCreateTasks", errors=1.0, code="UNIMPLEMENTED")
BUSY = Rule(service="CloudTasks", errors=0.3, code="RESOURCE_EXHAUSTED")
AWAY = Rule(service="CloudTasks", method="BatchCreateTasks", errors=0.4, code="UNAVAILABLE")


@pytest.fixture
def wire() -> Iterator[WireCloud]:
    """Firestore and Cloud Tasks."""
    with running() as cloud:
        yield cloud


def signed_up(number: int) -> Counter[str]:
    """So many users; what each shall have."""
    names = [f"u{it:05}" for it in range(number)]
    users(*names)
    return Counter(names)


def check(found: Counter[str], expected: Counter[str]) -> None:
    """Exactly one task for each user, and numbers that add up."""
    assert found == expected
    run = firestore.read(RUN).data
    assert (run["state"], run["failed"]) == ("complete", 0)
    assert run["enqueued"] + run["duplicate"] == run["expected"] == len(expected)


def test_a_run_in_a_nasty_world(wire: WireCloud) -> None:
    """A part of all indexes fails, and answers are lost of what was applied."""
    everybody = signed_up(330)
    wire.failing = 0.03
    wire.use(Plan(seed=3, rules=(LOST,)))
    news = News(slices=Slices(page=150, shard=100, reserve=0))
    check(wire.run(news, TICK, TICK), everybody)


def test_without_the_batch_call_tasks_are_created_one_by_one(
    wire: WireCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = signed_up(60)
    wire.use(Plan(rules=(NO_BATCH,)))
    monkeypatch.setattr(working, "BEGUN", 1)  # so that nobody else asks before the first answer
    check(wire.run(News(), TICK), everybody)
    counts = {method: count for (_, method), count in wire.faults.counts.items()}
    assert (counts["BatchCreateTasks"], counts["CreateTask"] >= 60) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("rule", [LOST, NO_BATCH, BUSY, AWAY])
def test_2300_users_with_the_default_sizes(wire: WireCloud, rule: Rule) -> None:
    everybody = signed_up(2300)
    wire.failing = 0.03
    wire.use(Plan(seed=5, rules=(rule,)))
    check(wire.run(News(slices=Slices()), TICK), everybody)


@pytest.mark.slow
def test_a_tick_that_fires_three_times_at_once_is_one_run(wire: WireCloud) -> None:
    everybody = signed_up(500)
    news = News(slices=Slices(page=100))
    with ThreadPoolExecutor(3) as pool:
        body = {"campaign": "news"}
        fired = [pool.submit(wire.called, news, body, tick=TICK) for _ in range(3)]
    assert {it.result().code for it in fired} <= {200, 409, 500}
    check(wire.run(news, TICK), everybody)


def test_users_who_come_and_go_meanwhile(wire: WireCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each page somebody signs up behind it, and the last one leaves: exactly those who are
    there when their page is read have a task."""
    users(*[f"u{it:05}" for it in range(0, 200, 2)])
    page, there = Audience.page, Counter[str]()

    def changing(audience: Audience, size: int, **place: Any) -> list[Snapshot]:
        begin = int((place["after"] or "u0")[1:])
        left, came = 198 - begin // 10, {"wants": True}
        new = [Merge(path=f"users/u{begin + it:05}", fields=came) for it in (5, 15)]
        firestore.commit([Delete(path=f"users/u{left - left % 2:05}"), *new])
        found = page(audience, size, **place)
        there.update(audience.user_id(it) for it in found)
        return found

    monkeypatch.setattr(Audience, "page", changing)
    made = wire.run(News(slices=Slices(page=10)), TICK)
    assert set(there.values()) == {1}
    check(made, there)


@pytest.mark.slow
def test_a_shard_that_is_killed_after_each_page(
    wire: WireCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = signed_up(400)
    news = News(slices=Slices(page=50))
    wire.deliver(news, {"campaign": "news"}, tick=TICK)
    (shard,) = [it for it in wire.taken("fanout") if "shard" in it]
    kills = 0
    commit = firestore.commit

    def dying(writes: Any) -> Any:
        time = commit(writes)
        if any(getattr(it, "fields", {}).get("cursor") for it in writes):
            raise Killed
        return time

    while firestore.read(f"{RUN}/shards/0").data["state"] == "running":
        with monkeypatch.context() as patch:
            patch.setattr(firestore, "commit", dying)
            with pytest.raises(Killed):
                wire.called(news, shard)
        kills += 1
        wire.advance(31)
    wire.deliver(news, shard)
    check(wire.run(news), everybody)
    assert kills == 9
