"""Runs: what a tick becomes, what is counted, and how a run is stopped."""

from datetime import timedelta
from typing import Any

import pytest

from common.cloud import firestore, tasks
from common.cloud.firestore import Delete
from common.cloud.memory import Mishap
from common.errors import TransientError
from common.idempotency import Call
from common.process import settings
from common.scheduling import campaigns
from common.scheduling.campaigns import At, Audience, runs, ticking
from common.scheduling.campaigns.working import Slices
from common.scheduling.sweep import sweep
from tests.common.memory_cloud import Cloud
from tests.common.scheduling.campaigns.news import (
    NEXT,
    RUN,
    TICK,
    News,
    drained,
    names,
    run,
    tick,
    time,
    users,
)


def counted(cloud: Cloud, path: str = RUN) -> dict[str, Any]:
    """What adds up in a complete run."""
    found = cloud.document(path)
    fields = ("state", "expected", "enqueued", "duplicate", "failed", "too_late", "unknown_zone")
    return {name: found[name] for name in fields if found[name]}


# Ticks


def test_a_tick_becomes_a_run_with_what_an_operator_asks(cloud: Cloud) -> None:
    users("a", "b")
    run(cloud, News())
    found = cloud.document(RUN)
    expected = {
        "campaign": "news",
        "period": "2030-W02",
        "day": "2030-01-07",
        "tick": time(TICK),
        "state": "complete",
        "expected": 2,
        "enqueued": 2,
        "shards": 1,
        "shards_done": 1,
        "queues": 1,
        **dict.fromkeys(("duplicate", "failed", "sent", "skipped", "too_late"), 0),
    }
    assert {name: found[name] for name in expected} == expected
    assert found["started_at"] <= found["finished_at"]
    assert found["expire_at"] == found["started_at"] + runs.RETENTION


def test_a_tick_that_fires_three_times_is_one_run(cloud: Cloud) -> None:
    users(*"abc")
    news = News()
    answers = [tick(cloud, news, at).status for at in (TICK, TICK, "2030-01-06T17:00:00Z")]
    assert answers == ["enqueued", "duplicate", "duplicate"]
    assert names(drained(cloud, news)) == list("abc")
    assert list(cloud.firestore.documents("fanouts")) == [RUN]


def test_two_firings_by_hand_are_two_runs_of_one_period(cloud: Cloud) -> None:
    users("a")
    news = News()
    made = [*run(cloud, news, None), *run(cloud, news, None)]
    assert len({it.body["run"] for it in made}) == 2
    assert [cloud.deliver(news.send, it).status for it in made] == ["sent", "duplicate"]


@pytest.mark.parametrize("at", [None, "yesterday", "2030-01-06T17:00:00", "9999-99-99T00:00:00Z"])
def test_without_a_tick_that_can_be_read_the_day_is_that_of_now(
    cloud: Cloud, at: str | None
) -> None:
    users("a")
    cloud.advance(days=13)
    (task,) = run(cloud, News(), at)
    assert task.body["period"] == "2030-W03"


def test_the_period_is_that_of_the_tick_however_late_it_is(cloud: Cloud) -> None:
    users("a")
    cloud.advance(days=40)
    (task,) = run(cloud, News())
    assert task.body["period"] == "2030-W02"


def test_a_tick_that_failed_is_handed_over(cloud: Cloud) -> None:
    users("a")
    news = News()
    cloud.firestore.failing_reads = 1
    assert tick(cloud, news).status == "waiting"
    assert tick(cloud, news).status == "waiting"
    assert names(drained(cloud, news)) == ["a"]


@pytest.mark.parametrize("number", range(1, 9))
def test_a_tick_whose_writes_fail_at_any_point_becomes_one_run(cloud: Cloud, number: int) -> None:
    users(*"abcde")
    news = News()
    mishaps: list[Mishap] = ["none"] * number
    cloud.firestore.mishaps = [*mishaps, "lost", "error"]
    while (ending := tick(cloud, news)).code != 200:
        cloud.advance(minutes=10)
    assert ending.status in ("enqueued", "duplicate")
    cloud.firestore.mishaps = []
    assert names(drained(cloud, news)) == list("abcde")
    assert counted(cloud) == {"state": "complete", "expected": 5, "enqueued": 5}


@pytest.mark.parametrize("at", [TICK, None])
def test_a_tick_while_no_task_can_be_made_is_begun_by_itself_later(
    cloud: Cloud, at: str | None
) -> None:
    users("a")
    news = News()
    cloud.tasks.is_unreachable = True
    assert tick(cloud, news, at).status == "waiting"
    cloud.advance(hours=30)
    cloud.tasks.is_unreachable = False
    sweep(Call(body={}, raw=b"{}"))
    assert names(drained(cloud, news)) == ["a"]
    (found,) = cloud.firestore.documents("fanouts").values()
    assert (found["state"], found["enqueued"]) == ("complete", 1)
    assert not cloud.firestore.documents("dead_letters")


