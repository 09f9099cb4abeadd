"""A campaign: one tick, one task per user, one message per user and period."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from common.cloud import firestore, tasks
from common.cloud.firestore import Create
from common.cloud.tasks import Task
from common.idempotency import Answer, Call, Outcome, Work
from common.process.tables import table
from common.scheduling import campaigns
from common.scheduling.campaigns import Audience, Campaign, Slices
from common.triggers.boundary import Ending
from tests.common.memory_cloud import Cloud

TICK = "2030-01-07T08:00:00+00:00"
"""A Monday."""
NEXT = "2030-01-14T08:00:00+00:00"


@dataclass
class News:
    """A campaign that keeps whom it was sent to."""

    sent: list[str] = field(default_factory=list)
    slices: Slices = field(default_factory=lambda: Slices(page=2, pages=2))
    result: str | None = "sent"

    def __post_init__(self) -> None:
        audience = Audience(collection="users", where={"wants": True})
        self.campaign = Campaign(
            name="news", audience=audience, period=campaigns.week, queue="digests", send=self._send
        )
        self._table = table(self.campaign)

    def start(self, call: Call) -> Answer:
        return campaigns.start(call, self._table, slices=self.slices)

    def send(self, call: Call) -> Answer:
        return campaigns.send_to_user(call, self._table)

    def _send(self, user_id: str, work: Work) -> Outcome:
        work.step("message", lambda key: self.sent.append(user_id))
        return Outcome(result=self.result)


def users(*names: str, wants: bool = True) -> None:
    writes = [Create(path=f"users/{it}", fields={"user_id": it, "wants": wants}) for it in names]
    firestore.commit(writes)


def tick(cloud: Cloud, news: News, at: str | None = TICK, **body: Any) -> Ending:
    return cloud.call(news.start, {"campaign": "news", **body}, tick=at)


def run(cloud: Cloud, news: News, at: str | None = TICK) -> list[Task]:
    """The tasks for users that a whole run makes."""
    tick(cloud, news, at)
    made: list[Task] = []
    while taken := cloud.tasks.take():
        made += [it for it in taken if it.queue == "digests"]
        for task in taken:
            if task.queue == "fanout":
                cloud.deliver(news.start, task)
    return made


def names(made: list[Task]) -> list[str]:
    return [str(it.body["user_id"]) for it in made]


def counted(cloud: Cloud, tick: str = TICK) -> tuple[int, int]:
    it = cloud.document(f"fanouts/news:{tick}")
    return it["enqueued"], it["duplicate"]


# The tasks of a run


def test_a_user_has_a_task_that_calls_reminder(cloud: Cloud) -> None:
    users("a")
    (task,) = run(cloud, News())
    assert (task.url, task.audience) == ("https://reminder.example.com", "reminder")
    assert task.body == {"campaign": "news", "period": "2030-W02", "user_id": "a", "run": TICK}


def test_only_who_matches_is_in_the_audience(cloud: Cloud) -> None:
    users("a")
    users("b", wants=False)
    assert names(run(cloud, News())) == ["a"]


@pytest.mark.parametrize("number", range(10))
def test_every_user_has_one_task_whatever_the_pages(cloud: Cloud, number: int) -> None:
    everybody = [f"u{it}" for it in range(number)]
    if everybody:
        users(*everybody)
    assert sorted(names(run(cloud, News()))) == everybody


def test_every_user_has_one_task_across_pages_and_slices(cloud: Cloud) -> None:
    users(*"abcdefghi")
    assert sorted(names(run(cloud, News()))) == list("abcdefghi")


def test_the_tasks_of_two_users_and_of_two_runs_have_names_of_their_own(cloud: Cloud) -> None:
    users("a", "b")
    news = News()
    made = [*run(cloud, news), *run(cloud, news, "2030-01-07T09:00:00+00:00")]
    assert len({tasks.name(it.identity) for it in made}) == 4


def test_a_tick_that_fires_twice_is_one_run(cloud: Cloud) -> None:
    users("a")
    news = News()
    assert tick(cloud, news).status == "enqueued"
    assert tick(cloud, news).status == "duplicate"
    assert (len(cloud.tasks.tasks), counted(cloud)) == (1, (1, 0))


def test_two_firings_by_hand_are_two_runs(cloud: Cloud) -> None:
    users("a")
    news = News()
    made = [*run(cloud, news, None), *run(cloud, news, None)]
    assert len({it.body["run"] for it in made}) == 2


def test_a_document_without_the_field_is_named_by_its_id(cloud: Cloud) -> None:
    firestore.commit([Create(path="users/a%2Fb", fields={"wants": True})])
    assert names(run(cloud, News())) == ["a/b"]


# Slices


def test_a_slice_goes_on_with_a_task_of_its_own(cloud: Cloud) -> None:
    users(*"abcde")
    tick(cloud, News())
    *_, following = cloud.tasks.take()
    assert (following.queue, following.deadline) == ("fanout", campaigns.DEADLINE)
    assert (following.url, following.audience) == ("https://fanout.example.com", "fanout")
    expected = {"campaign": "news", "period": "2030-W02", "run": TICK, "after": "d"}
    assert following.body == expected


def test_an_audience_that_fits_needs_no_further_slice(cloud: Cloud) -> None:
    users(*"abc")
    tick(cloud, News())
    assert len(cloud.tasks.tasks) == 3


def test_a_slice_ends_before_the_budget_does(cloud: Cloud) -> None:
    users(*"abcde")
    tick(cloud, News(slices=Slices(page=2, pages=20, reserve=1e9)))
    assert [it.body.get("after") for it in cloud.tasks.take()] == [None, None, "b"]


def test_a_later_slice_belongs_to_the_period_of_its_tick(cloud: Cloud) -> None:
    users(*"abcde")
    news = News()
    tick(cloud, news)
    *_, following = cloud.tasks.take()
    cloud.advance(days=30)
    cloud.deliver(news.start, following)
    assert [it.body["period"] for it in cloud.tasks.take()] == ["2030-W02"]


def test_a_slice_that_comes_twice_enqueues_once(cloud: Cloud) -> None:
    users(*"abcde")
    news = News()
    tick(cloud, news)
    *_, following = cloud.tasks.take()
    answers = [cloud.deliver(news.start, following).status for _ in range(2)]
    assert (answers, len(cloud.tasks.tasks)) == (["enqueued", "duplicate"], 1)


def test_a_continuation_that_cannot_be_enqueued_is_tried_again(cloud: Cloud) -> None:
    users(*"abcde")
    news = News()
    cloud.tasks.mishaps = ["none", "none", "none", "none", "error"]
    assert tick(cloud, news).code == 500
    assert tick(cloud, news).status == "enqueued"
    assert [it.body.get("after") for it in cloud.tasks.take()] == [None] * 4 + ["d"]


# The period


def test_the_period_is_that_of_the_tick_however_late_it_is(cloud: Cloud) -> None:
    users("a")
    cloud.advance(days=40)
    assert [it.body["period"] for it in run(cloud, News())] == ["2030-W02"]


@pytest.mark.parametrize("at", [None, "yesterday"])
def test_without_a_tick_that_can_be_read_the_period_is_that_of_now(
    cloud: Cloud, at: str | None
) -> None:
    users("a")
    assert [it.body["period"] for it in run(cloud, News(), at)] == ["2030-W01"]


def test_a_tick_without_a_zone_is_one_in_utc(cloud: Cloud) -> None:
    users("a")
    assert [it.body["period"] for it in run(cloud, News(), "2030-01-07T00:00:00")] == ["2030-W02"]


def test_the_period_is_told_in_utc_whatever_zone_the_tick_names(cloud: Cloud) -> None:
    users("a")
    news = News()
    monthly = replace(news.campaign, period=lambda time: f"{time:%Y-%m}")
    cloud.call(
        lambda call: campaigns.start(call, {"news": monthly}),
        {"campaign": "news"},
        tick="2030-02-01T00:30:00+01:00",
    )
    assert [task.body["period"] for task in cloud.tasks.take()] == ["2030-01"]


@pytest.mark.parametrize(
    ("time", "name"),
    [
        ("2030-01-06T23:59:59+00:00", "2030-W01"),
        ("2030-01-07T00:30:00+01:00", "2030-W01"),
        ("2027-01-03T12:00:00+00:00", "2026-W53"),
    ],
)
def test_a_week_is_the_iso_week_in_utc(time: str, name: str) -> None:
    assert campaigns.week(datetime.fromisoformat(time)) == name


# What is counted


def test_a_run_counts_the_tasks_of_all_its_slices(cloud: Cloud) -> None:
    users(*"abcdefghi")
    run(cloud, News())
    assert counted(cloud) == (9, 0)


def test_a_task_that_existed_is_not_counted_as_created(cloud: Cloud) -> None:
    users(*"abc")
    cloud.tasks.mishaps = ["echo"]
    run(cloud, News())
    assert counted(cloud) == (2, 1)


def test_a_run_is_forgotten_in_the_end(cloud: Cloud) -> None:
    users("a")
    run(cloud, News())
    it = cloud.document(f"fanouts/news:{TICK}")
    assert it["expire_at"] - it["updated_at"] == campaigns.RETENTION


def test_a_user_who_cannot_be_enqueued_fails_the_slice_and_is_in_the_next_try(
    cloud: Cloud,
) -> None:
    users(*"abc")
    news = News()
    cloud.tasks.mishaps = ["error"]
    assert tick(cloud, news).code == 500
    assert cloud.document(f"fanouts/news:{TICK}") == {}
    assert tick(cloud, news).status == "enqueued"
    assert (sorted(names(cloud.tasks.take())), counted(cloud)) == (["a", "b", "c"], (2, 1))


def test_what_cannot_be_read_is_tried_again(cloud: Cloud) -> None:
    users("a")
    news = News()
    cloud.firestore.failing_reads = 1
    assert tick(cloud, news).code == 500
    assert names(run(cloud, news)) == ["a"]


# What is refused


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"campaign": "other"},
        {"campaign": 7},
        {"campaign": "news", "after": "a/b"},
        {"campaign": "news", "after": 7},
        {"campaign": "news", "period": ""},
    ],
)
def test_what_is_no_tick_is_dead_lettered(cloud: Cloud, body: Any) -> None:
    assert cloud.call(News().start, body, tick=TICK).status == "dead_lettered"


@pytest.mark.parametrize(
    "body",
    [
        {"campaign": "news", "period": "2030-W02"},
        {"campaign": "news", "user_id": "a"},
        {"campaign": "other", "period": "2030-W02", "user_id": "a"},
    ],
)
def test_what_is_no_task_of_a_user_is_dead_lettered(cloud: Cloud, body: Any) -> None:
    assert cloud.call(News().send, body).status == "dead_lettered"


# Sending


def test_a_user_gets_one_message_in_a_period_whatever_fires(cloud: Cloud) -> None:
    users("a")
    news = News()
    made = [*run(cloud, news), *run(cloud, news, "2030-01-08T08:00:00+00:00")]
    answers = [cloud.deliver(news.send, it).status for it in [*made, *made]]
    assert (answers[0], set(answers[1:]), news.sent) == ("sent", {"duplicate"}, ["a"])


def test_the_next_period_brings_the_next_message(cloud: Cloud) -> None:
    users("a", "b")
    news = News()
    for task in [*run(cloud, news), *run(cloud, news, NEXT)]:
        cloud.deliver(news.send, task)
    assert sorted(news.sent) == ["a", "a", "b", "b"]


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
