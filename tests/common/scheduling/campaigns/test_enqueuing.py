"""Enqueuing: a task for each user, on one of the queues, at the hour of the user's zone."""

import json
import zlib
from collections import Counter
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.batches import Pace
from common.cloud.firestore import Create
from common.process import settings
from common.scheduling.campaigns import At, working
from common.scheduling.campaigns.working import Slices
from tests.common.memory_cloud import Cloud
from tests.common.scheduling.campaigns.news import (
    NEXT,
    RUN,
    TICK,
    News,
    names,
    run,
    time,
    users,
)

EIGHT = {"at": At(hour=8)}


def setting(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings.current.cache_clear()


def test_a_user_has_a_task_that_calls_reminder(cloud: Cloud) -> None:
    users("a")
    (task,) = run(cloud, News())
    assert (task.url, task.audience) == ("https://reminder.example.com", "reminder")
    body = {"campaign": "news", "period": "2030-W02", "user_id": "a", "run": TICK, "format": 1}
    assert (task.body, task.queue, task.at) == (body, "digests", None)


@pytest.mark.parametrize("user_id", ["ada", 'a"b\\', "%s ü\u2028", "{}", "a, b"])
def test_a_body_is_encoded_as_it_is(cloud: Cloud, user_id: str) -> None:
    firestore.commit([Create(path="users/a", fields={"user_id": user_id, "wants": True})])
    (task,) = run(cloud, News())
    assert (json.loads(task.encoded), task.body["user_id"]) == (task.body, user_id)


def test_the_tasks_of_two_users_and_of_two_runs_have_names_of_their_own(cloud: Cloud) -> None:
    users("a", "b")
    news = News()
    made = [*run(cloud, news), *run(cloud, news, "2030-01-06T18:00:00+00:00")]
    assert len({it.identity for it in made}) == 4


# The hour


def test_a_task_is_due_at_the_hour_of_the_user_s_zone(cloud: Cloud) -> None:
    cloud.firestore.now = time(TICK)
    for name, zone in (("a", "Pacific/Kiritimati"), ("b", "Europe/Berlin"), ("c", "Etc/GMT+12")):
        users(name, timezone=zone)
    made = {it.body["user_id"]: it.at for it in run(cloud, News(options=EIGHT))}
    assert made == {
        "a": time("2030-01-06T18:00:00Z"),
        "b": time("2030-01-07T07:00:00Z"),
        "c": time("2030-01-07T20:00:00Z"),
    }
    assert cloud.document(RUN)["unknown_zone"] == 0


def test_a_user_of_an_unknown_zone_or_of_none_has_the_default_one_and_is_counted(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(monkeypatch, DEFAULT_TIMEZONE="Asia/Tokyo")
    users("a", timezone="Mars/Base")
    users("b")
    users("c", timezone=7)
    made = run(cloud, News(options=EIGHT))
    assert {it.at for it in made} == {time("2030-01-06T23:00:00Z")}
    assert cloud.document(RUN)["unknown_zone"] == 3


def test_an_hour_that_has_passed_is_now_while_it_is_still_that_day(cloud: Cloud) -> None:
    cloud.firestore.now = time("2030-01-07T16:00:00Z")
    users("a", timezone="Europe/Berlin")
    users("b", timezone="Asia/Tokyo")
    (task,) = run(cloud, News(options=EIGHT))
    assert (task.body["user_id"], task.at) == ("a", None)
    found = cloud.document(RUN)
    assert (found["expected"], found["enqueued"], found["too_late"]) == (1, 1, 1)


# The queues


def test_each_user_has_one_of_several_queues(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    setting(monkeypatch, QUEUE_GROUPS="digests=4@100, other=2@1")
    everybody = [f"u{it:03}" for it in range(200)]
    users(*everybody)
    news = News(slices=Slices(page=1000))
    made = run(cloud, news)
    expected = {it: f"digests-{1 + zlib.crc32(it.encode()) % 4}" for it in everybody}
    assert {it.body["user_id"]: it.queue for it in made} == expected
    assert set(Counter(it.queue for it in made)) == {f"digests-{it}" for it in (1, 2, 3, 4)}
    found = cloud.document(RUN)
    assert (found["queues"], found["a_second"]) == (4, 100)


def test_several_queues_may_be_filled_as_much_faster_and_several_shards_share_that(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(monkeypatch, QUEUE_GROUPS="digests=4@100", COLD_QUEUE_RATE="600")
    users(*"abcdef")
    rates: list[float] = []

    class Watched(Pace):
        """A pace that says how fast it is."""

        def __init__(self, *, first: float, age: float) -> None:
            super().__init__(first=first, age=age)
            rates.append(first)

    monkeypatch.setattr(working, "Pace", Watched)
    run(cloud, News(slices=Slices(page=2, shard=2, reserve=0)))
    assert rates == [800.0] * 3


# Who cannot be enqueued


def test_a_user_who_cannot_be_enqueued_is_a_letter_and_stops_nobody(cloud: Cloud) -> None:
    users(*"abc")
    long = "x" * 110_000
    firestore.commit([Create(path="users/b2", fields={"user_id": long, "wants": True})])
    news = News()
    assert names(run(cloud, news)) == list("abc")
    found = cloud.document(RUN)
    assert (found["state"], found["expected"], found["enqueued"], found["failed"]) == (
        "complete",
        4,
        3,
        1,
    )
    (letter,) = cloud.firestore.documents("dead_letters").values()
    assert (letter["source"], letter["reason"]) == ("reminder", "permanent")
    assert json.loads(letter["payload"])["user_id"] == long
    assert letter["user_id"] == long[:2000]


def test_the_letter_is_that_of_the_message_so_a_replay_sends_it(cloud: Cloud) -> None:
    users("a")
    news = News()
    cloud.tasks.mishaps = ["none", "none", "permanent"]
    assert run(cloud, news) == []
    ((path, letter),) = cloud.firestore.documents("dead_letters").items()
    body = json.loads(letter["payload"])
    ending = cloud.call(news.send, body, replay_of=path.rpartition("/")[2])
    assert (ending.status, news.sent) == ("sent", ["a"])
    assert cloud.document(path)["state"] == "replayed"


def test_many_who_cannot_be_enqueued_fit_into_commits(cloud: Cloud) -> None:
    """A commit takes 10 MiB; each of these letters has more than a tenth of one."""
    long = "x" * 110_000
    for number in range(25):
        fields = {"user_id": f"{number}{long}", "wants": True}
        firestore.commit([Create(path=f"users/{number:02}", fields=fields)])
    run(cloud, News(slices=Slices(page=100, reserve=0)))
    assert cloud.document(RUN)["failed"] == 25
    assert len(cloud.firestore.documents("dead_letters")) == 25


# Sending


@pytest.mark.parametrize(
    "body",
    [
        {"campaign": "news", "period": "2030-W02"},
        {"campaign": "news", "period": "2030-W02", "user_id": "a"},
        {"campaign": "news", "period": "2030-W02", "user_id": "a", "run": "tomorrow"},
        {"campaign": "news", "user_id": "a", "run": TICK},
        {"campaign": "other", "period": "2030-W02", "user_id": "a", "run": TICK},
    ],
)
def test_what_is_no_task_of_a_user_is_dead_lettered(cloud: Cloud, body: Any) -> None:
    assert cloud.call(News().send, body).status == "dead_lettered"


def test_a_user_gets_one_message_in_a_period_whatever_fires(cloud: Cloud) -> None:
    users("a")
    news = News()
    made = [*run(cloud, news), *run(cloud, news, "2030-01-07T08:00:00+00:00")]
    answers = [cloud.deliver(news.send, it).status for it in [*made, *made]]
    assert (answers[0], set(answers[1:]), news.sent) == ("sent", {"duplicate"}, ["a"])


def test_the_next_period_brings_the_next_message(cloud: Cloud) -> None:
    users("a", "b")
    news = News()
    for task in [*run(cloud, news), *run(cloud, news, NEXT)]:
        cloud.deliver(news.send, task)
    assert sorted(news.sent) == ["a", "a", "b", "b"]


def test_a_late_task_and_a_retried_one_tell_the_same_edition(cloud: Cloud) -> None:
    users("a")
    news = News()
    (task,) = run(cloud, news)
    cloud.firestore.mishaps = ["none", "error"]
    cloud.deliver(news.send, task)
    cloud.advance(days=9)
    cloud.deliver(news.send, task)
    assert {(it.period, it.day.isoformat()) for it in news.editions} == {("2030-W02", "2030-01-07")}


def test_whoever_is_not_to_have_it_is_skipped(cloud: Cloud) -> None:
    users("a")
    news = News(result="skipped")
    (task,) = run(cloud, news)
    assert cloud.deliver(news.send, task).status == "skipped"


def test_a_message_that_fails_is_tried_again(cloud: Cloud) -> None:
    users("a")
    news = News()
    (task,) = run(cloud, news)
    cloud.firestore.mishaps = ["none", "error"]
    cloud.deliver(news.send, task)
    cloud.deliver(news.send, task)
    assert news.sent == ["a"]


def test_a_campaign_that_says_nothing_of_its_result_has_sent(cloud: Cloud) -> None:
    users("a")
    news = News(result=None)
    (task,) = run(cloud, news)
    assert cloud.deliver(news.send, task).status == "sent"