def test_a_tick_while_nothing_can_be_recorded_is_brought_again_by_a_task(cloud: Cloud) -> None:
    users("a")
    news = News()
    cloud.firestore.is_unreachable = True
    assert [tick(cloud, news, force=True).status for _ in range(2)] == ["waiting", "waiting"]
    (brought,) = cloud.tasks.take()
    assert cloud.deliver(news.start, brought).code == 500
    cloud.firestore.is_unreachable = False
    assert cloud.deliver(news.start, brought).status == "enqueued"
    assert tick(cloud, news).status == "duplicate"
    assert names(drained(cloud, news)) == ["a"]
    assert cloud.document(RUN)["force"]


def test_a_tick_that_can_neither_be_recorded_nor_brought_again_is_refused(cloud: Cloud) -> None:
    cloud.firestore.is_unreachable = cloud.tasks.is_unreachable = True
    assert tick(cloud, News()).code == 500


def test_the_hand_over_of_a_tick_rings_at_fanout(cloud: Cloud) -> None:
    cloud.tasks.mishaps = ["error", "error"]
    tick(cloud, News())
    (alarm,) = cloud.tasks.take()
    config = settings.current()
    assert (alarm.queue, alarm.url) == ("fanout", config.fanout_url)
    assert alarm.audience == config.fanout_audience


# Overlap


def test_a_tick_during_a_run_is_skipped_and_recorded_as_such(cloud: Cloud) -> None:
    users("a")
    news = News()
    tick(cloud, news)
    assert tick(cloud, news, NEXT).status == "skipped"
    found = cloud.document(f"fanouts/news:{NEXT}")
    assert (found["state"], found["overlaps"]) == ("skipped", TICK)


def test_a_tick_after_a_run_is_not_skipped(cloud: Cloud) -> None:
    users("a")
    news = News()
    assert [len(run(cloud, news, at)) for at in (TICK, NEXT)] == [1, 1]


def test_a_run_that_never_ends_does_not_stop_the_campaign(cloud: Cloud) -> None:
    users("a")
    news = News()
    tick(cloud, news)
    cloud.tasks.take()
    cloud.advance(days=1, seconds=1)
    assert tick(cloud, news, NEXT).status == "enqueued"


def test_runs_may_overlap_where_the_campaign_says_so(cloud: Cloud) -> None:
    users("a")
    news = News(options={"overlap": "allow"})
    tick(cloud, news)
    assert tick(cloud, news, NEXT).status == "enqueued"


def test_a_run_of_another_campaign_does_not_overlap(cloud: Cloud) -> None:
    users("a")
    other = News(options={"name": "other"})
    cloud.call(other.start, {"campaign": "other"}, tick=TICK)
    assert tick(cloud, News()).status == "enqueued"


# Force


def test_a_forced_run_reaches_those_too_who_have_the_message_of_the_period(cloud: Cloud) -> None:
    cloud.firestore.now = time(TICK)
    users("a")
    news = News()
    (first,) = run(cloud, news)
    (again,) = run(cloud, news, None, force=True)
    tasks_ = [first, again, first, again]
    answers = [cloud.deliver(news.send, it).status for it in tasks_]
    assert answers == ["sent", "sent", "duplicate", "duplicate"]


# Numbers


def test_the_numbers_add_up(cloud: Cloud) -> None:
    users(*"abcdefg")
    firestore.commit([Delete(path="users/c")])
    users("x" * 1000, user="long")
    cloud.tasks.batch_mishaps = ["lost"]
    cloud.tasks.mishaps = ["none", "none", "echo", "permanent"]
    run(cloud, News())
    found = counted(cloud)
    assert found == {"state": "complete", "expected": 7, "enqueued": 5, "duplicate": 1, "failed": 1}


def test_what_is_expected_is_an_estimate_until_it_has_been_read(cloud: Cloud) -> None:
    users(*"abcde")
    news = News()
    tick(cloud, news)
    assert cloud.document(RUN)["expected"] == 5
    users("f")
    drained(cloud, news)
    assert cloud.document(RUN)["expected"] == 6


def test_an_empty_audience_is_complete(cloud: Cloud) -> None:
    assert run(cloud, News()) == []
    assert counted(cloud) == {"state": "complete"}


def test_a_run_is_complete_when_its_last_shard_is(cloud: Cloud) -> None:
    users(*"abcdef")
    news = News(slices=Slices(page=2, shard=2))
    tick(cloud, news)
    mine = [it for it in cloud.tasks.take() if "shard" in it.body]
    found = []
    for task in mine:
        cloud.deliver(news.start, task)
        found.append((cloud.document(RUN)["state"], cloud.document(RUN)["shards_done"]))
    assert found == [("running", 1), ("running", 2), ("complete", 3)]


def test_whoever_comes_after_a_crash_completes_the_run(cloud: Cloud) -> None:
    """The last shard is done, and whoever did it is killed before the run says so."""
    users("a")
    news = News()
    tick(cloud, news)
    task, _ = cloud.tasks.take()
    cloud.firestore.mishaps = ["none", "none", "error"]
    assert cloud.deliver(news.start, task).code == 500
    assert cloud.document(RUN)["state"] == "running"
    assert cloud.deliver(news.start, task).status == "duplicate"
    assert counted(cloud) == {"state": "complete", "expected": 1, "enqueued": 1}


def test_numbers_of_two_who_look_at_once_are_not_mixed(cloud: Cloud) -> None:
    users("a")
    news = News()
    run(cloud, news)
    cloud.firestore.mishaps = ["conflict", "conflict"]
    campaign = runs.Run(campaign=news.campaign, name=TICK)
    assert runs.refresh(campaign)["enqueued"] == 1
    cloud.firestore.mishaps = ["conflict"] * 100
    with pytest.raises(TransientError):
        runs.refresh(campaign)


# What has been sent


def tallied(cloud: Cloud, news: News, number: int) -> Any:
    """The answer of a tally."""
    return cloud.call(news.start, {"campaign": "news", "run": TICK, "tally": number}).status


def test_what_has_been_sent_and_skipped_is_counted_and_how_fast(cloud: Cloud) -> None:
    users(*"abcd")
    news = News()
    made = run(cloud, news)
    tallied(cloud, news, 0)
    cloud.deliver(news.send, made[0])
    cloud.deliver(news.send, made[1])
    news.result = "skipped"
    cloud.deliver(news.send, made[2])
    cloud.advance(seconds=10)
    tallied(cloud, news, 1)
    found = cloud.document(RUN)
    assert (found["sent"], found["skipped"], found["rate"]) == (2, 1, 0.2)
    assert found["time_left"] == 5, "one, at one in five seconds"


def test_a_run_that_has_begun_takes_as_long_as_its_queues_allow(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_GROUPS", "digests=2@4")
    settings.current.cache_clear()
    users(*[f"u{it:02}" for it in range(20)])
    tick(cloud, news := News())
    assert cloud.document(RUN)["time_left"] == 20 / (2 * 4)
    for task in drained(cloud, news):
        cloud.deliver(news.send, task)
    tallied(cloud, news, 0)
    assert cloud.document(RUN)["time_left"] == 0


def test_a_run_can_be_looked_at_between_two_tallies(cloud: Cloud) -> None:
    users(*"abcd")
    made = run(cloud, news := News())
    tallied(cloud, news, 0)
    cloud.deliver(news.send, made[0])
    cloud.advance(seconds=10)
    live = campaigns.live(firestore.read(RUN))
    assert (live["sent"], live["rate"], live["time_left"]) == (1, 0.1, 30)
    assert cloud.document(RUN)["sent"] == 0, "nothing is written"


def test_a_run_takes_until_its_last_task_is_due(cloud: Cloud) -> None:
    """Monday 8:00 on both sides of the world; the pages of the first come after the second's."""
    cloud.firestore.now = time(TICK)
    users("a", timezone="Etc/GMT+12")
    users("b", "c", "d", timezone="Pacific/Kiritimati")
    run(cloud, news := News(options={"at": At(hour=8)}))
    tallied(cloud, news, 0)
    left = cloud.document(RUN)["time_left"]
    assert left == pytest.approx(27 * 3600, abs=1), "from Sunday 17:00 to Monday 20:00 UTC"


def test_a_run_that_was_skipped_has_no_numbers(cloud: Cloud) -> None:
    users("a")
    tick(cloud, news := News())
    tick(cloud, news, NEXT)
    assert campaigns.live(firestore.read(f"fanouts/news:{NEXT}"))["state"] == "skipped"


def test_another_run_s_messages_are_not_counted(cloud: Cloud) -> None:
    users("a")
    news = News()
    for task in [*run(cloud, news), *run(cloud, news, NEXT)]:
        cloud.deliver(news.send, task)
    tallied(cloud, news, 0)
    assert cloud.document(RUN)["sent"] == 1


def test_counting_goes_on_until_everybody_has_it(cloud: Cloud) -> None:
    users("a", "b")
    news = News()
    made = run(cloud, news)
    cloud.deliver(news.send, made[0])
    assert tallied(cloud, news, 0) == "enqueued"
    (following,) = cloud.tasks.take()
    cloud.deliver(news.send, made[1])
    assert cloud.deliver(news.start, following).status == "skipped"
    assert cloud.tasks.take() == []


def test_the_pauses_between_two_counts_grow(cloud: Cloud) -> None:
    users("a")
    news = News()
    tick(cloud, news)
    (first,) = [it for it in cloud.tasks.take() if "tally" in it.body]
    assert first.at == cloud.document(RUN)["started_at"] + ticking.FIRST_TALLY
    tallied(cloud, news, 20)
    (late,) = cloud.tasks.take()
    assert late.at is not None
    assert abs(late.at - cloud.now - ticking.LAST_TALLY) < timedelta(seconds=1)


def test_counting_ends_where_nobody_is_there_to_get_it(cloud: Cloud) -> None:
    users("a")
    news = News()
    run(cloud, news)
    assert tallied(cloud, news, ticking.TALLIES) == "skipped"
    assert cloud.tasks.take() == []


# Cancelling


def test_a_cancelled_run_makes_no_more_tasks(cloud: Cloud) -> None:
    users(*"abcdef")
    news = News()
    tick(cloud, news)
    assert campaigns.cancel(f"news:{TICK}") == "cancelled"
    assert drained(cloud, news) == []
    found = cloud.document(RUN)
    assert (found["state"], found["cancelled_at"]) == ("cancelled", found["finished_at"])


def test_a_task_of_a_cancelled_run_sends_nothing_and_leaves_no_record(cloud: Cloud) -> None:
    users("a", "b")
    news = News()
    first, second = run(cloud, news)
    cloud.deliver(news.send, first)
    assert campaigns.cancel(f"news:{TICK}") == "cancelled"
    assert cloud.deliver(news.send, second).status == "skipped"
    corrected = run(cloud, news, "2030-01-06T18:00:00+00:00")
    answers = {it.body["user_id"]: cloud.deliver(news.send, it).status for it in corrected}
    assert answers == {"a": "duplicate", "b": "sent"}


def test_cancelling_says_what_it_found(cloud: Cloud) -> None:
    users("a")
    news = News()
    tick(cloud, news)
    tick(cloud, news, NEXT)
    cloud.firestore.mishaps = ["conflict"]
    found = [campaigns.cancel(f"news:{it}") for it in (TICK, TICK, NEXT, "never")]
    assert found == ["cancelled", "already_cancelled", "unknown", "unknown"]


def test_a_cancelled_run_does_not_come_back_to_life(cloud: Cloud) -> None:
    users("a")
    news = News()
    run(cloud, news)
    campaigns.cancel(f"news:{TICK}")
    runs.refresh(runs.Run(campaign=news.campaign, name=TICK))
    assert cloud.document(RUN)["state"] == "cancelled"


# What is refused


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"campaign": "other"},
        {"campaign": 7},
        {"campaign": "news", "run": 7},
        {"campaign": "news", "shard": 0},
        {"campaign": "news", "run": "x", "shard": 0},
        {"campaign": "news", "run": TICK, "shard": 0},
        {"campaign": "news", "run": TICK, "shard": "0"},
        {"campaign": "news", "run": TICK, "tally": "0"},
        {"campaign": "news", "tally": 0},
    ],
)
def test_what_is_no_tick_is_dead_lettered(cloud: Cloud, body: Any) -> None:
    assert cloud.call(News().start, body, tick=TICK).status == "dead_lettered"


# Any collection


def test_an_audience_may_be_any_collection_at_an_hour_of_its_own(cloud: Cloud) -> None:
    rows = [
        firestore.Create(path=f"clinics/1/patients/{it}", fields={"who": f"p-{it}", "z": zone})
        for it, zone in (("1", "Asia/Tokyo"), ("2", "Mars/Base"))
    ]
    firestore.commit(rows)
    audience = Audience(collection="clinics/1/patients", id_field="who", zone_field="z")
    news = News(options={"audience": audience, "at": At(hour=9, minute=30), "queue": "letters"})
    made = {it.body["user_id"]: it for it in run(cloud, news)}
    assert {it.queue for it in made.values()} == {"letters"}
    assert made["p-1"].at == time("2030-01-07T00:30:00Z")
    assert made["p-2"].at == time("2030-01-07T09:30:00Z")
    assert cloud.document(RUN)["unknown_zone"] == 1
    assert len({tasks.name(it.identity) for it in made.values()}) == 2
